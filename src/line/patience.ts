import { setTimeout } from "node:timers/promises";
import { type ErrorCode, isProtolineError } from "../core/index.ts";

/** What is wrong with who answers, and not with the frame: it is asked again until it can. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "OVERLOADED",
  "TIMED_OUT",
  "GALLERY_NOT_FOUND",
  "GALLERY_EMPTY",
  "MODEL_MISMATCH",
  "STORE_UNAVAILABLE",
  "STORE_BUSY",
]);

const firstPauseMs = 20;
const longestPauseMs = 1000;
/** A wait is told when it has taken so long. */
const toldAfterMs = 1000;

/** Asks until there is an answer, or an error of the frame itself. Rejects with the reason of the signal when that comes first. */
export type Patience = <T>(ask: () => Promise<T>) => Promise<T>;

/**
 * For a line whose frames are answered by a server: what the server cannot answer now waits in the line, as it would for a slow
 * sink, and nothing is lost. Attempts are made after pauses that double from 20 ms to 1 s.
 *
 * @param report told once what is waited for, and when it goes on.
 */
export function createPatience(signal: AbortSignal, report: (event: string) => void): Patience {
  let told: ErrorCode | null = null;
  return async (ask) => {
    const began = performance.now();
    for (let pause = firstPauseMs; ; pause = Math.min(2 * pause, longestPauseMs)) {
      try {
        const answer = await ask();
        if (told !== null) report("frames are answered again");
        told = null;
        return answer;
      } catch (error) {
        if (!isProtolineError(error) || !passing.has(error.code)) throw error;
        if (performance.now() - began >= toldAfterMs && told !== error.code) {
          report(`frames wait: ${error.message}`);
          told = error.code;
        }
        signal.throwIfAborted();
        await setTimeout(pause, undefined, { signal }).catch(() => undefined);
      }
    }
  };
}
