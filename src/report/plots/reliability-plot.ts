import { html, type Markup } from "../markup.ts";
import { scaleOf } from "../scale.ts";
import { type Axes, axes } from "./axes.ts";

/** Percentages, and how many answers stand behind them. */
export interface Calibrated {
  readonly from: number;
  readonly to: number;
  readonly confidence: number;
  readonly accuracy: number;
  readonly n: number;
}

/** Accuracy over confidence: a bar a bin, as strong as its share of all answers, and the diagonal of an honest model. */
export function reliabilityPlot({
  bins,
  ...rest
}: Pick<Axes, "title" | "xLabel" | "yLabel"> & { readonly bins: readonly Calibrated[] }): Markup {
  const scale = scaleOf([], { from: 0, to: 100 });
  const most = Math.max(...bins.map(({ n }) => n));
  return axes(
    { ...rest, x: scale, y: scale },
    (at) =>
      html`<g class="s0">${bins.map(({ from, to, accuracy, n }) => {
        const strength = (0.25 + 0.75 * Math.sqrt(n / most)).toFixed(2);
        return html`<rect class="bar" fill-opacity="${strength}" x="${at.x(from) + 0.5}" y="${at.y(accuracy)}" width="${Math.max(0.5, at.x(to) - at.x(from) - 1)}" height="${at.y(0) - at.y(accuracy)}"><title>${n}</title></rect>`;
      })}</g><line class="mark" x1="${at.x(0)}" x2="${at.x(100)}" y1="${at.y(0)}" y2="${at.y(100)}"/><g class="s1">${bins.map(
        ({ confidence, accuracy }) =>
          html`<circle class="dot" cx="${at.x(confidence)}" cy="${at.y(accuracy)}" r="3"/>`,
      )}</g>`,
  );
}
