import type { Point } from "./plots/line-plot.ts";

/**
 * A long noisy curve as at most `bins` points: of as many runs of steps the mean, and the 5th and 95th percentile as
 * ends of the band. Curves shorter than that stay as they are, without a band.
 */
export function condense(
  points: readonly { readonly x: number; readonly y: number }[],
  bins = 120,
): readonly Point[] {
  if (points.length <= bins) return points;
  return Array.from({ length: bins }, (_, i) => {
    const part = points.slice(
      Math.floor((i * points.length) / bins),
      Math.floor(((i + 1) * points.length) / bins),
    );
    const sorted = part.map(({ y }) => y).sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))]!;
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    return { x: mean(part.map(({ x }) => x)), y: mean(sorted), low: at(0.05), high: at(0.95) };
  });
}
