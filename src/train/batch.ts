import { createRng, ProtolineError } from "../core/index.ts";
import {
  augmentBatch,
  type BatchAugmentation,
  type Episode,
  episodeClasses,
  type PixelSet,
  planEpisodes,
} from "../data/index.ts";
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

/** What a step is fed of the data. */
export interface Sampler {
  readonly shape: EpisodeShape | ClassBatch;
  /** Images, and targets where there are any, of step 0, 1, …; of seed and step alone. */
  feeds(step: number): Readonly<Record<string, Tensor>>;
}

/** Episodes, or batches of all classes that pass over the whole set again and again, as the config's method wants. */
export function createSampler(config: TrainConfig, set: PixelSet): Sampler {
  const { seed, episode, batch: images, data, augment } = config;
  checkPixels(set, config, "the training set");
  const batch = batcher(set, data, augment ?? undefined);
  const imagesAt = (step: number, rows: readonly number[]): Tensor =>
    new Tensor("float32", batch(rows, Math.imul(seed, 0x9e3779b1) ^ step), [
      rows.length,
      ...imageShape(config),
    ]);
  if (episode) {
    const plan = planEpisodes(episodeClasses(set.labels, set.groups), episode, seed);
    return {
      shape: episode,
      feeds: (step) => ({ images: imagesAt(step, episodeRows(plan.episode(step))) }),
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
    feeds(step) {
      const rows = Array.from({ length: size }, (_, i) => {
        const at = step * size + i;
        return orderOf(Math.floor(at / n))[at % n]!;
      });
      const targets = new Float32Array(size * classOf.size).fill(spread);
      rows.forEach((row, i) => {
        targets[i * classOf.size + classOf.get(set.labels[row]!)!]! += 1 - config.labelSmoothing;
      });
      return {
        images: imagesAt(step, rows),
        targets: new Tensor("float32", targets, [size, classOf.size]),
      };
    },
  };
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
