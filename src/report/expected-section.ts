import type { CountedRate } from "../monitor/index.ts";
import { intervalText, percentText, shareText } from "./counted.ts";
import { html, type Markup } from "./markup.ts";
import type { MonitorWords } from "./monitor-words.ts";
import { type Cell, table } from "./parts.ts";

/** What is to be expected of new frames; as `galleryRates` of the recognizer gives it. */
export interface ExpectedContent {
  /** Pictures and classes that were looked at. */
  readonly pictures: number;
  readonly classes: number;
  /** At several stated rates, that of the decision among them. */
  readonly rates: readonly {
    readonly stated: number;
    /** Known pictures called unknown. */
    readonly falseReject: CountedRate;
    /** Pictures of parts never shown called unknown; `null` with one class. */
    readonly caught: CountedRate | null;
  }[];
  /** Classes as strangers to the others, at the decision's rate, the least caught first. */
  readonly strangers: readonly {
    readonly label: string;
    readonly caught: CountedRate;
    readonly takenBy: { readonly label: string; readonly pictures: number } | null;
  }[];
}

/** A whole percentage where it is one. */
const statedText = (rate: number): string => `${Number((100 * rate).toFixed(1))}\u00a0%`;

/** Both rates in one sentence, at each stated rate, and which class lets strangers in. */
export function expectedSection(words: MonitorWords, expected: ExpectedContent, stated: number): Markup {
  const at = expected.rates.find((rate) => rate.stated === stated);
  const sentence =
    !at || at.falseReject.of === 0
      ? words.nothingExpected
      : at.caught
        ? words.expectedBoth(percentText(at.caught), percentText(at.falseReject))
        : words.expectedOne(percentText(at.falseReject));
  const cells = (rate: CountedRate | null): readonly Cell[] =>
    rate && rate.of > 0 ? [percentText(rate), shareText(rate), intervalText(rate)] : ["–", "–", "–"];
  const rates = table(
    [
      words.stated,
      ...[words.caught, words.ofPictures, words.interval],
      ...[words.rejected, words.ofPictures, words.interval],
      words.inUse,
    ],
    expected.rates.map((rate): readonly Cell[] => [
      statedText(rate.stated),
      ...cells(rate.caught),
      ...cells(rate.falseReject),
      rate.stated === stated ? words.yes : "–",
    ]),
  );
  const strangers = table(
    [words.stranger, words.strangerCaught, words.interval, words.takenBy],
    expected.strangers.map(({ label, caught, takenBy }): readonly Cell[] => [
      label,
      shareText(caught),
      intervalText(caught),
      takenBy ? `${takenBy.label} (${takenBy.pictures})` : "–",
    ]),
  );
  return html`<section><h2>${words.expected}</h2>
<p><strong>${sentence}</strong></p>
<p class="note">${words.expectedNote(expected.pictures, expected.classes)}</p>
${expected.pictures > 0 && rates}
${
  expected.strangers.length > 0 &&
  html`<h3>${words.strangers}</h3>
<p class="note">${words.strangersNote}</p>
${strangers}`
}</section>\n`;
}
