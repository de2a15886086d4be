import { createRng, ProtolineError } from "../core/index.ts";
import {
  augmentBatch,
  type Batch,
  type BatchAugmentation,
  type Episode,
  episodeClasses,
  mixup,
  type PixelSet,
  type Preprocess,
  planEpisodes,
  standardizeInPlace,
} from "../data/index.ts";
import { sizeOf } from "../graph/index.ts";
import { Tensor } from "../runtime/index.ts";
import type { TrainConfig } from "./config.ts";
import { type BatchShape, imageShape } from "./step.ts";
import type { Teacher } from "./teacher.ts";

/** How pixels become numbers: (pixel − mean)/std, one of each a channel, and what comes after that. */
export type Scaling = Pick<Preprocess, "mean" | "std" | "standardize">;

/**
 * Makes batches `[rows, C, H, W]` of float32 from rows of a pixel set. The numbers are those of `toInput`. With an
 * augmentation, the seed decides how each picture is changed.
 */
export function batcher(
  set: PixelSet,
  scaling: Scaling,
  augmentation?: BatchAugmentation,
): (rows: readonly number[], seed?: number) => Float32Array {
  const picked = picker(set, augmentation);
  const scaled = scaler(set, scaling);
  return (rows, seed) => scaled(picked(rows, seed));
}

/** The bytes of rows of a pixel set, changed by an augmentation where there is one. */
function picker(
  { pixels, channels, height, width }: PixelSet,
  augmentation?: BatchAugmentation,
): (rows: readonly number[], seed?: number) => Uint8Array {
  const image = channels * height * width;
  return (rows, seed = 0) => {
    const data = new Uint8Array(rows.length * image);
    rows.forEach((row, i) => {
      data.set(pixels.subarray(row * image, (row + 1) * image), i * image);
    });
    return augmentation ? augmentBatch({ channels, height, width, data }, augmentation, seed).data : data;
  };
}

function scaler(
  { channels, height, width }: PixelSet,
  { mean, std, standardize }: Scaling,
): (bytes: Uint8Array) => Float32Array {
  const plane = height * width;
  // A byte has 256 values: a table a channel instead of arithmetic a pixel.
  const tables = Array.from({ length: channels }, (_, c) => {
    const scale = 1 / std[c]!;
    const shift = -mean[c]! * scale;
    return Float32Array.from({ length: 256 }, (_, value) => value * scale + shift);
  });
  return (bytes) => {
    const out = new Float32Array(bytes.length);
    let at = 0;
    while (at < out.length)
      for (const table of tables) for (const end = at + plane; at < end; at++) out[at] = table[bytes[at]!]!;
    if (standardize === "image")
      for (let from = 0; from < out.length; from += channels * plane)
        standardizeInPlace(out.subarray(from, from + channels * plane));
    return out;
  };
}

/** The rows of an episode in the order of a method's images: support, then queries. */
export const episodeRows = ({ supportSet, querySet }: Episode): readonly number[] => [
  ...supportSet.rows,
  ...querySet.rows,
];

/** What a run of the training graph is fed of the data. */
export interface Sampler {
  readonly shape: BatchShape;
  /** Images, and targets where there are any, of episode or batch 0, 1, …; of seed and number alone. */
  feeds(number: number): Promise<Readonly<Record<string, Tensor>>>;
}

/**
 * Episodes, or batches of all classes that pass over the whole set again and again, as the config's method wants.
 *
 * @param teacher for the method `distill`.
 */
export function createSampler(config: TrainConfig, set: PixelSet, teacher?: Teacher): Sampler {
  const { seed, episode, batch: images, data, method } = config;
  checkPixels(set, config, "the training set");
  const { mixup: mix, ...augment } = config.augment ?? {};
  const picked = picker(set, config.augment ? augment : undefined);
  const scaled = scaler(set, data);
  const batch = (rows: readonly number[], own: number): Float32Array => scaled(picked(rows, own));
  const seedOf = (number: number): number => Math.imul(seed, 0x9e3779b1) ^ number;
  const tensorOf = (numbers: Float32Array): Tensor =>
    new Tensor("float32", numbers, [numbers.length / sizeOf(imageShape(config)), ...imageShape(config)]);
  if (episode) {
    const plan = planEpisodes(episodeClasses(set.labels, set.groups), episode, seed);
    return {
      shape: episode,
      feeds: async (number) => ({
        images: tensorOf(batch(episodeRows(plan.episode(number)), seedOf(number))),
      }),
    };
  }
  const n = set.labels.length;
  const size = Math.min(images!, n);
  const classOf = new Map(episodeClasses(set.labels).map(({ label }, c) => [label, c]));
  const orders = new Map<number, readonly number[]>();
  const orderOf = (epoch: number): readonly number[] => {
    let order = orders.get(epoch);
    if (!order) {
      order = createRng(seed).fork(epoch).sample(n, n);
      orders.clear();
      orders.set(epoch, order);
    }
    return order;
  };
  const rowsOf = (number: number): number[] =>
    Array.from({ length: size }, (_, i) => {
      const at = number * size + i;
      return orderOf(Math.floor(at / n))[at % n]!;
    });
  if (method.kind === "distill") {
    if (!teacher) throw teacherMissing();
    const different = method.views / images!;
    return {
      shape: { images: size, dim: teacher.dim },
      async feeds(number) {
        const which = number % different;
        const bytes = picked(rowsOf(which), seedOf(which));
        return {
          images: tensorOf(scaled(bytes)),
          targets: new Tensor("float32", await teacher.embeddings(which, bytes), [size, teacher.dim]),
        };
      },
    };
  }
  const spread = config.labelSmoothing / classOf.size;
  return {
    shape: { images: size, classes: classOf.size },
    async feeds(number) {
      const rows = rowsOf(number);
      const targets = new Float32Array(size * classOf.size).fill(spread);
      rows.forEach((row, i) => {
        targets[i * classOf.size + classOf.get(set.labels[row]!)!]! += 1 - config.labelSmoothing;
      });
      const pictures = batch(rows, seedOf(number));
      const mixed = mix && mixWith(mix.alpha, { ...set, data: pictures }, targets, seedOf(number));
      return {
        images: tensorOf(mixed?.pictures ?? pictures),
        targets: new Tensor("float32", mixed?.targets ?? targets, [size, classOf.size]),
      };
    },
  };
}

/** Pictures and their targets `[n, classes]`, mixed alike. */
function mixWith(
  alpha: number,
  pictures: Batch<Float32Array>,
  targets: Float32Array,
  seed: number,
): { readonly pictures: Float32Array; readonly targets: Float32Array } {
  // A seed of its own: an augmentation of the same batch draws from the seed as it is.
  const { batch, partner, weight } = mixup(pictures, { alpha }, ~seed);
  const classes = targets.length / partner.length;
  const both = targets.map((own, at) => {
    const i = Math.floor(at / classes);
    return weight[i]! * own + (1 - weight[i]!) * targets[partner[i]! * classes + (at % classes)]!;
  });
  return { pictures: batch.data, targets: both };
}

/** @throws CONFIG_INVALID where the pictures are not of the config's size and channels. */
export function checkPixels({ channels, height, width }: PixelSet, config: TrainConfig, what: string): void {
  const expected = imageShape(config).join(" x ");
  const got = [channels, height, width].join(" x ");
  if (expected !== got)
    throw new ProtolineError("CONFIG_INVALID", {
      expected: `${what} in images of ${expected} (channels, height, width), as the config says`,
      got,
      todo: "Correct data.size or data.channels in the config, or load the data set in that size.",
    });
}

const teacherMissing = (): ProtolineError =>
  new ProtolineError("INVALID_ARGUMENT", {
    expected: "a teacher, which the method distill needs",
    got: "none",
    todo: "Open one with openTeacher and pass it to train.",
  });
