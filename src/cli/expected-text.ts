import type { CountedShare, ExpectedRates, Limit } from "../fewshot/index.ts";
import type { Context } from "./context.ts";
import { oneLine, percent, plural, table } from "./text.ts";

const shareText = (share: CountedShare | null): string =>
  share === null || share.of === 0
    ? "–"
    : `${percent(share.hits / share.of)} (${share.hits} of ${share.of}; ${percent(share.interval[0], 0)} to ${percent(share.interval[1], 0)})`;

/** Both rates of a gallery at one stated rate, in a sentence. */
export function expectedSentence({ rates }: ExpectedRates<string>, stated: number): string {
  const at = rates.find((rate) => rate.stated === stated);
  if (!at || at.falseReject.of === 0)
    return "Nothing can be said yet of known and unknown parts: show at least two pictures of a class.";
  const known = `of known parts about ${percent(at.falseReject.hits / at.falseReject.of, 0)} called unknown`;
  return at.caught
    ? `Of parts never shown about ${percent(at.caught.hits / at.caught.of, 0)} would be caught (each class in turn as the stranger), ${known}.`
    : `With one class, ${known}; of parts never shown nothing can be said before there is a second.`;
}

/** The sentence, the table of rates, and which class lets strangers in. */
export function printExpected(
  { print, paint }: Pick<Context, "print" | "paint">,
  expected: ExpectedRates<string>,
  stated: number,
): void {
  print(expectedSentence(expected, stated));
  if (expected.rates.every(({ falseReject }) => falseReject.of === 0)) return;
  print("");
  print(
    table(
      ["stated", "known parts called unknown", "parts never shown that are caught"],
      expected.rates.map((rate) => [
        `${percent(rate.stated, 0)}${rate.stated === stated ? " (in use)" : ""}`,
        shareText(rate.falseReject),
        shareText(rate.caught),
      ]),
      paint,
    ),
  );
  if (expected.strangers.length === 0) return;
  print("");
  print(
    table(
      [`as a stranger, at ${percent(stated, 0)}`, "caught", "let in by"],
      expected.strangers.map(({ label, caught, takenBy }) => [
        oneLine(label),
        `${caught.hits} of ${caught.of}`,
        takenBy ? `${oneLine(takenBy.label)} (${takenBy.pictures})` : "",
      ]),
      paint,
    ),
  );
}

/** What the rates were made from. */
export const expectedBasis = ({ pictures, classes }: ExpectedRates<string>): string =>
  `from ${plural(pictures, "picture")} of ${plural(classes, "class", "classes")}`;

/** How sure the limit of a class is, and how many pictures make it surer. */
export function limitText({ threshold, source, pictures, rates, missing }: Limit, stated: number): string {
  const more = `${missing} more ${missing === 1 ? "picture brings" : "pictures bring"}`;
  if (threshold === null) return `no limit yet, so nothing is called unknown; ${more} a sure one`;
  if (rates === null)
    return `its limit is ${source === "prior" ? "the encoder's own guess" : "borrowed from the other classes"}; ${more} a sure one`;
  return `a stated ${percent(stated, 0)} means ${percent(rates[0], 1)} to ${percent(rates[1], 1)} with ${plural(pictures, "picture")}; ${more} it to at most ${percent(2 * stated, 0)}`;
}
