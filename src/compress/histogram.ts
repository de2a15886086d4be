/** What a value came to over the calibration pictures. */
export interface Histogram {
  readonly min: number;
  readonly max: number;
  /** Largest absolute value, above 0. */
  readonly bound: number;
  /** Equal bins: {@link BINS} over 0 … bound where nothing is negative, else twice as many over −bound … bound. */
  readonly counts: Float64Array;
}

/** The numbers that are kept apart; what lies beyond is cut off. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** As TensorRT takes them. */
export const BINS = 2048;

/** How a range is chosen from what was seen. */
export type RangeRule = (seen: Histogram) => Range;

export const isSigned = ({ min }: Pick<Histogram, "min">): boolean => min < 0;

export function emptyHistogram(min: number, max: number): Histogram {
  const bound = Math.max(Math.abs(min), Math.abs(max)) || 1;
  return { min, max, bound, counts: new Float64Array(isSigned({ min }) ? 2 * BINS : BINS) };
}

/** Counts `values` in. */
export function count({ min, bound, counts }: Histogram, values: Float32Array): void {
  const from = isSigned({ min }) ? -bound : 0;
  const perUnit = counts.length / (bound - from);
  const last = counts.length - 1;
  for (const value of values) {
    const bin = Math.floor((value - from) * perUnit);
    counts[Math.max(0, Math.min(bin, last))]!++;
  }
}
