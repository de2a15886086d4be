import { html, type Markup } from "../markup.ts";
import { scaleOf } from "../scale.ts";
import { type Axes, axes } from "./axes.ts";

export interface HistogramBin {
  readonly from: number;
  readonly to: number;
  readonly n: number;
}

/** Sorts weighted values into about `count` bins of one round width. */
export function binsOf(
  values: readonly { readonly value: number; readonly n: number }[],
  count = 20,
): readonly HistogramBin[] {
  const { from, ticks } = scaleOf(
    values.map(({ value }) => value),
    {},
    count,
  );
  const width = ticks[1]! - ticks[0]!;
  const bins = Array.from({ length: Math.max(1, ticks.length - 1) }, (_, i) => ({
    from: from + i * width,
    to: from + (i + 1) * width,
    n: 0,
  }));
  for (const { value, n } of values) {
    // The upper end of the last bin belongs to it.
    const bin = Math.min(bins.length - 1, Math.floor((value - from) / width + 1e-9));
    bins[bin]!.n += n;
  }
  return bins;
}

/** Standing bars, side by side, with a line at `mark`. */
export function histogram({
  bins,
  mark,
  ...rest
}: Pick<Axes, "title" | "xLabel" | "yLabel"> & {
  readonly bins: readonly HistogramBin[];
  readonly mark?: number;
}): Markup {
  const x = scaleOf(
    bins.flatMap(({ from, to }) => [from, to]),
    { from: bins[0]?.from ?? 0, to: bins.at(-1)?.to ?? 1 },
  );
  const y = scaleOf(
    bins.map(({ n }) => n),
    { from: 0 },
  );
  return axes(
    { ...rest, x, y },
    (at) =>
      html`<g class="s0">${bins.map(
        ({ from, to, n }) =>
          n > 0 &&
          html`<rect class="bar" x="${at.x(from) + 0.5}" y="${at.y(n)}" width="${Math.max(0.5, at.x(to) - at.x(from) - 1)}" height="${at.y(0) - at.y(n)}"><title>${n}</title></rect>`,
      )}</g>${mark !== undefined && html`<line class="mark" x1="${at.x(mark)}" x2="${at.x(mark)}" y1="${at.y(y.to)}" y2="${at.y(0)}"/>`}`,
  );
}
