/** Colours for a terminal; the identity where there shall be none. */
export interface Paint {
  green(text: string): string;
  yellow(text: string): string;
  red(text: string): string;
  bold(text: string): string;
  dim(text: string): string;
}

export function createPaint(on: boolean): Paint {
  const style = (open: number, close: number) => (text: string) =>
    on ? `\u001b[${open}m${text}\u001b[${close}m` : text;
  return {
    green: style(32, 39),
    yellow: style(33, 39),
    red: style(31, 39),
    bold: style(1, 22),
    dim: style(2, 22),
  };
}

/** Text from outside on one line: a control character would move the cursor or change the terminal's colours. */
export const oneLine = (text: string): string => text.replace(/\p{Cc}/gu, "?");

const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60]/u;
const invisible = /\p{Cc}\[\d+m|[\p{Mn}\p{Me}\p{Cf}]/gu;

/** Columns that a terminal needs for the text. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text.replace(invisible, "")) width += wide.test(char) ? 2 : 1;
  return width;
}

/** Cuts to `width` columns with `…`: the end, or the start, as for a path, whose end says more. */
export function shorten(text: string, width: number, cut: "end" | "start" = "end"): string {
  if (displayWidth(text) <= width) return text;
  const chars = [...text];
  if (cut === "start") chars.reverse();
  const kept: string[] = [];
  let used = 1;
  for (const char of chars) {
    used += displayWidth(char);
    if (used > width) break;
    kept.push(char);
  }
  return cut === "end" ? `${kept.join("")}…` : `…${kept.reverse().join("")}`;
}

/** Fills with blanks to `width` columns, or shortens. */
export function fitTo(text: string, width: number, align: "left" | "right" = "left"): string {
  const short = shorten(text, width);
  const blanks = " ".repeat(width - displayWidth(short));
  return align === "left" ? short + blanks : blanks + short;
}

/** Aligned columns with a head; a column of numbers alone stands to the right. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  paint: Paint,
): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === "number" ? String(cell) : cell)));
  const widths = head.map((title, i) =>
    Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[i]!))),
  );
  const aligns = head.map((_, i) =>
    rows.length > 0 && cells.every((row) => /^[-+]?[\d.,]*( ?%)?$/.test(row[i]!)) ? "right" : "left",
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => fitTo(cell, widths[i]!, aligns[i] as "left" | "right"))
      .join("  ")
      .trimEnd();
  return [paint.bold(line(head)), ...cells.map(line)].join("\n");
}

export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;

export const plural = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = -1;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

export const timeText = (ms: number): string => new Date(ms).toISOString().replace("T", " ").slice(0, 19);
