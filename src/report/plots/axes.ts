import { html, type Markup } from "../markup.ts";
import { numberText, type Scale } from "../scale.ts";

export interface Axes {
  /** Said by screen readers instead of the picture. */
  readonly title: string;
  readonly x: Scale;
  readonly y: Scale;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Default 560 × 270. */
  readonly width?: number;
  readonly height?: number;
}

const margin = { right: 16, top: 12, bottom: 44 };
/** Of a digit. */
const signWidth = 6.6;

/** Places on the page, in the picture's units. */
export interface Places {
  x(value: number): number;
  y(value: number): number;
}

/** Hundredths are finer than any screen. */
export const round = (value: number): number => Math.round(value * 100) / 100;

/** A picture with two axes and their grid; `draw` fills it. */
export function axes(
  { title, x, y, xLabel, yLabel, width = 560, height = 270 }: Axes,
  draw: (places: Places) => Markup,
): Markup {
  const yTicks = y.ticks.map((tick) => numberText(tick, y.digits));
  const left = Math.ceil(34 + signWidth * Math.max(...yTicks.map((text) => text.length)));
  const [right, bottom] = [width - margin.right, height - margin.bottom];
  const places: Places = {
    x: (value) => round(left + x.at(value) * (right - left)),
    // What lies outside is drawn at the edge.
    y: (value) => round(bottom - Math.min(1, Math.max(0, y.at(value))) * (bottom - margin.top)),
  };
  return html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">
<g class="grid">${y.ticks.map((tick) => html`<line x1="${left}" x2="${right}" y1="${places.y(tick)}" y2="${places.y(tick)}"/>`)}</g>
<g class="tick">${y.ticks.map((tick, i) => html`<text x="${left - 8}" y="${places.y(tick) + 4}" text-anchor="end">${yTicks[i]!}</text>`)}
${x.ticks.map((tick) => html`<text x="${places.x(tick)}" y="${bottom + 17}" text-anchor="middle">${numberText(tick, x.digits)}</text>`)}</g>
${draw(places)}
<line class="axis" x1="${left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>
<text class="label" x="${(left + right) / 2}" y="${height - 6}" text-anchor="middle">${xLabel}</text>
<text class="label" transform="translate(13 ${(margin.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${yLabel}</text>
</svg>`;
}
