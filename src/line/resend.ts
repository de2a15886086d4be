import { appendFile, readFile, rename, rm } from "node:fs/promises";
import type { LineConfig } from "./config.ts";
import type { DeadLetter } from "./outlet.ts";
import { createSink } from "./sinks/index.ts";
import type { Sink } from "./types.ts";

export interface ResendReport {
  readonly delivered: number;
  /** Those that failed again, or whose sink the line has no longer: they are dead letters still. */
  readonly left: number;
}

/**
 * Gives the dead letters of a line to their sinks again, once each, in their order. The line may run meanwhile. Killed on
 * the way, it begins anew with the letters that it had taken: a sink may get one twice, none is lost.
 */
export async function resendDeadLetters(
  { deadLetters, sinks: specs }: LineConfig,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ResendReport> {
  const taken = `${deadLetters}.sending`;
  const text = (path: string): Promise<string> =>
    readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
  // What a resend that was killed had taken comes first.
  if ((await text(taken)) === "")
    await rename(deadLetters, taken).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  const letters = (await text(taken))
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as DeadLetter);
  const sinks = new Map<string, Sink>(
    specs.map((spec) => createSink(spec, env)).map((sink) => [sink.name, sink]),
  );
  let delivered = 0;
  let left = 0;
  try {
    for (const letter of letters) {
      const sink = sinks.get(letter.sink);
      const reason = sink
        ? await sink.write(letter.result).then(
            () => null,
            (error: Error) => error.message,
          )
        : "the line has no such sink";
      if (reason === null) delivered++;
      else {
        left++;
        await appendFile(deadLetters, `${JSON.stringify({ ...letter, reason })}\n`);
      }
    }
    await rm(taken, { force: true });
  } finally {
    for (const sink of sinks.values()) await sink.close();
  }
  return { delivered, left };
}
