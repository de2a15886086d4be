import { studentQuantile } from "./student.ts";
import type { Limit, LimitPriors } from "./types.ts";

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

/** What is known of one class: scores of its left-out pictures, by unit (see distinct.ts). */
export interface ClassScores {
  /** The logarithms of the least distance to any class, one list a unit of pictures left out together. */
  readonly units: readonly (readonly number[])[];
  /** Units of the class, left out or not; a class of one has no scores. */
  readonly of: number;
}

/** Scores of its own from which a class's limit is conformal. */
const fewestForConformal = 60;
/** Scores that the prior deviation counts as, and those that the gallery's counts as beside a class's own. */
const priorScores = 15;
const galleryScores = 12;

interface Sample {
  readonly n: number;
  readonly mean: number;
  /** Σ (x − mean)². */
  readonly squares: number;
}

/** A unit counts once, however many pictures it holds. */
function sampleOf(units: ClassScores["units"]): Sample {
  let sum = 0;
  for (const unit of units) for (const x of unit) sum += x / unit.length;
  const n = units.length;
  const mean = n > 0 ? sum / n : 0;
  let squares = 0;
  for (const unit of units) for (const x of unit) squares += (x - mean) ** 2 / unit.length;
  return { n, mean, squares };
}

/**
 * The limit of each class: the distance that a further picture of it exceeds with probability `rate`, from the distances
 * of its own pictures, each left out in turn. Their logarithms are nearly normal, with much the same deviation in all
 * classes of all galleries of an encoder, and with a mean of each class's own. So, with n_c scores of class c:
 *
 * - deviation: the pooled variance s² over classes and the encoder's prior ({@link LimitPriors.deviation}, 15 degrees of
 *   freedom); a class's own variance has 12 more of s²;
 * - mean μ_c: the class's own, shrunk to the mean of the classes by empirical Bayes (Efron and Morris 1975): weight
 *   v/(v + s²/n_c), v the variance between classes beyond chance, itself shrunk by two degrees of freedom;
 * - limit: exp(μ_c + t·√(s_c² + the variance of μ_c + s²/N)), t of Student's distribution at 1 − rate.
 *
 * A class of one picture has no score; it takes the limit that other classes would have if they had one picture (`alone`),
 * and a class of few is shrunk to between that and the mean of the others, as pictures of a small class lie farther from it.
 *
 * What is left out is scored by the least distance to any class, as a frame is: a class that is taught can lower these
 * scores but never raise them. From 60 scores of its own on a class's limit is the conformal quantile of those.
 * Measured: docs/results/decision.md.
 *
 * @param degrees N, pictures less classes: what the scatter of the fit rests on.
 * @param oneRow several classes have one row each, so that distances are cosines; nothing can be left out then.
 */
export function classLimits(
  scores: readonly ClassScores[],
  { rate, priors, degrees, oneRow, alone }: LimitOptions,
): Limit[] {
  const samples = scores.map(({ units }) => sampleOf(units));
  const some = samples.filter(({ n }) => n > 0);
  if (some.length === 0) return scores.map(({ of }) => withoutScores(of, rate, priors, oneRow));
  const family = familyOf(some, priors);
  const { grand, between, common, freedom, s2 } = family;
  const t = studentQuantile(1 - rate, freedom);
  const single = alone.length > 0 ? familyOf(alone.map(sampleOf), priors) : family;
  const borrowed = borrowedLimit(single, rate, degrees);
  return samples.map((sample, c): Limit => {
    const { n } = sample;
    const counted = certainty(n, freedom, rate);
    if (n === 0) return { threshold: borrowed, source: "shared", pictures: 0, ...counted, fit: null };
    const weight = some.length === 1 ? 1 : between > 0 ? between / (between + s2 / n) : 0;
    // Between what classes are with one picture and with many, as 1/n.
    const expected = grand + (single.grand - grand) / n;
    const mean = weight * sample.mean + (1 - weight) * expected;
    const ofMean = (weight * s2) / n + (1 - weight) ** 2 * common;
    const own = (sample.squares + galleryScores * s2) / (n - 1 + galleryScores);
    const variance = ofMean + s2 / degrees;
    const fit = { mean, deviation: Math.sqrt(own), ofMean: Math.sqrt(variance) };
    if (n >= fewestForConformal) {
      const all = scores[c]!.units.map((unit) => Math.max(...unit));
      const exact = conformalThreshold(all, rate);
      if (Number.isFinite(exact))
        return { threshold: Math.exp(exact), source: "conformal", pictures: n, ...counted, fit };
    }
    const threshold = Math.exp(mean + t * Math.sqrt(own + variance));
    return { threshold, source: "own", pictures: n, ...counted, fit };
  });
}

/** What classes have in common. */
interface Family {
  readonly s2: number;
  /** Degrees of freedom of `s2`. */
  readonly freedom: number;
  /** Mean of the class means, the variance between them beyond chance, and the variance of their mean. */
  readonly grand: number;
  readonly between: number;
  readonly common: number;
}

function familyOf(samples: readonly Sample[], { deviation }: LimitPriors): Family {
  const k = samples.length;
  const freedom = samples.reduce((sum, { n }) => sum + n - 1, 0) + priorScores;
  const squares = samples.reduce((sum, s) => sum + s.squares, 0);
  const s2 = (squares + priorScores * deviation ** 2) / freedom;
  const grand = average(samples.map(({ mean }) => mean));
  const chance = average(samples.map(({ n }) => s2 / n));
  const spread = k > 1 ? samples.reduce((sum, { mean }) => sum + (mean - grand) ** 2, 0) / (k - 1) : 0;
  // One class says nothing of how classes differ: then as much is assumed as pictures of one class do.
  const between = k > 1 ? (Math.max(0, spread - chance) * (k - 1)) / (k + 1) : s2;
  return { s2, freedom, grand, between, common: (between + chance) / k };
}

/** For a class without scores of its own: any class of that family. */
function borrowedLimit(
  { s2, freedom, grand, between, common }: Family,
  rate: number,
  degrees: number,
): number {
  const t = studentQuantile(1 - rate, freedom);
  return Math.exp(grand + t * Math.sqrt(s2 + between + common + s2 / degrees));
}

export interface LimitOptions {
  /** The stated false-reject rate, in (0, 1). */
  readonly rate: number;
  readonly priors: LimitPriors;
  readonly degrees: number;
  readonly oneRow: boolean;
  /** Scores as in {@link ClassScores} that other classes would have with one picture each, for the classes that do. */
  readonly alone: readonly ClassScores["units"][];
}

function withoutScores(of: number, rate: number, { oneShot }: LimitPriors, oneRow: boolean): Limit {
  const counted = certainty(0, priorScores, rate);
  const threshold = oneRow && of === 1 ? priorThreshold(oneShot ?? [], rate) : null;
  return { threshold, source: threshold === null ? "none" : "prior", pictures: 0, ...counted, fit: null };
}

/** Between the rates that there are, linear in their logarithms; beyond them, the outermost. */
function priorThreshold(table: NonNullable<LimitPriors["oneShot"]>, rate: number): number | null {
  const above = table.findLast((row) => row.rate >= rate) ?? table[0];
  const below = table.find((row) => row.rate <= rate) ?? table.at(-1);
  if (!above || !below) return null;
  if (above.rate === below.rate) return above.threshold;
  const share = Math.log(above.rate / rate) / Math.log(above.rate / below.rate);
  return above.threshold + share * (below.threshold - above.threshold);
}

const average = (xs: readonly number[]): number => xs.reduce((s, x) => s + x, 0) / xs.length;

/** The true rate of a class lies between these in 90 of 100 galleries, in units of the normal distribution. */
const ninety = 1.645;
/** A limit is sure enough when its true rate is at most this many times the stated one, in 95 of 100 galleries. */
const sureFactor = 2;

type Certainty = Pick<Limit, "rates" | "missing">;
/** By scores, freedom and rate: classes of a gallery ask the same again and again. */
const certainties = new Map<string, Certainty>();
const mostKept = 10_000;

function certainty(n: number, freedom: number, rate: number): Certainty {
  const key = `${n} ${freedom} ${rate}`;
  const known = certainties.get(key);
  if (known) return known;
  const made = howSure(n, freedom, rate);
  if (certainties.size >= mostKept) certainties.clear();
  certainties.set(key, made);
  return made;
}

/** How far the true rate of a limit from n scores may be from the stated one, and how many scores bring it near. */
function howSure(n: number, freedom: number, rate: number): Certainty {
  const z = studentQuantile(1 - rate, 1e6);
  const error = (scores: number): number =>
    Math.sqrt(1 / scores + z ** 2 / (2 * (Math.min(scores - 1 + galleryScores, freedom + scores) || 1)));
  const tail = (x: number): number => 1 - normalCdf(x);
  let enough = Math.max(2, n);
  while (tail(z - ninety * error(enough)) > sureFactor * rate && enough < 1000) enough++;
  const missing = Math.max(0, enough - n);
  if (n === 0) return { rates: null, missing };
  const off = ninety * error(n);
  return { rates: [tail(z + off), tail(z - off)], missing };
}

/** P(Z ≤ z) of a standard normal, by its series (Marsaglia 2004). */
export function normalCdf(z: number): number {
  if (z < -8) return 0;
  if (z > 8) return 1;
  let sum = z;
  let term = z;
  for (let i = 3; Math.abs(term) > 1e-16 && i < 400; i += 2) {
    term *= (z * z) / i;
    sum += term;
  }
  return 0.5 + sum * Math.exp(-0.5 * z * z - 0.9189385332046728);
}
