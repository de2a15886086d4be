import type { Recognizer, Seen } from "../recognizer/index.ts";
import { type AnsweredFrame, createLineLearner, type LineLearner } from "../recognizer/index.ts";
import type { Watcher } from "./galleries.ts";

/** Limits that the frames of each gallery refine; see `createLineLearner`. */
export interface Learning extends Watcher {
  /** A person called these answers wrong, or gave the frames a name: they are not learned from. */
  withdraw(gallery: string, answers: readonly AnsweredFrame[]): void;
  /** Resolves when no revision is being written. */
  settled(): Promise<void>;
}

/** Learns nothing. */
export const noLearning: Learning = {
  seen: () => undefined,
  forget: () => undefined,
  withdraw: () => undefined,
  settled: async () => undefined,
};

/** @param failed told of a revision that could not be written. */
export function createLearning(
  recognizer: (gallery: string) => Promise<Recognizer>,
  failed: (error: unknown) => void,
): Learning {
  const learners = new Map<string, Promise<LineLearner | null>>();
  const learnerOf = (gallery: string): Promise<LineLearner | null> => {
    let learner = learners.get(gallery);
    if (!learner) {
      learner = recognizer(gallery)
        .then((it) => createLineLearner(it, failed))
        .catch(() => null);
      learners.set(gallery, learner);
    }
    return learner;
  };
  return {
    seen: (gallery: string, { answer }: Seen) => {
      void learnerOf(gallery).then((learner) => learner?.observe(answer));
    },
    forget: (gallery) => {
      learners.delete(gallery);
    },
    withdraw: (gallery, answers) => {
      void learners.get(gallery)?.then((learner) => {
        for (const answer of answers) learner?.withdraw(answer);
      });
    },
    settled: async () => {
      for (const learner of learners.values()) await (await learner)?.settled();
    },
  };
}
