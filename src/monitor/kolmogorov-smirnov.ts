import { checkCount } from "./permutation.ts";

export interface KolmogorovSmirnovResult {
  /** Largest difference of the two distribution functions, 0 … 1. */
  readonly statistic: number;
  readonly pValue: number;
}

/** Above so many steps the asymptotic distribution is used, which is then right to three digits. */
const exactSteps = 4_000_000;

/**
 * Whether two samples of numbers come from one continuous distribution (Kolmogorov and Smirnov). The p-value is exact, by
 * counting the orders in which the members can come (Hodges 1958); with equal numbers it is too large, never too small.
 *
 * @param reference `[n]`, n ≥ 1. @param current `[m]`, m ≥ 1.
 * @throws INVALID_ARGUMENT
 */
export function kolmogorovSmirnov(
  reference: ArrayLike<number>,
  current: ArrayLike<number>,
): KolmogorovSmirnovResult {
  checkCount("numbers in each sample", Math.min(reference.length, current.length), 1);
  const [x, y] = [Float64Array.from(reference).sort(), Float64Array.from(current).sort()];
  const [n, m] = [x.length, y.length];
  // In whole steps of 1/nm, so that equal differences are equal.
  let steps = 0;
  for (let i = 0, j = 0; i < n && j < m; ) {
    const value = Math.min(x[i]!, y[j]!);
    while (i < n && x[i]! <= value) i++;
    while (j < m && y[j]! <= value) j++;
    steps = Math.max(steps, Math.abs(i * m - j * n));
  }
  const statistic = steps / (n * m);
  return { statistic, pValue: n * m <= exactSteps ? exactP(n, m, steps) : asymptoticP(n, m, statistic) };
}

/** 1 − P(a random order keeps |i/n − j/m| below the statistic all the way). */
function exactP(n: number, m: number, steps: number): number {
  if (steps === 0) return 1;
  // stay[j]: P(the order was inside so far, and after i + j members i are of the first sample), over that of coming there.
  const stay = new Float64Array(m + 1);
  for (let i = 0; i <= n; i++)
    for (let j = 0; j <= m; j++) {
      if (Math.abs(i * m - j * n) >= steps) stay[j] = 0;
      else if (i === 0 && j === 0) stay[j] = 1;
      else {
        const before = j === 0 ? 0 : stay[j - 1]!;
        const above = i === 0 ? 0 : stay[j]!;
        stay[j] = (above * i + before * j) / (i + j);
      }
    }
  return Math.min(1, Math.max(0, 1 - stay[m]!));
}

/** 2 Σ (−1)^{k−1} e^{−2k²λ²}, λ = D √(nm/(n + m)). */
function asymptoticP(n: number, m: number, statistic: number): number {
  const lambda = statistic * Math.sqrt((n * m) / (n + m));
  let sum = 0;
  for (let k = 1; k <= 100; k++) sum += (k % 2 === 1 ? 2 : -2) * Math.exp(-2 * k * k * lambda * lambda);
  return lambda < 0.2 ? 1 : Math.min(1, Math.max(0, sum));
}
