import type { Point } from "./plots/line-plot.ts";

/** What stands for the steps of a bin: the mean with a band, or the median, which one slow step leaves where it is. */
export type Centre = "mean" | "median";

type Plain = readonly { readonly x: number; readonly y: number }[];

/**
 * A long noisy curve as at most `bins` points: the mean of as many runs of steps, with the 5th and 95th percentile as
 * ends of the band, or their median alone. Curves shorter than that stay as they are, without a band.
 */
export function condense(points: Plain, centre: Centre = "mean", bins = 120): readonly Point[] {
  if (points.length <= bins) return points;
  return Array.from({ length: bins }, (_, i) => {
    const part = points.slice(
      Math.floor((i * points.length) / bins),
      Math.floor(((i + 1) * points.length) / bins),
    );
    const sorted = part.map(({ y }) => y).sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))]!;
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    const x = mean(part.map((point) => point.x));
    return centre === "median" ? { x, y: at(0.5) } : { x, y: mean(sorted), low: at(0.05), high: at(0.95) };
  });
}

/** The ends and corners of a curve that is level for long: what is left out lies on the lines between. */
export const corners = (points: Plain): Plain =>
  points.filter(({ y }, i) => y !== points[i - 1]?.y || y !== points[i + 1]?.y);
