import type { DecisionPriors } from "../fewshot/index.ts";
import type { Encoder } from "../models/types.ts";
import { priorsOf } from "./prepare.ts";
import type { EncoderLease } from "./types.ts";

/** The encoder that a recognizer looks with, until another takes its place. */
export interface Sight {
  readonly encoder: Encoder;
  readonly priors: DecisionPriors;
  /** Runs `work`, for the length of which the encoder stays open. */
  use<T>(work: () => Promise<T>): Promise<T>;
  /** Nothing new will use it: it is released when what is under way has ended. */
  retire(): void;
}

export function createSight({ encoder, release }: EncoderLease): Sight {
  let users = 0;
  let state: "used" | "retired" | "released" = "used";
  const drained = (): void => {
    if (state !== "retired" || users > 0) return;
    state = "released";
    release();
  };
  return {
    encoder,
    priors: priorsOf(encoder),
    async use(work) {
      users++;
      try {
        return await work();
      } finally {
        users--;
        drained();
      }
    },
    retire() {
      if (state === "used") state = "retired";
      drained();
    },
  };
}
