import type { Evaluated } from "./evaluation.ts";
import { evaluationSection, resultsTable, shotFigure } from "./evaluation-section.ts";
import { html, type Markup } from "./markup.ts";
import type { Run } from "./run.ts";
import { runSection } from "./run-section.ts";
import { style } from "./style.ts";
import { type Language, wordsOf } from "./words.ts";

export interface ReportContent {
  readonly runs: readonly Run[];
  readonly evaluations: readonly Evaluated[];
  /** Of headings and labels. Default English. */
  readonly language?: Language;
  /** Default: the names of what is in it. */
  readonly title?: string;
}

/** A report as one HTML page that needs no other file, no script and no network. */
export function renderReport({ runs, evaluations, language = "en", title }: ReportContent): string {
  const words = wordsOf(language);
  const heading = title ?? [...runs, ...evaluations].map(({ name }) => name).join(" · ");
  const shots = evaluations.length > 1 ? shotFigure(words, evaluations) : undefined;
  const compared =
    evaluations.length > 1 &&
    html`<section><h2>${words.evaluations}</h2>
${resultsTable(words, evaluations)}
${shots && html`<div class="figures">${shots}</div>`}</section>\n`;
  return page(
    language,
    heading,
    html`<p class="made">${words.report}</p>
${runs.map((run) => runSection(words, run))}${compared}${evaluations.map((one) => evaluationSection(words, one))}`,
  );
}

/** A whole page around its sections. */
export function page(language: Language, heading: string, sections: Markup): string {
  return `<!doctype html>\n${
    html`<html lang="${language === "zh" ? "zh-Hans" : "en"}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${heading}</title>
<style>${style}</style>
</head>
<body><main>
<h1>${heading}</h1>
${sections}</main></body>
</html>`.markup
  }\n`;
}
