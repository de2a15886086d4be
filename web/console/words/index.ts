import { en, type Words } from "./en.ts";
import { zh } from "./zh.ts";

export type { Words };
export const languages = { en: "English", zh: "中文" } as const;
export type Language = keyof typeof languages;

export const wordsOf: { readonly [L in Language]: Words } = { en, zh };

/** The language that was chosen here before, or the first of the browser's that there is. */
export function chooseLanguage(kept: string | null, wanted: readonly string[]): Language {
  const known = (code: string): Language | undefined =>
    (Object.keys(languages) as Language[]).find((language) => code.toLowerCase().split("-")[0] === language);
  return [...(kept ? [kept] : []), ...wanted].map(known).find((language) => language !== undefined) ?? "en";
}
