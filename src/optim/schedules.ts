/** How the learning rate changes, as a factor of the one that the optimizer starts with. */
export type Schedule = (
  | { readonly kind: "constant" }
  /** Times `factor` after every `every` steps. */
  | { readonly kind: "step"; readonly every: number; readonly factor: number }
  /** `factors[i]` from step `at[i]` on (counted from 0), 1 before. */
  | { readonly kind: "multi-step"; readonly at: readonly number[]; readonly factors: readonly number[] }
  /** Half a cosine from 1 to `least` over all steps (Loshchilov and Hutter 2017, arXiv:1608.03983). Default 0. */
  | { readonly kind: "cosine"; readonly least?: number }
) & {
  /** Steps over which the rate rises in a straight line to what the schedule says. Default 0. */
  readonly warmUp?: number;
};

/** The factor at step `step` (1, 2, …) of `total`. */
export function factorAt(schedule: Schedule, step: number, total: number): number {
  const done = step - 1;
  const { warmUp = 0 } = schedule;
  const rise = done < warmUp ? (done + 1) / warmUp : 1;
  return rise * shapeOf(schedule, done, total);
}

function shapeOf(schedule: Schedule, done: number, total: number): number {
  switch (schedule.kind) {
    case "constant":
      return 1;
    case "step":
      return schedule.factor ** Math.floor(done / schedule.every);
    case "multi-step": {
      const passed = schedule.at.findLastIndex((at) => done >= at);
      return passed < 0 ? 1 : schedule.factors[passed]!;
    }
    case "cosine": {
      const { least = 0, warmUp = 0 } = schedule;
      const share = Math.max(0, done - warmUp) / Math.max(1, total - warmUp);
      return least + (1 - least) * 0.5 * (1 + Math.cos(Math.PI * share));
    }
  }
}
