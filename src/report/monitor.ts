import type { ClassQuality, HeldOutRates, PairedChange, WatchState } from "../monitor/index.ts";
import { intervalText, percentOf, rateOf, shareText } from "./counted.ts";
import { type ExpectedContent, expectedSection } from "./expected-section.ts";
import { html, type Markup } from "./markup.ts";
import { type MonitorWords, monitorWords } from "./monitor-words.ts";
import { page } from "./page.ts";
import { type Cell, figure, table, tiles } from "./parts.ts";
import { barPlot } from "./plots/bar-plot.ts";
import { linePlot, type Series } from "./plots/line-plot.ts";
import { type Language, wordsOf } from "./words.ts";

export interface MonitorContent {
  readonly gallery: string;
  readonly model: string;
  readonly revision: number;
  /** As of when, for the reader. */
  readonly time: string;
  /** Of the decision: the share of frames of known classes that may be called unknown. */
  readonly falseRejectRate: number;
  readonly expected: ExpectedContent;
  /** The worst first. */
  readonly quality: readonly ClassQuality[];
  /** Name of the gallery of held-out pictures. */
  readonly heldOutName: string;
  /** Oldest first; `null` where there are no held-out pictures. */
  readonly heldOut: {
    readonly pictures: number;
    readonly shown: number;
    readonly evaluations: readonly (HeldOutRates & {
      readonly revision: number;
      readonly change: PairedChange | null;
    })[];
  } | null;
  readonly drift: (WatchState & { readonly revision: number | null; readonly text: string | null }) | null;
  /** Default English. */
  readonly language?: Language;
}

/** The figures of a gallery and its line as one HTML page that needs no other file, no script and no network. */
export function renderMonitor(content: MonitorContent): string {
  const { gallery, model, revision, quality, time, language = "en" } = content;
  const words = monitorWords(language);
  const bad = quality.filter(({ verdict }) => verdict === "bad").length;
  const pictures = quality.reduce((sum, one) => sum + one.pictures, 0);
  return page(
    language,
    words.title(gallery),
    html`<section>${tiles([
      [words.model, model],
      [words.revision, String(revision)],
      [words.classes, String(quality.length)],
      [words.pictures, String(pictures)],
      [words.bad, String(bad)],
      [words.time, time],
    ])}</section>
${expectedSection(words, content.expected, content.falseRejectRate)}${qualitySection(words, quality, language)}${heldOutSection(words, content, language)}${driftSection(words, content.drift, language)}`,
  );
}

function qualitySection(words: MonitorWords, quality: readonly ClassQuality[], language: Language): Markup {
  const advice = quality.flatMap((one) => {
    const text = words.advice(one);
    return text === null ? [] : [{ label: one.label, text }];
  });
  const numbers = table(
    [
      words.class,
      words.verdict,
      words.pictures,
      words.right,
      words.interval,
      words.wrong,
      words.unknown,
      words.ambiguous,
      words.confidence,
      words.confusable,
    ],
    quality.map((one): readonly Cell[] => [
      one.label,
      words.verdicts[one.verdict],
      one.pictures,
      shareText(one.right),
      intervalText(one.right),
      shareText(one.wrong),
      shareText(one.unknown),
      shareText(one.ambiguous),
      one.meanConfidence.toFixed(2),
      one.confusable ? `${one.confusable.label} (${one.confusable.pictures})` : "–",
    ]),
  );
  return html`<section><h2>${words.quality}</h2>
<p class="note">${words.qualityNote}</p>
${numbers}
<h3>${words.todo}</h3>
${advice.length === 0 ? html`<p>${words.allGood}</p>` : html`<dl class="advice">${advice.map(({ label, text }) => html`<dt>${label}</dt><dd>${text}</dd>`)}</dl>`}
${
  quality.length > 0 &&
  html`<div class="figures">${figure(wordsOf(language), {
    title: words.qualityFigure,
    plot: barPlot({
      title: words.qualityFigure,
      bars: quality.map(({ label, right }) => ({
        name: label,
        share: rateOf(right),
        text: right.of === 0 ? "–" : `${percentOf(rateOf(right)).toFixed(0)} %`,
      })),
    }),
    numbers: table(
      [words.class, words.right, words.interval],
      quality.map(({ label, right }) => [label, shareText(right), intervalText(right)]),
    ),
  })}</div>`
}</section>\n`;
}

const heldOutRates = ["right", "falseReject", "falseAccept"] as const;

function heldOutSection(
  words: MonitorWords,
  { heldOut, heldOutName }: MonitorContent,
  language: Language,
): Markup {
  if (!heldOut)
    return html`<section><h2>${words.heldOut}</h2><p class="note">${words.noHeldOut(heldOutName)}</p></section>\n`;
  const names = { right: words.accuracy, falseReject: words.falseReject, falseAccept: words.falseAccept };
  const series: Series[] = heldOutRates.map((rate) => ({
    name: names[rate],
    dots: true,
    points: heldOut.evaluations
      .filter((one) => one[rate].of > 0)
      .map((one) => ({
        x: one.revision,
        y: percentOf(rateOf(one[rate])),
        low: percentOf(one[rate].interval[0]),
        high: percentOf(one[rate].interval[1]),
      })),
  }));
  const numbers = table(
    [
      words.revision,
      ...heldOutRates.flatMap((rate) => [names[rate], words.interval]),
      words.lost,
      words.gained,
      words.pValue,
    ],
    heldOut.evaluations.map((one): readonly Cell[] => [
      one.revision,
      ...heldOutRates.flatMap((rate) => [shareText(one[rate]), intervalText(one[rate])]),
      one.change?.lost ?? "–",
      one.change?.gained ?? "–",
      one.change ? one.change.pValue.toFixed(3) : "–",
    ]),
  );
  const shown = heldOut.shown > 0 ? words.shown(heldOut.shown) : "";
  return html`<section><h2>${words.heldOut}</h2>
<p class="note">${words.heldOutNote(heldOut.pictures, heldOutName)}${shown}</p>
${numbers}
${
  heldOut.evaluations.length > 0 &&
  html`<div class="figures">${figure(wordsOf(language), {
    title: words.rates,
    legend: series.map(({ name }) => name),
    plot: linePlot({
      title: words.rates,
      xLabel: words.revision,
      yLabel: words.percent,
      series,
      yEnds: { from: 0, to: 100 },
      xTicks: ticksOf(heldOut.evaluations.map(({ revision }) => revision)),
    }),
    numbers,
  })}</div>`
}</section>\n`;
}

/** At most about a dozen of them. */
const ticksOf = (numbers: readonly number[]): number[] => {
  const every = Math.ceil(numbers.length / 12);
  return numbers.filter((_, i) => i % every === 0);
};

/** Evidence beyond is drawn there, so that a window without doubt does not flatten the others. */
const mostEvidence = 6;

function driftSection(words: MonitorWords, drift: MonitorContent["drift"], language: Language): Markup {
  if (!drift) return html`<section><h2>${words.drift}</h2><p class="note">${words.noDrift}</p></section>\n`;
  const { reference, window, judged, level, windows } = drift;
  const note =
    drift.phase === "learning"
      ? words.learning(reference.frames, reference.of)
      : words.reference(reference.of, drift.revision);
  const least = (findings: WatchState["judged"][number]["findings"]): number =>
    Math.min(1, ...findings.map(({ adjusted }) => adjusted));
  const last = judged.at(-1);
  const alarmed = judged.findLast(({ alarm }) => alarm);
  const unknown: Series[] = [
    {
      name: words.unknown,
      dots: true,
      points: judged.map(({ frame, unknownRate }) => ({ x: frame, y: percentOf(unknownRate) })),
    },
  ];
  const evidence: Series[] = [
    {
      name: words.evidence(mostEvidence),
      dots: true,
      points: judged.map(({ frame, findings }) => ({
        x: frame,
        y: -Math.log10(Math.max(10 ** -mostEvidence, least(findings))),
      })),
    },
    {
      name: words.threshold,
      points: judged.map(({ frame }) => ({ x: frame, y: -Math.log10(level / windows) })),
    },
  ];
  const byWindow = table(
    [words.frame, words.unknown, words.pValue, words.alarmed],
    judged.map(({ frame, unknownRate, findings, alarm }): readonly Cell[] => [
      frame,
      `${percentOf(unknownRate).toFixed(1)} %`,
      pText(least(findings)),
      alarm ? words.yes : "–",
    ]),
  );
  return html`<section><h2>${words.drift}</h2>
<p><strong>${drift.alarm ? words.alarm : words.calm}</strong> ${alarmed && drift.text !== null && words.driftText(alarmed, drift.text)}</p>
<p class="note">${note}${words.level(`${percentOf(level).toFixed(1)}\u00a0%`, windows, window.of)}</p>
${
  last &&
  html`<div class="figures">${figure(wordsOf(language), {
    title: words.unknownRate,
    plot: linePlot({
      ...{ title: words.unknownRate, xLabel: words.frame, yLabel: words.percent, series: unknown },
      yEnds: { from: 0, to: 100 },
    }),
    numbers: byWindow,
  })}${figure(wordsOf(language), {
    title: words.pValues,
    legend: evidence.map(({ name }) => name),
    plot: linePlot({
      ...{ title: words.pValues, xLabel: words.frame, yLabel: "−log₁₀ p", series: evidence },
      yEnds: { from: 0 },
    }),
    numbers: byWindow,
  })}</div>
<h3>${words.last}</h3>
${table(
  [words.test, words.class, words.statistic, words.pValue, words.alarmed],
  last.findings.map(({ test, label, statistic, adjusted, alarm }): readonly Cell[] => [
    words.tests[test],
    label ?? "–",
    Math.abs(statistic) > 1e6 ? "∞" : statistic.toFixed(3),
    pText(adjusted),
    alarm ? words.yes : "–",
  ]),
)}`
}</section>\n`;
}

/** Beyond what a sum of rounded numbers can tell from 0. */
const smallestP = 1e-12;
const pText = (p: number): string =>
  p < smallestP ? `< ${smallestP}` : p < 0.001 ? p.toExponential(1) : p.toFixed(3);
