import { turnPlane } from "../quarter-turns.ts";
import { type Batch, type BatchData, between, changeEach, changeSome, checkRange, invalid } from "./batch.ts";

export interface CropOptions {
  /** Pixels added on each side before a window of the old size is cut, ≥ 0. */
  readonly padding: number;
  /** Value of the added pixels. Default 0. */
  readonly fill?: number;
}

/** Shifts each picture by up to `padding` pixels each way; what was outside is `fill`. */
export function randomCrop<T extends BatchData>(
  batch: Batch<T>,
  { padding, fill = 0 }: CropOptions,
  seed: number,
): Batch<T> {
  const { channels, height, width } = batch;
  if (!Number.isInteger(padding)) throw invalid("whole pixels of padding", `${padding}`);
  checkRange("padding", padding, 0, Math.min(height, width) - 1);
  return changeEach(batch, seed, (source, target, at, rng) => {
    const dy = rng.int(2 * padding + 1) - padding;
    const dx = rng.int(2 * padding + 1) - padding;
    target.fill(fill, at, at + channels * height * width);
    const top = Math.max(0, -dy);
    const bottom = Math.min(height, height - dy);
    const left = Math.max(0, -dx);
    const columns = Math.min(width, width - dx) - left;
    for (let c = 0; c < channels; c++)
      for (let y = top; y < bottom; y++) {
        const from = at + (c * height + y + dy) * width + left + dx;
        target.set(source.subarray(from, from + columns), at + (c * height + y) * width + left);
      }
  });
}

export interface FlipOptions {
  readonly axis: "horizontal" | "vertical";
  /** Default 0.5. */
  readonly probability?: number;
}

/** Mirrors pictures left to right (`horizontal`) or top to bottom. */
export function randomFlip<T extends BatchData>(
  batch: Batch<T>,
  { axis, probability = 0.5 }: FlipOptions,
  seed: number,
): Batch<T> {
  const { channels, height, width } = batch;
  return changeSome(batch, probability, seed, (source, target, at) => {
    for (let row = 0; row < channels * height; row++) {
      const y = row % height;
      const to = at + row * width;
      if (axis === "vertical") {
        const from = at + (row - y + height - 1 - y) * width;
        target.set(source.subarray(from, from + width), to);
      } else for (let x = 0; x < width; x++) target[to + x] = source[to + width - 1 - x]!;
    }
  });
}

/** Turns each picture by 0, 90, 180 or 270°. @throws INVALID_ARGUMENT when pictures are not square. */
export function randomQuarterTurns<T extends BatchData>(batch: Batch<T>, seed: number): Batch<T> {
  const { channels, height, width } = batch;
  if (height !== width) throw invalid("square pictures for quarter turns", `${height} × ${width}`);
  const plane = height * width;
  return changeEach(batch, seed, (source, target, at, rng) => {
    const turns = rng.int(4);
    for (let c = 0; c < channels; c++)
      turnPlane(source, at + c * plane, target, at + c * plane, height, turns);
  });
}

export interface RotateOptions {
  /** Largest angle either way, degrees, 0 to 180. */
  readonly degrees: number;
  /** Value of what comes in from outside. Default 0. */
  readonly fill?: number;
}

/** Turns each picture about its middle by an angle uniform in ± `degrees`, bilinear between pixel centres. */
export function randomRotate<T extends BatchData>(
  batch: Batch<T>,
  { degrees, fill = 0 }: RotateOptions,
  seed: number,
): Batch<T> {
  checkRange("degrees", degrees, 0, 180);
  const { channels, height, width } = batch;
  const plane = height * width;
  const rounding = batch.data instanceof Uint8Array ? 0.5 : 0;
  return changeEach(batch, seed, (source, target, at, rng) => {
    const angle = (between(rng, [-degrees, degrees]) * Math.PI) / 180;
    const cos = Math.cos(angle);
    const sin = Math.sin(angle);
    const cy = (height - 1) / 2;
    const cx = (width - 1) / 2;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const sy = cy + cos * (y - cy) + sin * (x - cx);
        const sx = cx - sin * (y - cy) + cos * (x - cx);
        const y0 = Math.floor(sy);
        const x0 = Math.floor(sx);
        const fy = sy - y0;
        const fx = sx - x0;
        const up = y0 >= 0 && y0 < height;
        const down = y0 >= -1 && y0 < height - 1;
        const left = x0 >= 0 && x0 < width;
        const right = x0 >= -1 && x0 < width - 1;
        let from = at + y0 * width + x0;
        let to = at + y * width + x;
        for (let c = 0; c < channels; c++, from += plane, to += plane) {
          const a = up && left ? source[from]! : fill;
          const b = up && right ? source[from + 1]! : fill;
          const d = down && left ? source[from + width]! : fill;
          const e = down && right ? source[from + width + 1]! : fill;
          const upper = a + (b - a) * fx;
          target[to] = upper + (d + (e - d) * fx - upper) * fy + rounding;
        }
      }
  });
}
