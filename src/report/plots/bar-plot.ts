import { html, type Markup } from "../markup.ts";
import { round } from "./axes.ts";

export interface Bar {
  readonly name: string;
  /** 0 … 1. */
  readonly share: number;
  /** Behind the bar. */
  readonly text: string;
}

const [width, left, right, row] = [560, 214, 66, 22];

/** The end of a name that is too long for its place; the whole is its tooltip. */
export const short = (name: string, signs: number): string => {
  const chars = [...name];
  return chars.length <= signs ? name : `${chars.slice(0, signs - 1).join("")}…`;
};

/** Lying bars, one a name. */
export function barPlot({ title, bars }: { readonly title: string; readonly bars: readonly Bar[] }): Markup {
  const height = bars.length * row + 6;
  const room = width - left - right;
  return html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">
<g class="s0">${bars.map(({ name, share, text }, i) => {
    const y = i * row + 3;
    const length = round(Math.min(1, Math.max(0, share)) * room);
    return html`<rect class="track" x="${left}" y="${y + 3}" width="${room}" height="14" rx="2"/><rect class="bar" x="${left}" y="${y + 3}" width="${length}" height="14" rx="2"/><text class="name" x="${left - 8}" y="${y + 14}" text-anchor="end"><title>${name}</title>${short(name, 33)}</text><text class="value" x="${width - right + 8}" y="${y + 14}">${text}</text>`;
  })}</g>
</svg>`;
}
