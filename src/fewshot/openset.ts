import type { ThresholdSource } from "./types.ts";

/**
 * The split-conformal threshold (Vovk et al. 2005; Papadopoulos et al. 2002): the ⌈(n + 1)(1 − α)⌉-th smallest of n
 * scores of known pictures. A further picture of the same kind exceeds it with probability at most α. With n scores the
 * smallest honest α is 1/(n + 1); for less there is no such number and the result is Infinity.
 */
export function conformalThreshold(scores: readonly number[], falseRejectRate: number): number {
  const n = scores.length;
  // The subtraction of 1e-9 keeps 20 · 0.95 = 19.000000000000004 from being rounded up to 20.
  const rank = Math.ceil((n + 1) * (1 - falseRejectRate) - 1e-9);
  if (rank > n) return Number.POSITIVE_INFINITY;
  return [...scores].sort((a, b) => a - b)[Math.max(0, rank - 1)]!;
}

export interface Threshold {
  readonly threshold: number;
  readonly source: ThresholdSource;
}

const meanOf = (xs: readonly number[]): number => xs.reduce((s, x) => s + x, 0) / xs.length;

/**
 * One threshold a class from the left-out own distances of its pictures (`scores[c]`, possibly none).
 *
 * - `class`: the class has enough scores for the asked rate by itself: ⌈(n + 1)(1 − α)⌉ ≤ n.
 * - `pooled`: it has at least two; its scores and those of the other such classes, each standardised by its own class
 *   without itself, are put together, and the threshold is the class's mean plus that quantile times its deviation.
 * - `prior`: the bundle's quantile for so few shots.
 * - `others`: neither; the mean of the other classes' thresholds.
 * - `bound`: all scores together are too few for the asked rate: the largest of them, doubled in its distance from the mean.
 */
export function classThresholds(
  scores: readonly (readonly number[])[],
  falseRejectRate: number,
  prior: (pictures: number) => number | null,
  pictures: readonly number[],
): Threshold[] {
  const rich = scores.map((s) => Number.isFinite(conformalThreshold(s, falseRejectRate)));
  const several = scores.filter((s) => s.length >= 2);
  // One deviation for all classes, within classes: with a handful of scores a class's own is mostly noise.
  const degrees = several.reduce((sum, s) => sum + s.length - 1, 0);
  const squares = several.reduce((sum, s) => {
    const m = meanOf(s);
    return sum + s.reduce((t, x) => t + (x - m) ** 2, 0);
  }, 0);
  const pooledVariance = degrees > 0 ? squares / degrees : 0;
  const deviation = (s: readonly number[]): number => {
    const m = meanOf(s);
    const own = s.reduce((t, x) => t + (x - m) ** 2, 0);
    const weight = 3;
    return Math.sqrt((own + weight * pooledVariance) / (s.length - 1 + weight));
  };
  const standardised = several.flatMap((s) =>
    s.map((x, i) => {
      const rest = s.filter((_, j) => j !== i);
      const spread = rest.length > 1 ? deviation(rest) : Math.sqrt(pooledVariance);
      return spread > 0 ? (x - meanOf(rest)) / spread : 0;
    }),
  );
  const quantile = conformalThreshold(standardised, falseRejectRate);
  const first = scores.map((s, c): Threshold | null => {
    if (rich[c]) return { threshold: conformalThreshold(s, falseRejectRate), source: "class" };
    if (s.length >= 2 && Number.isFinite(quantile))
      return { threshold: meanOf(s) + quantile * deviation(s), source: "pooled" };
    const known = prior(pictures[c]!);
    if (known !== null) return { threshold: known, source: "prior" };
    if (s.length >= 2) {
      const m = meanOf(s);
      return { threshold: m + 2 * (Math.max(...s) - m), source: "bound" };
    }
    return null;
  });
  const made = first.filter((t) => t !== null).map((t) => t.threshold);
  return first.map(
    (t): Threshold =>
      t ?? { threshold: made.length > 0 ? meanOf(made) : Number.POSITIVE_INFINITY, source: "others" },
  );
}
