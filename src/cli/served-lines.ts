import type { LineConfig } from "../line/index.ts";
import type { buildServer } from "../server/index.ts";

/** Lines that run in the process of a server. */
export interface ServedLines {
  /** Rejects when one of them can never work. */
  readonly broken: Promise<never>;
  /** Their sources stop; resolves when what they gave is answered and every sink has it. */
  stop(): Promise<void>;
}

export interface ServedLinesOptions {
  /** Where secrets and tokens are found by name. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly report: (line: string, event: string) => void;
}

/** Runs lines whose frames the server answers. What it cannot answer now waits: a frame of a line is not refused. */
export async function startLines(
  app: Pick<ReturnType<typeof buildServer>, "lineEntry">,
  configs: readonly LineConfig[],
  { env, report }: ServedLinesOptions,
): Promise<ServedLines> {
  const { createPatience, runLine } = await import("../line/index.ts");
  const stop = new AbortController();
  const running = configs.map((config) => {
    const { name, gallery } = config;
    const entry = app.lineEntry({ name, gallery });
    const tell = (event: string): void => report(name, event);
    const patiently = createPatience(stop.signal, tell);
    return runLine({
      ...{ config, env, signal: stop.signal, report: tell, lineage: entry.lineage },
      recognize: (image, { part }) => patiently(() => entry.recognize(image, part)),
    });
  });
  const broken = new Promise<never>((_, reject) => {
    for (const line of running) line.catch(reject);
  });
  // Whoever started the lines looks at it later.
  broken.catch(() => undefined);
  return {
    broken,
    async stop() {
      stop.abort();
      await Promise.allSettled(running);
    },
  };
}
