import { createContext, useCallback, useContext, useEffect, useRef, useState } from "react";
import type { GalleryReply } from "../../src/server/protocol.ts";
import type { MeReply } from "../../src/server/protocol-console.ts";
import { type Api, ApiError } from "./api.ts";
import type { Language, Words } from "./words/index.ts";

export type Scope = MeReply["scopes"][number];

/** What all pages share. */
export interface Console {
  readonly api: Api;
  readonly me: MeReply;
  readonly t: Words;
  readonly language: Language;
  readonly galleries: readonly GalleryReply[];
  /** Name of the gallery that is looked at; `null` while there is none. */
  readonly gallery: string | null;
  /** Counts up with each change that was made here. */
  readonly changes: number;
  can(scope: Scope): boolean;
  /** After a change: all that is shown is asked for anew. */
  changed(): Promise<void>;
  /** Says what was done, also to a screen reader; `undo` is offered beside it. */
  say(text: string, undo?: () => Promise<void>): void;
  /** Says what went wrong. */
  fail(error: unknown): void;
  /** @param start the page's own work is begun at once. */
  open(page: string, gallery?: string, start?: "start"): void;
}

export const ConsoleContext = createContext<Console | null>(null);

export function useConsole(): Console {
  return useContext(ConsoleContext)!;
}

/** What `load` resolves to, loaded again when `keys` change; what came before is shown meanwhile. */
export function useLoad<T>(
  load: () => Promise<T>,
  keys: readonly (string | number | boolean | null | undefined)[],
): { readonly value: T | undefined; readonly error: unknown; reload(): void } {
  const [state, setState] = useState<{ value?: T; error?: unknown }>({});
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const key = JSON.stringify([...keys, round]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key stands for what the function closes over
  useEffect(() => {
    let gone = false;
    latest.current().then(
      (value) => !gone && setState({ value }),
      (error: unknown) => !gone && setState((before) => ({ ...before, error })),
    );
    return () => {
      gone = true;
    };
  }, [key]);
  return { value: state.value, error: state.error, reload: useCallback(() => setRound((n) => n + 1), []) };
}

/** Runs one thing at a time; `busy` meanwhile, and what goes wrong is said. */
export function useAction(): readonly [busy: boolean, run: (work: () => Promise<void>) => Promise<void>] {
  const { fail } = useConsole();
  const [busy, setBusy] = useState(false);
  const running = useRef(false);
  const run = async (work: () => Promise<void>): Promise<void> => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    try {
      await work();
    } catch (error) {
      fail(error);
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return [busy, run];
}

/** A failure as one sentence in the reader's language where there is one, with the server's words behind. */
export function textOf(error: unknown, t: Words): string {
  if (!(error instanceof ApiError)) return String(error instanceof Error ? error.message : error);
  return error.code === "OFFLINE"
    ? t.offline
    : (t.errors[error.code as keyof Words["errors"]] ?? error.message);
}
