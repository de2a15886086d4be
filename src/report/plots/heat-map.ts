import { html, type Markup } from "../markup.ts";
import { short } from "./bar-plot.ts";

/** Signs of a name. */
const longest = 22;

/** A confusion matrix: rows are true classes, columns what was answered, the shade the share of the row. */
export function heatMap({
  title,
  labels,
  counts,
  totals,
  rowLabel,
  columnLabel,
}: {
  readonly title: string;
  readonly labels: readonly string[];
  readonly counts: readonly (readonly number[])[];
  /** Of each row, with what is answered outside these columns. */
  readonly totals: readonly number[];
  readonly rowLabel: string;
  readonly columnLabel: string;
}): Markup {
  const n = labels.length;
  const cell = Math.max(13, Math.min(40, Math.floor(400 / n)));
  // Room for the names, about six units a sign.
  const signs = Math.min(longest, Math.max(...labels.map((label) => [...label].length)));
  const left = 26 + signs * 6.6;
  const top = 26 + signs * 4.9;
  const [width, height] = [left + n * cell + signs * 4.2, top + n * cell + 4];
  const written = cell >= 26;
  return html`<svg viewBox="0 0 ${Math.ceil(width)} ${Math.ceil(height)}" style="max-width:${Math.ceil(width * 1.15)}px" role="img" aria-label="${title}">
<text class="label" transform="translate(12 ${top + (n * cell) / 2}) rotate(-90)" text-anchor="middle">${rowLabel}</text>
<text class="label" x="${left + (n * cell) / 2}" y="12" text-anchor="middle">${columnLabel}</text>
${labels.map((label, i) => {
  const y = top + (i + 0.5) * cell;
  const x = left + (i + 0.5) * cell;
  return html`<text class="name" x="${left - 6}" y="${y + 4}" text-anchor="end"><title>${label}</title>${short(label, longest)}</text><text class="name" transform="translate(${x + 2} ${top - 6}) rotate(-45)"><title>${label}</title>${short(label, longest)}</text>`;
})}
<g class="heat">${counts.map((row, i) => {
    const total = totals[i]!;
    return row.map((count, j) => {
      const share = total > 0 ? count / total : 0;
      const [x, y] = [left + j * cell, top + i * cell];
      return html`<rect class="${i === j ? "hit" : "miss"}" fill-opacity="${share.toFixed(3)}" x="${x}" y="${y}" width="${cell - 1}" height="${cell - 1}"><title>${labels[i]!} → ${labels[j]!}: ${count}</title></rect>${
        written &&
        count > 0 &&
        html`<text class="${share > 0.75 ? "on" : "off"}" x="${x + (cell - 1) / 2}" y="${y + cell / 2 + 3}" text-anchor="middle">${(100 * share).toFixed(share < 0.095 ? 1 : 0)}</text>`
      }`;
    });
  })}</g>
</svg>`;
}
