import { ProtolineError } from "../core/index.ts";

/** So many of so many. */
export interface Count {
  readonly hits: number;
  readonly of: number;
}

/**
 * Interval of a rate (Wilson 1927): holds the true one in about 95 of 100 cases, also near 0 and 1.
 * Of nothing it is 0 to 1.
 */
export function wilson({ hits, of }: Count): readonly [number, number] {
  checkRate({ hits, of });
  if (of === 0) return [0, 1];
  const z = 1.959964;
  const share = hits / of;
  const middle = (share + (z * z) / (2 * of)) / (1 + (z * z) / of);
  const half = (z * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of))) / (1 + (z * z) / of);
  return [hits === 0 ? 0 : middle - half, hits === of ? 1 : middle + half];
}

export interface RateChange {
  /** The current rate less that of the reference. */
  readonly difference: number;
  /** Two-sided, exact; with few frames larger than need be, never too small. */
  readonly pValue: number;
}

/** Whether a rate has changed (Fisher's exact test). @throws INVALID_ARGUMENT */
export function rateChange(reference: Count, current: Count): RateChange {
  checkRate(reference);
  checkRate(current);
  const [n, m] = [reference.of, current.of];
  const hits = reference.hits + current.hits;
  const logs = logFactorials(n + m);
  const choose = (from: number, some: number): number => logs[from]! - logs[some]! - logs[from - some]!;
  const all = choose(n + m, hits);
  const probability = (inCurrent: number): number =>
    Math.exp(choose(m, inCurrent) + choose(n, hits - inCurrent) - all);
  const observed = probability(current.hits);
  let pValue = 0;
  for (let k = Math.max(0, hits - n); k <= Math.min(m, hits); k++) {
    const p = probability(k);
    if (p <= observed * (1 + 1e-7)) pValue += p;
  }
  const difference = current.hits / Math.max(1, m) - reference.hits / Math.max(1, n);
  return { difference, pValue: Math.min(1, pValue) };
}

/** log 0!, log 1!, … log n!. */
export function logFactorials(n: number): Float64Array {
  const logs = new Float64Array(n + 1);
  for (let i = 1; i <= n; i++) logs[i] = logs[i - 1]! + Math.log(i);
  return logs;
}

function checkRate({ hits, of }: Count): void {
  if (Number.isInteger(hits) && Number.isInteger(of) && hits >= 0 && of >= hits) return;
  throw new ProtolineError("INVALID_ARGUMENT", {
    expected: "whole counts, hits among frames",
    got: `${hits} of ${of}`,
    todo: "Count the frames, and those among them.",
  });
}
