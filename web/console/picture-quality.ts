/** Blur and exposure of a picture, measured in the page before anything is sent. */

export interface Measures {
  /** Mean absolute Laplacian over mean absolute deviation of luminance: fine detail against contrast, ≥ 0. */
  readonly sharpness: number;
  /** Mean luminance, 0 … 1. */
  readonly light: number;
  /** Share of pixels at the upper end of the scale, 0 … 1: glare. */
  readonly glare: number;
}

export type QualityMark = "blurred" | "dark" | "bright";

/** Sharpness below this share of the median of the others is blur; so is one below the floor, whatever the others. */
const blurShare = 0.5;
const blurFloor = 0.02;
const [darkBelow, brightAbove, glareAbove] = [0.12, 0.88, 0.35];
/** Luminance from which a pixel counts as burnt out. */
const burnt = 0.98;

/** @param rgba `[height × width × 4]`, 0 … 255; about 256 pixels a side. */
export function measure(rgba: ArrayLike<number>, width: number, height: number): Measures {
  const n = width * height;
  const light = new Float32Array(n);
  let sum = 0;
  let burntOut = 0;
  for (let i = 0; i < n; i++) {
    const at = 4 * i;
    const value = (0.2126 * rgba[at]! + 0.7152 * rgba[at + 1]! + 0.0722 * rgba[at + 2]!) / 255;
    light[i] = value;
    sum += value;
    if (value >= burnt) burntOut++;
  }
  const mean = sum / n;
  let [deviation, detail] = [0, 0];
  for (let i = 0; i < n; i++) deviation += Math.abs(light[i]! - mean);
  // Averaged over 2 × 2 pixels first, so that the noise of a sensor does not pass for detail.
  const [w, h] = [width >> 1, height >> 1];
  const half = new Float32Array(w * h);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const at = 2 * y * width + 2 * x;
      half[y * w + x] = (light[at]! + light[at + 1]! + light[at + width]! + light[at + width + 1]!) / 4;
    }
  for (let y = 1; y < h - 1; y++)
    for (let x = 1; x < w - 1; x++) {
      const at = y * w + x;
      detail += Math.abs(4 * half[at]! - half[at - 1]! - half[at + 1]! - half[at - w]! - half[at + w]!);
    }
  const inner = Math.max(1, (w - 2) * (h - 2));
  return { sharpness: detail / inner / (deviation / n + 1e-3), light: mean, glare: burntOut / n };
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** What speaks against each of some pictures of one part. */
export function marksOf(pictures: readonly Measures[]): QualityMark[][] {
  const usual = pictures.length > 2 ? median(pictures.map(({ sharpness }) => sharpness)) : 0;
  return pictures.map(({ sharpness, light, glare }) => [
    ...(sharpness < Math.max(blurFloor, blurShare * usual) ? (["blurred"] as const) : []),
    ...(light < darkBelow ? (["dark"] as const) : []),
    ...(light > brightAbove || glare > glareAbove ? (["bright"] as const) : []),
  ]);
}
