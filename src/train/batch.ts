import { createRng, ProtolineError } from "../core/index.ts";
import {
  augmentBatch,
  type Batch,
  type BatchAugmentation,
  type Episode,
  episodeClasses,
  mixup,
  type PixelSet,
  planEpisodes,
} from "../data/index.ts";
import { sizeOf } from "../graph/index.ts";
import type { EpisodeShape } from "../methods/index.ts";
import { Tensor } from "../runtime/index.ts";
import type { TrainConfig } from "./config.ts";
import { type ClassBatch, imageShape } from "./step.ts";

/** How pixels become numbers: (pixel − mean)/std, one of each a channel. */
export interface Scaling {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * Makes batches `[rows, C, H, W]` of float32 from rows of a pixel set. The numbers are those of `toInput`. With an
 * augmentation, the seed decides how each picture is changed.
 */
export function batcher(
  set: PixelSet,
  { mean, std }: Scaling,
  augmentation?: BatchAugmentation,
): (rows: readonly number[], seed?: number) => Float32Array {
  const { channels, height, width } = set;
  const plane = height * width;
  const image = channels * plane;
  // A byte has 256 values: a table a channel instead of arithmetic a pixel.
  const tables = Array.from({ length: channels }, (_, c) => {
    const scale = 1 / std[c]!;
    const shift = -mean[c]! * scale;
    return Float32Array.from({ length: 256 }, (_, value) => value * scale + shift);
  });
  return (rows, seed = 0) => {
    let bytes = new Uint8Array(rows.length * image);
    rows.forEach((row, i) => {
      bytes.set(set.pixels.subarray(row * image, (row + 1) * image), i * image);
    });
    if (augmentation)
      bytes = new Uint8Array(augmentBatch({ channels, height, width, data: bytes }, augmentation, seed).data);
    const out = new Float32Array(bytes.length);
    let at = 0;
    while (at < out.length)
      for (const table of tables) for (const end = at + plane; at < end; at++) out[at] = table[bytes[at]!]!;
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
  readonly shape: EpisodeShape | ClassBatch;
  /** Images, and targets where there are any, of episode or batch 0, 1, …; of seed and number alone. */
  feeds(number: number): Readonly<Record<string, Tensor>>;
}

/** Episodes, or batches of all classes that pass over the whole set again and again, as the config's method wants. */
export function createSampler(config: TrainConfig, set: PixelSet): Sampler {
  const { seed, episode, batch: images, data } = config;
  checkPixels(set, config, "the training set");
  const { mixup: mix, ...augment } = config.augment ?? {};
  const batch = batcher(set, data, config.augment ? augment : undefined);
  const seedOf = (number: number): number => Math.imul(seed, 0x9e3779b1) ^ number;
  const tensorOf = (numbers: Float32Array): Tensor =>
    new Tensor("float32", numbers, [numbers.length / sizeOf(imageShape(config)), ...imageShape(config)]);
  if (episode) {
    const plan = planEpisodes(episodeClasses(set.labels, set.groups), episode, seed);
    return {
      shape: episode,
      feeds: (number) => ({ images: tensorOf(batch(episodeRows(plan.episode(number)), seedOf(number))) }),
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
  const spread = config.labelSmoothing / classOf.size;
  return {
    shape: { images: size, classes: classOf.size },
    feeds(number) {
      const rows = Array.from({ length: size }, (_, i) => {
        const at = number * size + i;
        return orderOf(Math.floor(at / n))[at % n]!;
      });
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
