import type { FastifyRateLimitStore } from "@fastify/rate-limit";

/** Callers that are counted at a time; of more, those not seen for longest begin anew. */
const most = 5000;

/**
 * Counts requests by caller, as the plugin's own store does, but by a clock that only goes forward: where the machine's clock is
 * set back by an hour, that one would count an hour as one minute and refuse all who ask often.
 *
 * @param now milliseconds. Default `performance.now`.
 * @returns the class that the plugin wants.
 */
export function createRateStore(
  now: () => number = () => performance.now(),
): new () => FastifyRateLimitStore {
  return class RateStore implements FastifyRateLimitStore {
    /** Oldest use first. */
    readonly #counts = new Map<string, { current: number; readonly since: number }>();

    incr(
      key: string,
      done: (error: Error | null, result?: { current: number; ttl: number }) => void,
      timeWindow: number,
    ): void {
      const time = now();
      const found = this.#counts.get(key);
      const alive = found && time - found.since < timeWindow ? found : { current: 0, since: time };
      alive.current++;
      this.#counts.delete(key);
      this.#counts.set(key, alive);
      if (this.#counts.size > most) this.#counts.delete(this.#counts.keys().next().value!);
      done(null, { current: alive.current, ttl: timeWindow - (time - alive.since) });
    }

    child(): FastifyRateLimitStore {
      return new RateStore();
    }
  };
}
