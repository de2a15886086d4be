import { setTimeout } from "node:timers/promises";

const firstPauseMs = 250;
const longestPauseMs = 10_000;

/**
 * Attempts one after another until `signal`, with pauses that double from 250 ms to 10 s, so that what is down is not
 * hammered. An attempt that resolves to true had got through, and the next pause is the first again.
 */
export async function again(signal: AbortSignal, attempt: () => Promise<boolean>): Promise<void> {
  for (let pause = firstPauseMs; !signal.aborted; pause = Math.min(2 * pause, longestPauseMs)) {
    if (await attempt()) pause = firstPauseMs;
    await setTimeout(pause, undefined, { signal }).catch(() => undefined);
  }
}
