import { stack } from "../core/index.ts";
import { episodeClasses, type PixelSet } from "../data/index.ts";
import type { Encoder } from "../models/index.ts";
import { batcher } from "./batch.ts";
import type { EmbeddedDataset } from "./embed.ts";

export interface EmbedPixelsOptions {
  /** The set holds 255 − value, and the encoder takes pictures as they come. Default false. */
  readonly invert?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Pictures that are turned into numbers at a time: what bounds the memory. */
const together = 64;

/**
 * Embeds a pixel set whose size and channels are the encoder's, for {@link evaluate}. The origin of row i is its group,
 * where the set has groups, or else `row i`.
 */
export async function embedPixels(
  set: PixelSet,
  encoder: Encoder,
  { invert = false, onProgress }: EmbedPixelsOptions = {},
): Promise<EmbeddedDataset> {
  const pixels = invert ? set.pixels.map((value) => 255 - value) : set.pixels;
  const batch = batcher({ ...set, pixels }, encoder.manifest.preprocess);
  const length = set.channels * set.height * set.width;
  const rows: Float32Array[] = [];
  for (let start = 0; start < set.labels.length; start += together) {
    const some = Array.from({ length: Math.min(together, set.labels.length - start) }, (_, i) => start + i);
    const numbers = batch(some);
    const inputs = some.map((_, i) => numbers.subarray(i * length, (i + 1) * length));
    const { data, n, dim } = await encoder.embed(inputs);
    for (let i = 0; i < n; i++) rows.push(data.subarray(i * dim, (i + 1) * dim));
    onProgress?.(rows.length, set.labels.length);
  }
  return {
    classes: episodeClasses(set.labels).map(({ label, rows: own }) => ({
      label,
      embeddings: stack(own.map((i) => rows[i]!)),
      origins: own.map((i) => set.groups?.[i] ?? `row ${i}`),
    })),
    dim: encoder.embeddingDim,
    views: ["original"],
  };
}
