import type { ClassesReply } from "../../src/server/protocol.ts";
import { percent } from "./format.ts";
import type { Language, Words } from "./words/index.ts";

type Limit = NonNullable<ClassesReply["classes"][number]["limit"]>;

/** What a class's limit rests on, between which rates that lies, and how many pictures make it sure: full sentences. */
export function limitSentences(
  {
    source,
    rates,
    missing,
    frames = 0,
  }: Omit<Limit, "threshold" | "frames"> & Partial<Pick<Limit, "frames">>,
  t: Words,
  language: Language,
): readonly string[] {
  if (source === "none") return [t.limit.none];
  return [
    t.limit.source[source],
    ...(frames > 0 ? [t.limit.frames(frames)] : []),
    ...(rates ? [t.limit.rates(percent(rates[0], language), percent(rates[1], language))] : []),
    missing > 0 ? t.limit.missing(missing) : t.limit.sure,
  ];
}

/** In Chinese no blank stands between sentences. */
export const paragraph = (sentences: readonly string[], language: Language): string =>
  sentences.join(language === "zh" ? "" : " ");
