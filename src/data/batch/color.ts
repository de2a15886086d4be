import { type Batch, type BatchData, between, changeEach, checkRange } from "./batch.ts";

/** Largest relative change, 0 to 1: a factor uniform in 1 ± the value. Default of each 0. */
export interface ColorJitterOptions {
  readonly brightness?: number;
  /** About the picture's mean grey. */
  readonly contrast?: number;
  /** Without effect on grey pictures. */
  readonly saturation?: number;
}

/**
 * Changes brightness, then contrast, then saturation of each picture; black is 0. Bytes are rounded and clamped to
 * 0 … 255, floats left as they come. Grey is 0.299 R + 0.587 G + 0.114 B.
 */
export function colorJitter<T extends BatchData>(
  batch: Batch<T>,
  { brightness = 0, contrast = 0, saturation = 0 }: ColorJitterOptions,
  seed: number,
): Batch<T> {
  checkRange("brightness", brightness, 0, 1);
  checkRange("contrast", contrast, 0, 1);
  checkRange("saturation", saturation, 0, 1);
  const { channels, height, width } = batch;
  const plane = height * width;
  const weights = channels === 3 ? [0.299, 0.587, 0.114] : Array<number>(channels).fill(1 / channels);
  const bytes = batch.data instanceof Uint8Array;
  const grey = new Float64Array(plane);
  return changeEach(batch, seed, (source, target, at, rng) => {
    const bright = between(rng, [1 - brightness, 1 + brightness]);
    const steep = between(rng, [1 - contrast, 1 + contrast]);
    const vivid = channels === 3 ? between(rng, [1 - saturation, 1 + saturation]) : 1;
    grey.fill(0);
    let mean = 0;
    for (let c = 0; c < channels; c++) {
      const from = at + c * plane;
      for (let p = 0; p < plane; p++) grey[p]! += weights[c]! * source[from + p]!;
    }
    for (let p = 0; p < plane; p++) mean += grey[p]!;
    mean /= plane;
    // x' = vivid·(gain·x + shift) + (1 − vivid)·(gain·grey + shift)
    const gain = bright * steep;
    const shift = (1 - steep) * bright * mean;
    const own = vivid * gain;
    const shared = (1 - vivid) * gain;
    for (let c = 0; c < channels; c++) {
      const from = at + c * plane;
      for (let p = 0; p < plane; p++) {
        const value = own * source[from + p]! + shared * grey[p]! + shift;
        target[from + p] = bytes ? Math.min(255, Math.max(0, value)) + 0.5 : value;
      }
    }
  });
}
