import { appendFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { type LineResult, Refused, type Sink } from "./types.ts";

export interface OutletOptions {
  /** Seconds that a result is tried before it is given up. */
  readonly giveUpAfter: number;
  /** File of what was given up, JSON Lines. */
  readonly deadLetters: string;
  /** Results a second at most. */
  readonly perSecond?: number | undefined;
  readonly report: (event: string) => void;
}

export interface Outlet {
  /** Results one after another, in their order. Resolves when the sink has it, or the dead letters; never rejects. */
  deliver(result: LineResult): Promise<"delivered" | "dead">;
  close(): Promise<void>;
}

/** One line of that file. */
export interface DeadLetter {
  /** Name of the sink. */
  readonly sink: string;
  readonly reason: string;
  readonly result: LineResult;
}

const firstPauseMs = 50;
const longestPauseMs = 5000;

/**
 * A sink with patience: what fails is tried again after pauses that double. What cannot be delivered in time, or is
 * refused, is written to the dead letters; while the sink goes on failing, later results go there at once, and one in
 * {@link longestPauseMs} is tried, so that a receiver that is gone does not stop the line.
 */
export function createOutlet(
  sink: Sink,
  { giveUpAfter, deadLetters, perSecond, report }: OutletOptions,
): Outlet {
  let last: Promise<unknown> = Promise.resolve();
  let failing = false;
  /** Results since the sink failed for good. */
  let buried = 0;
  let tryAgainAt = 0;
  let next = 0;

  async function attempt(result: LineResult): Promise<"delivered" | "dead"> {
    if (buried > 0 && performance.now() < tryAgainAt) return bury(result, "the sink is out of order");
    const wait = next - performance.now();
    if (wait > 0) await setTimeout(wait);
    if (perSecond !== undefined) next = Math.max(performance.now(), next) + 1000 / perSecond;
    const end = performance.now() + (buried > 0 ? 0 : 1000 * giveUpAfter);
    for (let pause = firstPauseMs; ; pause = Math.min(2 * pause, longestPauseMs)) {
      try {
        await sink.write(result);
      } catch (error) {
        const reason = (error as Error).message;
        if (error instanceof Refused) {
          report(`${sink.name} refuses ${result.id}: ${reason}`);
          return write(result, reason);
        }
        if (!failing) report(`${sink.name}: ${reason}; trying again`);
        failing = true;
        if (performance.now() + pause > end) {
          tryAgainAt = performance.now() + longestPauseMs;
          return bury(result, reason);
        }
        await setTimeout(pause);
        continue;
      }
      if (failing)
        report(`${sink.name} works again${buried > 0 ? `; ${buried} results are in ${deadLetters}` : ""}`);
      failing = false;
      buried = 0;
      return "delivered";
    }
  }

  function bury(result: LineResult, reason: string): Promise<"dead"> {
    if (buried++ === 0) report(`${sink.name} is given up for now: results go to ${deadLetters} (${reason})`);
    return write(result, reason);
  }

  async function write(result: LineResult, reason: string): Promise<"dead"> {
    const letter = `${JSON.stringify({ sink: sink.name, reason, result } satisfies DeadLetter)}\n`;
    for (let pause = firstPauseMs; ; pause = Math.min(2 * pause, longestPauseMs))
      try {
        await appendFile(deadLetters, letter);
        return "dead";
      } catch (error) {
        // Nothing is lost: the line stands still until there is a place for it.
        report(`${deadLetters} cannot be written: ${(error as Error).message}`);
        await setTimeout(pause);
      }
  }

  return {
    deliver(result) {
      const done = last.then(() => attempt(result));
      last = done;
      return done;
    },
    async close() {
      await last;
      await sink.close();
    },
  };
}
