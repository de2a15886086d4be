import { html, type Markup } from "./markup.ts";
import type { Words } from "./words.ts";

export type Cell = string | number;

/** A table whose columns of numbers stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): Markup {
  const right = head.map((_, i) =>
    rows.every((row) => /^[−-]?[\d.,\u2009]*( ?%)?( ± [\d.]+( %)?)?$|^–$/.test(String(row[i]))),
  );
  const side = (i: number) => right[i] && html` class="n"`;
  return html`<div class="scroll"><table><thead><tr>${head.map((cell, i) => html`<th scope="col"${side(i)}>${cell}</th>`)}</tr></thead><tbody>
${rows.map((row) => html`<tr>${row.map((cell, i) => html`<td${side(i)}>${cell}</td>`)}</tr>\n`)}</tbody></table></div>`;
}

/** A picture with its title, its legend, a remark, and its numbers as a table that opens. */
export function figure(
  words: Words,
  {
    title,
    plot,
    legend = [],
    note,
    numbers,
    wide = false,
  }: {
    readonly title: string;
    readonly plot: Markup;
    readonly legend?: readonly string[];
    readonly note?: string;
    readonly numbers: Markup;
    readonly wide?: boolean;
  },
): Markup {
  return html`<figure${wide && html` class="wide"`}><figcaption>${title}</figcaption>
${legend.length > 0 && html`<ul class="legend">${legend.map((name, i) => html`<li class="s${i % 6}">${name}</li>`)}</ul>`}${plot}
${note !== undefined && html`<p class="note">${note}</p>`}<details><summary>${words.numbers}</summary>${numbers}</details></figure>\n`;
}

/** Pairs of a name and a value, large. */
export const tiles = (pairs: readonly (readonly [name: string, value: string])[]): Markup =>
  html`<dl class="tiles">${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** An object as rows of a dotted name and a value. */
export function flatten(value: unknown, path = ""): readonly (readonly [string, string])[] {
  const plain = Array.isArray(value) && value.every((item) => typeof item !== "object" || item === null);
  if (plain) return [[path, value.join(", ")]];
  if (typeof value !== "object" || value === null) return [[path, value === null ? "–" : String(value)]];
  return Object.entries(value).flatMap(([key, inside]) =>
    flatten(inside, path === "" ? key : `${path}.${key}`),
  );
}

/** Data that opens. */
export const folded = (title: string, words: Words, value: unknown): Markup =>
  html`<details class="folded"><summary>${title}</summary>${table([words.name, words.value], flatten(value))}</details>`;
