import type { Language } from "./words/index.ts";

const locale = (language: Language): string => (language === "zh" ? "zh-CN" : "en");

export const percent = (value: number, language: Language, digits = 0): string =>
  new Intl.NumberFormat(locale(language), {
    style: "percent",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);

export const decimal = (value: number, language: Language, digits = 3): string =>
  new Intl.NumberFormat(locale(language), {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);

/** Of a statistic that has no bound: the server tells infinity as the largest number there is. */
export const statistic = (value: number, language: Language, digits = 3): string =>
  Math.abs(value) > 1e6 ? "∞" : decimal(value, language, digits);

/** A p-value; what is smaller than four digits tell is told as that. */
export const chance = (p: number, language: Language): string =>
  p < 0.0001 ? `< ${decimal(0.0001, language, 4)}` : decimal(p, language, 4);

export const list = (parts: readonly string[], language: Language): string =>
  parts.join(language === "zh" ? "，" : ", ");

export const dateTime = (time: number, language: Language): string =>
  new Intl.DateTimeFormat(locale(language), { dateStyle: "medium", timeStyle: "medium" }).format(time);

export const clock = (time: number, language: Language): string =>
  new Intl.DateTimeFormat(locale(language), { timeStyle: "medium" }).format(time);
