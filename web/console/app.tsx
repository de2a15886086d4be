import { lazy, type ReactNode, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { GalleryReply } from "../../src/server/protocol.ts";
import type { CandidatesReply, MeReply } from "../../src/server/protocol-console.ts";
import type { Api } from "./api.ts";
import { type Console, ConsoleContext, type Scope, textOf, useLoad } from "./context.ts";
import { GalleryPage } from "./pages/gallery.tsx";
import { GalleryPicker } from "./parts/gallery-picker.tsx";
import type { Language, Words } from "./words/index.ts";

const pages = {
  gallery: { scope: "read", page: GalleryPage },
  live: {
    scope: "read",
    page: lazy(async () => ({ default: (await import("./pages/live.tsx")).LivePage })),
  },
  tray: {
    scope: "read",
    page: lazy(async () => ({ default: (await import("./pages/tray.tsx")).TrayPage })),
  },
  quality: {
    scope: "read",
    page: lazy(async () => ({ default: (await import("./pages/quality.tsx")).QualityPage })),
  },
  candidate: {
    scope: "read",
    page: lazy(async () => ({ default: (await import("./pages/candidate.tsx")).CandidatePage })),
  },
  drift: {
    scope: "read",
    page: lazy(async () => ({ default: (await import("./pages/drift.tsx")).DriftPage })),
  },
  history: {
    scope: "read",
    page: lazy(async () => ({ default: (await import("./pages/history.tsx")).HistoryPage })),
  },
} as const satisfies Partial<Record<keyof Words["pages"], { scope: Scope; page: unknown }>>;
type PageName = keyof typeof pages;

interface Notice {
  readonly text: string;
  readonly wrong: boolean;
  readonly undo?: () => Promise<void>;
}

interface AppProps {
  readonly api: Api;
  readonly me: MeReply;
  readonly t: Words;
  readonly language: Language;
  readonly preferences: ReactNode;
  signOut(): void;
}

/** `#/page/gallery` of the address: a page can be kept as a bookmark and survives a reload. */
function readAddress(): { page: PageName; gallery: string | null } {
  const [, page = "", gallery] = location.hash.split("/");
  return {
    page: Object.hasOwn(pages, page) ? (page as PageName) : "gallery",
    gallery: gallery ? decodeURIComponent(gallery) : null,
  };
}

export function App({ api, me, t, language, preferences, signOut }: AppProps) {
  const [address, setAddress] = useState(readAddress);
  const [galleries, setGalleries] = useState<readonly GalleryReply[] | null>(null);
  const [changes, setChanges] = useState(0);
  const [notice, setNotice] = useState<Notice | null>(null);
  const main = useRef<HTMLElement>(null);

  useEffect(() => {
    const moved = (): void => {
      setAddress(readAddress());
      setNotice(null);
      main.current?.focus();
    };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);

  const fail = useCallback((error: unknown) => setNotice({ text: textOf(error, t), wrong: true }), [t]);
  const load = useCallback(async () => {
    const reply = await api.get<{ galleries: GalleryReply[] }>("v1/galleries");
    setGalleries(reply.galleries);
  }, [api]);
  useEffect(() => void load().catch(fail), [load, fail]);

  // Looked for with each page: a server may make a candidate by itself, which nobody would see otherwise.
  const { value: ready } = useLoad(async () => {
    const { candidates } = await api.get<CandidatesReply>("v1/candidates");
    return candidates.filter(({ phase }) => phase === "shadow").map((one) => one.gallery);
  }, [address.page, changes]);

  const named = galleries?.find(({ name }) => name === address.gallery) ?? galleries?.[0];
  const gallery = named?.name ?? null;
  const shared = useMemo<Console>(() => {
    const can = (scope: Scope): boolean => me.scopes.includes(scope) || me.scopes.includes("admin");
    return {
      ...{ api, me, t, language, gallery, changes, can, fail },
      galleries: galleries ?? [],
      changed: async () => {
        await load();
        setChanges((n) => n + 1);
      },
      say: (text, undo) => setNotice({ text, wrong: false, ...(undo && { undo }) }),
      open: (page, name = gallery ?? "", start) => {
        location.hash = `#/${page}/${encodeURIComponent(name)}${start ? `/${start}` : ""}`;
      },
    };
  }, [api, me, t, language, galleries, gallery, changes, fail, load]);

  const shown = (Object.keys(pages) as PageName[]).filter((page) => shared.can(pages[page].scope));
  const current = shown.includes(address.page) ? address.page : "gallery";
  const Page = pages[current].page;
  const undo = notice?.undo;

  useEffect(() => {
    document.title = `${t.pages[current]} · Protoline`;
  }, [t, current]);

  // Beside the pages on a wide screen, below them on a narrow one.
  const account = (
    <>
      {preferences}
      <p className="hint">
        {me.kind === "local" ? t.signIn.local : t.signIn.as(me.name)}{" "}
        {me.kind !== "local" && (
          <button type="button" className="underline" onClick={signOut}>
            {t.signIn.out}
          </button>
        )}
      </p>
    </>
  );
  return (
    <ConsoleContext value={shared}>
      <button
        type="button"
        className="button absolute -left-full focus:left-2 focus:top-2 focus:z-10"
        onClick={() => main.current?.focus()}
      >
        {t.skip}
      </button>
      <div className="min-h-screen md:grid md:grid-cols-[15rem_1fr]">
        <header className="flex flex-col gap-4 border-b border-rule bg-surface p-4 md:sticky md:top-0 md:h-screen md:border-r md:border-b-0">
          <div className="flex items-center gap-2 text-lg font-semibold">
            <img src="./icon.svg" alt="" className="size-8" />
            Protoline
          </div>
          <GalleryPicker />
          <nav aria-label={t.pages.label}>
            <ul className="flex flex-wrap gap-1 md:flex-col">
              {shown.map((page) => (
                <li key={page}>
                  <a
                    href={`#/${page}/${encodeURIComponent(gallery ?? "")}`}
                    aria-current={page === current ? "page" : undefined}
                    className="block rounded-lg px-3 py-2 hover:bg-raised aria-[current=page]:bg-raised aria-[current=page]:font-semibold aria-[current=page]:text-accent"
                  >
                    {t.pages[page]}
                    {page === "candidate" && gallery !== null && ready?.includes(gallery) && (
                      <>
                        {" "}
                        <span className="mark text-known">{t.candidate.ready}</span>
                      </>
                    )}
                  </a>
                </li>
              ))}
            </ul>
          </nav>
          <div className="mt-auto hidden gap-3 md:grid">{account}</div>
        </header>
        <main ref={main} id="main" tabIndex={-1} className="min-w-0 p-4 outline-none md:p-8">
          <div className="mx-auto max-w-6xl">
            <div aria-live="polite" role="status" className="sticky top-2 z-10">
              {notice && (
                <div
                  className={`card mb-4 flex flex-wrap items-center gap-3 shadow-lg ${notice.wrong ? "border-unknown" : "border-accent"}`}
                >
                  <p className="min-w-0 flex-1 wrap-anywhere">{notice.text}</p>
                  {undo && (
                    <button
                      type="button"
                      className="button small"
                      onClick={() =>
                        undo()
                          .then(shared.changed)
                          .then(() => setNotice({ text: t.undone, wrong: false }))
                          .catch(fail)
                      }
                    >
                      {t.undo}
                    </button>
                  )}
                  <button type="button" className="button small" onClick={() => setNotice(null)}>
                    {t.close}
                  </button>
                </div>
              )}
            </div>
            {galleries === null ? (
              <p>{t.loading}</p>
            ) : (
              <Suspense fallback={<p>{t.loading}</p>}>
                <Page key={gallery} />
              </Suspense>
            )}
          </div>
        </main>
        <footer className="grid gap-3 border-t border-rule p-4 md:hidden">{account}</footer>
      </div>
    </ConsoleContext>
  );
}
