import { chooseLanguage, type Language } from "./words/index.ts";

/** What this browser keeps between visits, and until the tab is closed the key and the source. Nothing else is stored. */
const read = (store: Storage, name: string): string | null => {
  try {
    return store.getItem(`protoline.${name}`);
  } catch {
    return null;
  }
};
const write = (store: Storage, name: string, value: string | null): void => {
  try {
    if (value === null) store.removeItem(`protoline.${name}`);
    else store.setItem(`protoline.${name}`, value);
  } catch {
    // A browser that keeps nothing: it is asked for again the next time.
  }
};

export const keptKey = (): string | null => read(sessionStorage, "key");
export const keepKey = (key: string | null): void => write(sessionStorage, "key", key);

export const keptLanguage = (): Language =>
  chooseLanguage(read(localStorage, "language"), navigator.languages);
export const keepLanguage = (language: Language): void => write(localStorage, "language", language);

export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];
export const keptTheme = (): Theme =>
  themes.find((theme) => theme === read(localStorage, "theme")) ?? "system";
export function applyTheme(theme: Theme): void {
  write(localStorage, "theme", theme === "system" ? null : theme);
  document.documentElement.dataset.theme = theme;
}

export const keptSource = (): string | null => read(sessionStorage, "source");
export const keepSource = (name: string): void => write(sessionStorage, "source", name);

export const keptReviewer = (): string => read(localStorage, "reviewer") ?? "";
export const keepReviewer = (name: string): void => write(localStorage, "reviewer", name || null);
