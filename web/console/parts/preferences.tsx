import { type Theme, themes } from "../preferences.ts";
import { type Language, languages, type Words } from "../words/index.ts";

interface PreferencesProps {
  readonly t: Words;
  readonly language: Language;
  readonly theme: Theme;
  setLanguage(language: Language): void;
  setTheme(theme: Theme): void;
}

export function Preferences({ t, language, setLanguage, theme, setTheme }: PreferencesProps) {
  return (
    <div className="grid gap-2 text-sm">
      <select
        aria-label={t.language}
        className="field w-auto flex-1"
        value={language}
        onChange={(event) => setLanguage(event.target.value as Language)}
      >
        {Object.entries(languages).map(([code, name]) => (
          <option key={code} value={code} lang={code}>
            {name}
          </option>
        ))}
      </select>
      <select
        aria-label={t.theme.label}
        className="field w-auto flex-1"
        value={theme}
        onChange={(event) => setTheme(event.target.value as Theme)}
      >
        {themes.map((name) => (
          <option key={name} value={name}>
            {t.theme[name]}
          </option>
        ))}
      </select>
    </div>
  );
}
