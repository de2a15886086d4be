import type { LeftOut } from "./confidence.ts";
import { studentQuantile } from "./student.ts";
import type { ThresholdSource } from "./types.ts";

/**
 * The split-conformal threshold (Papadopoulos et al. 2002; Vovk et al. 2005): the ⌈(n + 1)(1 − α)⌉-th smallest of n
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

/** What thresholds are made from. */
export interface Calibration {
  /** Open-set distances of left-out pictures. */
  readonly leftOut: readonly LeftOut[];
  /** Pictures of each class, `[classes]`. */
  readonly pictures: readonly number[];
  /** In (0, 1). */
  readonly falseRejectRate: number;
  /** The bundle's threshold for a class of so many pictures, or `null`. */
  prior(pictures: number): number | null;
}

/** A class with at most so many pictures takes the bundle's threshold where there is one. */
const fewShots = 2;

/**
 * How far a threshold follows its own class's distances, as a share that n scores grow towards: ¼·n/(n + 10). Measured
 * on X-SDD (4 known, 3 unknown classes, 10 shots): at the same false-reject rate the shares 0, ¼, ½ and 1 let 41, 42, 45
 * and 55 % of unknown frames through, and the worst class's false-reject rate is 11, 10, 10 and 10 %.
 */
function ownShare(n: number): number {
  return (0.25 * n) / (n + 10);
}

const average = (xs: readonly number[]): number => xs.reduce((s, x) => s + x, 0) / xs.length;

/**
 * One threshold a class. A frame is unknown when its distance to *every* class exceeds that class's threshold, so
 * what is calibrated is just that: the least distance of a left-out picture, each class's own offset taken off.
 * The threshold is the offset plus the conformal quantile of all these numbers (see {@link conformalThreshold}), so
 * that ten pictures of each of four classes suffice for 5 %, where ten scores of one class would not.
 *
 * - `pooled`: as above.
 * - `class`: the pooled threshold rejects too many of this class's own pictures (binomial test at 5 %), and the class
 *   has enough of them: the conformal quantile of its own distances.
 * - `prior`: a class of one or two pictures, or a gallery with too few left-out pictures for the rate: the bundle's.
 * - `others`: a class of one picture without a bundle's threshold: the pooled one, widened by what a prototype of so
 *   few pictures errs more, (1 + 1/k) / (1 + 1/k') for distances above zero.
 * - `bound`: too few left-out pictures for the rate: the upper bound of a further score if they are normal (Student's
 *   prediction interval), but at least the largest seen. The rate is then an estimate, not a guarantee.
 * - `none`: nothing to tell by, every class has one picture and the bundle is silent: all is accepted.
 */
export function classThresholds(calibration: Calibration): Threshold[] {
  const { leftOut, pictures, falseRejectRate, prior } = calibration;
  const own = pictures.map((): number[] => []);
  for (const { owner, distances } of leftOut) own[owner]!.push(distances[owner]!);
  const means = own.map((scores) => (scores.length >= 2 ? average(scores) : null));
  const known = means.filter((m) => m !== null);
  const grand = known.length > 0 ? average(known) : 0;
  const offsets = means.map((m, c) => (m === null ? 0 : ownShare(own[c]!.length) * (m - grand)));

  const nearest = leftOut.map(({ distances }) =>
    distances.reduce((least, d, c) => Math.min(least, d - offsets[c]!), Number.POSITIVE_INFINITY),
  );
  const quantile = conformalThreshold(nearest, falseRejectRate);
  const honest = Number.isFinite(quantile);
  const pooled = honest ? quantile : bound(nearest, falseRejectRate);
  const rejected = pictures.map(() => 0);
  leftOut.forEach(({ owner }, i) => {
    if (nearest[i]! > quantile) rejected[owner]!++;
  });
  const shots = leftOut.map(({ owner }) => pictures[owner]! - 1);

  return pictures.map((k, c): Threshold => {
    const fromBundle = k <= fewShots || !honest ? prior(k) : null;
    if (fromBundle !== null) return { threshold: fromBundle, source: "prior" };
    // Finite, so that it survives the way through JSON.
    if (leftOut.length === 0) return { threshold: Number.MAX_VALUE, source: "none" };
    const base = pooled + offsets[c]!;
    if (k === 1) {
      const wider = (1 + 1 / k) / (1 + 1 / Math.max(1, average(shots)));
      return { threshold: base > 0 ? base * Math.max(1, wider) : base, source: "others" };
    }
    if (!honest) return { threshold: base, source: "bound" };
    const mine = conformalThreshold(own[c]!, falseRejectRate);
    const excessive = binomialTail(own[c]!.length, rejected[c]!, falseRejectRate) < 0.05;
    if (excessive && Number.isFinite(mine) && mine > base) return { threshold: mine, source: "class" };
    return { threshold: base, source: "pooled" };
  });
}

/** mean + t·s·√(1 + 1/n), the upper bound of a further score of a normal sample, but at least the largest score. */
function bound(scores: readonly number[], falseRejectRate: number): number {
  const n = scores.length;
  if (n === 0) return Number.POSITIVE_INFINITY;
  const largest = Math.max(...scores);
  if (n === 1) return largest;
  const m = average(scores);
  const s = Math.sqrt(scores.reduce((sum, x) => sum + (x - m) ** 2, 0) / (n - 1));
  return Math.max(largest, m + studentQuantile(1 - falseRejectRate, n - 1) * s * Math.sqrt(1 + 1 / n));
}

/** P(X ≥ k) of a binomial of n draws with chance p. */
export function binomialTail(n: number, k: number, p: number): number {
  let term = (1 - p) ** n;
  let below = 0;
  for (let i = 0; i < k; i++) {
    below += term;
    term *= ((n - i) / (i + 1)) * (p / (1 - p));
  }
  return Math.max(0, 1 - below);
}
