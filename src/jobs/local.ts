import type { Executor, Work } from "./types.ts";

/** Pieces one after another in this process. */
export const localExecutor = (work: Work): Executor => ({
  width: 1,
  execute: work,
  close: async () => undefined,
});
