import { type FormEvent, useEffect, useMemo, useState } from "react";
import type { MeReply } from "../../src/server/protocol-console.ts";
import { ApiError, createApi } from "./api.ts";
import { App } from "./app.tsx";
import { textOf } from "./context.ts";
import { Preferences } from "./parts/preferences.tsx";
import {
  applyTheme,
  keepKey,
  keepLanguage,
  keptKey,
  keptLanguage,
  keptTheme,
  type Theme,
} from "./preferences.ts";
import { type Language, wordsOf } from "./words/index.ts";

type State =
  | { readonly kind: "asking" | "signedOut" | "noRead" }
  | { readonly kind: "signedIn"; readonly me: MeReply }
  | { readonly kind: "failed"; readonly error: unknown };

/** Who is there: asks the server without a key first, and for one where it wants one. */
export function Session() {
  const [key, setKey] = useState(keptKey);
  const [state, setState] = useState<State>({ kind: "asking" });
  const [round, setRound] = useState(0);
  const [language, setLanguage] = useState<Language>(keptLanguage);
  const [theme, setTheme] = useState<Theme>(keptTheme);
  const t = wordsOf[language];
  const api = useMemo(() => createApi(key, () => setState({ kind: "signedOut" })), [key]);

  useEffect(() => applyTheme(theme), [theme]);
  useEffect(() => {
    keepLanguage(language);
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  }, [language]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another round asks again
  useEffect(() => {
    let gone = false;
    api.get<MeReply>("v1/me").then(
      (me) => {
        if (gone) return;
        keepKey(key);
        setState({ kind: "signedIn", me });
      },
      (error: unknown) => {
        if (gone) return;
        const status = error instanceof ApiError ? error.status : 0;
        if (status === 403) setState({ kind: "noRead" });
        else if (status !== 401) setState({ kind: "failed", error });
      },
    );
    return () => {
      gone = true;
    };
  }, [api, key, round]);

  const preferences = <Preferences {...{ t, language, setLanguage, theme, setTheme }} />;
  if (state.kind === "signedIn")
    return (
      <App
        {...{ api, language, t, preferences }}
        me={state.me}
        signOut={() => {
          keepKey(null);
          setKey(null);
          setState({ kind: "asking" });
        }}
      />
    );
  const signIn = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const given = String(new FormData(event.currentTarget).get("key")).trim();
    setState({ kind: "asking" });
    setKey(given);
    setRound((n) => n + 1);
  };
  return (
    <main className="mx-auto grid min-h-screen max-w-md content-center gap-6 p-6">
      <header className="flex items-center gap-3">
        <img src="./icon.svg" alt="" className="size-10" />
        <h1>Protoline</h1>
      </header>
      {state.kind === "failed" ? (
        <div className="card grid gap-3" role="alert">
          <p>{textOf(state.error, t)}</p>
          <button type="button" className="button" onClick={() => setRound((n) => n + 1)}>
            {t.retry}
          </button>
        </div>
      ) : state.kind === "asking" ? (
        <p role="status">{t.loading}</p>
      ) : (
        <form className="card grid gap-3" onSubmit={signIn}>
          <h2>{t.signIn.title}</h2>
          <p className="hint">{t.signIn.why}</p>
          <label className="grid gap-1">
            {t.signIn.key}
            {/* biome-ignore lint/a11y/noAutofocus: the one field of the page */}
            <input name="key" type="password" autoComplete="off" required autoFocus className="field" />
          </label>
          {key !== null && (
            <p role="alert" className="text-unknown">
              {state.kind === "noRead" ? t.signIn.noRead : t.signIn.wrong}
            </p>
          )}
          <button type="submit" className="button primary">
            {t.signIn.button}
          </button>
        </form>
      )}
      {preferences}
    </main>
  );
}
