import { html, type Markup } from "../markup.ts";
import { scaleOf } from "../scale.ts";
import { type Axes, axes, type Places } from "./axes.ts";

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Ends of the interval around `y`. */
  readonly low?: number;
  readonly high?: number;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
  /** A dot at each point; for few points. */
  readonly dots?: boolean;
}

/** Lines over numbers, each with the band of its intervals. */
export function linePlot({
  series,
  yEnds = {},
  xTicks,
  ...rest
}: Pick<Axes, "title" | "xLabel" | "yLabel"> & {
  readonly series: readonly Series[];
  readonly yEnds?: { readonly from?: number; readonly to?: number };
  /** Instead of round numbers, and where these values are all there are. */
  readonly xTicks?: readonly number[];
}): Markup {
  const points = series.flatMap((one) => one.points);
  const y = scaleOf(
    points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]),
    yEnds,
  );
  const xs = points.map(({ x }) => x);
  // Lines go from edge to edge; a single place gets some air.
  const single = new Set(xs).size < 2;
  const x = scaleOf(xs, single ? {} : { from: Math.min(...xs), to: Math.max(...xs) });
  return axes(
    { ...rest, x: xTicks ? { ...x, ticks: xTicks, digits: 0 } : x, y },
    (at) => html`${series.map((one, i) => html`<g class="s${i % 6}">${drawn(one, at)}</g>`)}`,
  );
}

function drawn({ points, dots }: Series, at: Places): Markup {
  const place = (x: number, y: number): string => `${at.x(x)},${at.y(y)}`;
  const line = points.map(({ x, y }) => place(x, y));
  const band = [
    ...points.map(({ x, y, high = y }) => place(x, high)),
    ...points.map(({ x, y, low = y }) => place(x, low)).reverse(),
  ];
  const wide = points.some(({ low, high }) => low !== undefined || high !== undefined);
  return html`${wide && html`<polygon class="band" points="${band.join(" ")}"/>`}<polyline class="line" points="${line.join(" ")}"/>${
    dots &&
    points.map(
      ({ x, y, low, high }) =>
        html`<line class="whisker" x1="${at.x(x)}" x2="${at.x(x)}" y1="${at.y(low ?? y)}" y2="${at.y(high ?? y)}"/><circle class="dot" cx="${at.x(x)}" cy="${at.y(y)}" r="3.5"/>`,
    )
  }`;
}
