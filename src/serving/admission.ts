import { ProtolineError } from "../core/index.ts";

export interface AdmissionOptions {
  /** Milliseconds in which 99 of 100 admitted requests are to be answered. Default 50. */
  readonly withinMs?: number;
  /** Requests that are always let in at a time, however long they take. Default 1. */
  readonly least?: number;
  /** Requests that are let in at a time, at most. Default 512. */
  readonly most?: number;
}

/** Lets in as many requests at a time as are answered in time, and no more. */
export interface Admission {
  /** @returns what must be called once when the request has ended. @throws OVERLOADED. */
  enter(): () => void;
  /**
   * For a request whose body is still to come, so that what cannot be let in is refused before it is read. It counts as let in for as
   * long as an answer may take; a body that takes longer gives its place back, so that slow senders hold none.
   *
   * @throws OVERLOADED.
   */
  arrive(): Arrival;
  readonly inFlight: number;
  /** Requests that are let in at a time now. */
  readonly limit: number;
}

/** A request that is on its way in. Either of the two is to be called once. */
export interface Arrival {
  /** The body is here: as `enter`, in the place that was held where there still is one. @throws OVERLOADED. */
  enter(): () => void;
  /** It will not come. */
  abandon(): void;
}

/** Answers that take more than this part of the time allowed are a sign of too many at a time. */
const early = 0.5;
const shrink = 0.85;
/** What an answer is thought to take until some were measured. */
const guessMs = 10;

/**
 * The limit grows by one a round of answers while they come early and it is reached, and shrinks at once by a part where one
 * comes late: additive increase, multiplicative decrease (Chiu and Jain 1989, Computer Networks 17). It follows from measured
 * answers alone, so it counts whatever they wait for: decoding, embedding, and other programs on the machine.
 */
export function createAdmission({ withinMs = 50, least = 1, most = 512 }: AdmissionOptions = {}): Admission {
  let limit = Math.min(most, Math.max(2, withinMs / guessMs) * least);
  let inFlight = 0;
  /** Answers to requests from before the last cut say nothing about the limit after it. */
  let lastCut = Number.NEGATIVE_INFINITY;
  const enter = (): (() => void) => {
    if (inFlight >= Math.floor(limit))
      throw new ProtolineError("OVERLOADED", {
        expected: `at most ${Math.floor(limit)} recognitions at a time, to answer each within ${withinMs} ms`,
        got: "one more",
        todo: "Send the next frame instead of this one; more workers, or another server, take more.",
      });
    const reached = ++inFlight >= Math.floor(limit);
    const entered = performance.now();
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      inFlight--;
      const now = performance.now();
      if (now - entered <= early * withinMs) {
        if (reached) limit = Math.min(most, limit + 1 / limit);
      } else if (entered > lastCut) {
        limit = Math.max(least, limit * shrink);
        lastCut = now;
      }
    };
  };
  return {
    enter,
    arrive() {
      let held: (() => void) | null = enter();
      const giveBack = (): void => {
        // No answer, so it says nothing about how long one takes.
        if (held) inFlight--;
        held = null;
      };
      const timer = setTimeout(giveBack, withinMs);
      timer.unref();
      return {
        enter() {
          clearTimeout(timer);
          const place = held ?? enter();
          held = null;
          return place;
        },
        abandon() {
          clearTimeout(timer);
          giveBack();
        },
      };
    },
    get inFlight() {
      return inFlight;
    },
    get limit() {
      return Math.floor(limit);
    },
  };
}
