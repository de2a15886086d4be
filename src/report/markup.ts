/** A piece of HTML or SVG. */
export interface Markup {
  readonly markup: string;
}

type Part = Markup | string | number | false | undefined | readonly Part[];

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** What a page may not hold (control characters, halves of a character) or what turns the text around it. */
const unfit = /(?![\t\n\r])\p{Cc}|\p{Cs}|[\u202a-\u202e\u2066-\u2069\ufffe\uffff]/gu;

const escaped = (text: string): string =>
  text.replace(unfit, "\ufffd").replace(/[&<>"']/g, (char) => entities[char]!);

function textOf(part: Part): string {
  if (part === false || part === undefined) return "";
  if (typeof part === "string") return escaped(part);
  if (typeof part === "number") return String(part);
  return "markup" in part ? part.markup : part.map(textOf).join("");
}

/** Markup from a template. Every text that is put in is escaped; `false` and `undefined` are nothing. */
export const html = (template: TemplateStringsArray, ...parts: readonly Part[]): Markup => ({
  markup: String.raw({ raw: template }, ...parts.map(textOf)),
});
