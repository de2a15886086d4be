import type { CountedRate } from "./quality.ts";
import { type Count, logFactorials, wilson } from "./rates.ts";

/** A held-out picture, and what a revision says to it. */
export interface HeldOutAnswer {
  /** Its class; one that the revision does not have makes the picture a stranger. */
  readonly truth: string;
  readonly kind: "known" | "unknown" | "ambiguous";
  /** The class that it comes nearest to. */
  readonly nearest: string;
}

export interface HeldOutRates {
  /** Of pictures whose class the revision has: named right. */
  readonly right: CountedRate;
  /** Of the same: called unknown. */
  readonly falseReject: CountedRate;
  /** Of pictures whose class it does not have: given a class. */
  readonly falseAccept: CountedRate;
}

/** Rates with intervals ({@link wilson}). @param labels classes of the revision. */
export function heldOutRates(answers: readonly HeldOutAnswer[], labels: ReadonlySet<string>): HeldOutRates {
  const own = answers.filter(({ truth }) => labels.has(truth));
  const strangers = answers.filter(({ truth }) => !labels.has(truth));
  const counted = (of: readonly HeldOutAnswer[], hit: (one: HeldOutAnswer) => boolean): CountedRate => {
    const count = { hits: of.filter(hit).length, of: of.length };
    return { ...count, interval: wilson(count) };
  };
  return {
    right: counted(own, isRight),
    falseReject: counted(own, ({ kind }) => kind === "unknown"),
    falseAccept: counted(strangers, ({ kind }) => kind === "known"),
  };
}

/** Named as what it is. */
export const isRight = ({ truth, kind, nearest }: HeldOutAnswer): boolean =>
  kind === "known" && nearest === truth;

export interface PairedChange {
  /** Pictures that were right before and are not now, and the other way round. */
  readonly lost: number;
  readonly gained: number;
  /** Two-sided, exact. */
  readonly pValue: number;
}

/** Whether the same pictures are answered better or worse than before (McNemar's test, exact: a fair coin for each that changed). */
export function pairedChange(before: readonly boolean[], now: readonly boolean[]): PairedChange {
  const lost = before.filter((right, i) => right && !now[i]!).length;
  const gained = before.filter((right, i) => !right && now[i]!).length;
  return { lost, gained, pValue: coin({ hits: Math.min(lost, gained), of: lost + gained }) };
}

/** P(a fair coin gives as few heads, or as few tails). */
function coin({ hits, of }: Count): number {
  const logs = logFactorials(of);
  let few = 0;
  for (let k = 0; k <= hits; k++) few += Math.exp(logs[of]! - logs[k]! - logs[of - k]! - of * Math.LN2);
  return Math.min(1, 2 * few);
}
