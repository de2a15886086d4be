import { type Batch, type BatchData, between, changeEach, changeSome, checkRange, invalid } from "./batch.ts";

export interface CutoutOptions {
  /** Side of the square, pixels, ≥ 1. */
  readonly size: number;
  /** Default 0. */
  readonly fill?: number;
}

/** Covers a square of each picture, its centre anywhere, so that part of it may lie outside (DeVries and Taylor 2017). */
export function cutout<T extends BatchData>(
  batch: Batch<T>,
  { size, fill = 0 }: CutoutOptions,
  seed: number,
): Batch<T> {
  const { channels, height, width } = batch;
  if (!Number.isInteger(size) || size < 1) throw invalid("a size of at least 1 pixel", `${size}`);
  return changeEach(batch, seed, (source, target, at, rng) => {
    target.set(source.subarray(at, at + channels * height * width), at);
    const top = rng.int(height) - (size >> 1);
    const left = rng.int(width) - (size >> 1);
    const from = Math.max(0, left);
    const end = Math.min(width, left + size);
    for (let c = 0; c < channels; c++)
      for (let y = Math.max(0, top); y < Math.min(height, top + size); y++) {
        const row = at + (c * height + y) * width;
        target.fill(fill, row + from, row + end);
      }
  });
}

export interface EraseOptions {
  /** Default 0.5. */
  readonly probability?: number;
  /** Share of the picture's area. Default 0.02 to 0.33. */
  readonly area?: readonly [number, number];
  /** Height by width; drawn evenly on a logarithmic scale. Default 0.3 to 1/0.3. */
  readonly aspect?: readonly [number, number];
  /** `noise`: 0 … 255 for bytes, 0 … 1 for floats, each number anew. Default `noise`. */
  readonly fill?: number | "noise";
}

/** Covers a rectangle that lies wholly inside (random erasing, Zhong et al. 2020). */
export function randomErase<T extends BatchData>(
  batch: Batch<T>,
  { probability = 0.5, area = [0.02, 0.33], aspect = [0.3, 1 / 0.3], fill = "noise" }: EraseOptions,
  seed: number,
): Batch<T> {
  for (const share of area) checkRange("area", share, 0, 1);
  if (!(aspect[0] > 0 && aspect[1] >= aspect[0]))
    throw invalid("an aspect above 0, small to large", `${aspect}`);
  const { channels, height, width } = batch;
  const bytes = batch.data instanceof Uint8Array;
  return changeSome(batch, probability, seed, (_, target, at, rng) => {
    const pixels = between(rng, area) * height * width;
    const ratio = Math.exp(between(rng, [Math.log(aspect[0]), Math.log(aspect[1])]));
    const rows = Math.min(height, Math.round(Math.sqrt(pixels * ratio)));
    const columns = Math.min(width, Math.round(Math.sqrt(pixels / ratio)));
    const top = rng.int(height - rows + 1);
    const left = rng.int(width - columns + 1);
    for (let c = 0; c < channels; c++)
      for (let y = top; y < top + rows; y++) {
        const row = at + (c * height + y) * width;
        for (let x = left; x < left + columns; x++)
          target[row + x] = fill === "noise" ? (bytes ? rng.int(256) : rng.next()) : fill;
      }
  });
}
