import type { Batch, BatchData } from "./batch.ts";
import {
  type BlurOptions,
  type GrayOptions,
  type NoiseOptions,
  randomBlur,
  randomGray,
  randomNoise,
} from "./camera.ts";
import { type ColorJitterOptions, colorJitter } from "./color.ts";
import { type CutoutOptions, cutout, type EraseOptions, randomErase } from "./erase.ts";
import {
  type CropOptions,
  type FlipOptions,
  type RotateOptions,
  randomCrop,
  randomFlip,
  randomQuarterTurns,
  randomRotate,
} from "./geometry.ts";
import { type ResizedCropOptions, randomResizedCrop } from "./resized-crop.ts";

/** What is done to every picture of a training batch, in this order; plain data, so that a config file can hold it. */
export interface BatchAugmentation {
  readonly resizedCrop?: ResizedCropOptions;
  readonly crop?: CropOptions;
  readonly flip?: FlipOptions;
  readonly quarterTurns?: boolean;
  readonly rotate?: RotateOptions;
  readonly color?: ColorJitterOptions;
  readonly gray?: GrayOptions;
  readonly blur?: BlurOptions;
  readonly noise?: NoiseOptions;
  readonly cutout?: CutoutOptions;
  readonly erase?: EraseOptions;
}

/**
 * A new batch; the old one stays as it is. Batch, options and seed decide every number.
 *
 * @throws INVALID_ARGUMENT
 */
export function augmentBatch<T extends BatchData>(
  batch: Batch<T>,
  options: BatchAugmentation,
  seed: number,
): Batch<T> {
  // A different seed for each kind: two kinds that draw alike must not move together.
  const seedOf = (kind: number): number => Math.imul(seed, 31) + kind;
  let out: Batch<T> = { ...batch, data: batch.data.slice() as T };
  const { resizedCrop, crop, flip, quarterTurns, rotate, color, gray, blur, noise, erase } = options;
  if (resizedCrop) out = randomResizedCrop(out, resizedCrop, seedOf(8));
  if (crop) out = randomCrop(out, crop, seedOf(1));
  if (flip) out = randomFlip(out, flip, seedOf(2));
  if (quarterTurns) out = randomQuarterTurns(out, seedOf(3));
  if (rotate) out = randomRotate(out, rotate, seedOf(4));
  if (color) out = colorJitter(out, color, seedOf(5));
  if (gray) out = randomGray(out, gray, seedOf(9));
  if (blur) out = randomBlur(out, blur, seedOf(10));
  if (noise) out = randomNoise(out, noise, seedOf(11));
  if (options.cutout) out = cutout(out, options.cutout, seedOf(6));
  if (erase) out = randomErase(out, erase, seedOf(7));
  return out;
}
