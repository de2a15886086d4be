/** Measures for evaluation alone. "Novelty" is any score that is higher for what is less like the known classes. */

/** Average ranks of all scores, ties sharing theirs; 1 is the lowest. */
function ranks(scores: readonly number[]): Float64Array {
  const order = scores.map((_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  const out = new Float64Array(scores.length);
  for (let i = 0; i < order.length; ) {
    let j = i;
    while (j < order.length && scores[order[j]!] === scores[order[i]!]) j++;
    for (let k = i; k < j; k++) out[order[k]!] = (i + j + 1) / 2;
    i = j;
  }
  return out;
}

/** The chance that an unknown frame has a higher novelty than a known one, ties counting half, 0 … 1; NaN without either. */
export function auroc(known: readonly number[], unknown: readonly number[]): number {
  if (known.length === 0 || unknown.length === 0) return Number.NaN;
  const all = ranks([...known, ...unknown]);
  let sum = 0;
  for (let i = known.length; i < all.length; i++) sum += all[i]!;
  return (sum - (unknown.length * (unknown.length + 1)) / 2) / (known.length * unknown.length);
}

/** Runs through the distinct novelties from the highest down, with the numbers of known and unknown at or above each. */
function* sweep(
  known: readonly number[],
  unknown: readonly number[],
): Generator<{ readonly known: number; readonly unknown: number }> {
  const all = [
    ...known.map((score) => ({ score, unknown: false })),
    ...unknown.map((score) => ({ score, unknown: true })),
  ].sort((a, b) => b.score - a.score);
  const count = { known: 0, unknown: 0 };
  for (let i = 0; i < all.length; i++) {
    if (all[i]!.unknown) count.unknown++;
    else count.known++;
    if (i + 1 === all.length || all[i + 1]!.score !== all[i]!.score) yield { ...count };
  }
}

/**
 * Average precision with unknown as the positive class, 0 … 1 (the step-wise area of Davis and Goadrich 2006);
 * NaN without either.
 */
export function aupr(known: readonly number[], unknown: readonly number[]): number {
  if (known.length === 0 || unknown.length === 0) return Number.NaN;
  let area = 0;
  let recall = 0;
  for (const at of sweep(known, unknown)) {
    const next = at.unknown / unknown.length;
    area += (next - recall) * (at.unknown / (at.unknown + at.known));
    recall = next;
  }
  return area;
}

/**
 * The share of unknown frames taken for known at the lowest threshold that accepts at least 95 % of the known
 * (known is the positive class, as in Hendrycks and Gimpel 2017), 0 … 1; NaN without either.
 */
export function fpr95(known: readonly number[], unknown: readonly number[]): number {
  if (known.length === 0 || unknown.length === 0) return Number.NaN;
  const sorted = [...known].sort((a, b) => a - b);
  const threshold = sorted[Math.ceil(0.95 * sorted.length - 1e-9) - 1]!;
  return unknown.filter((s) => s <= threshold).length / unknown.length;
}

/**
 * Open-set classification rate (Dhamija et al. 2018): the area under the share of known frames that are accepted and
 * right, over the share of unknown frames accepted, 0 … 1. It is at most the closed-set accuracy.
 */
export function oscr(
  known: readonly { readonly novelty: number; readonly correct: boolean }[],
  unknown: readonly number[],
): number {
  if (known.length === 0 || unknown.length === 0) return Number.NaN;
  const all = [
    ...known.map(({ novelty, correct }) => ({ novelty, unknown: false, correct })),
    ...unknown.map((novelty) => ({ novelty, unknown: true, correct: false })),
  ].sort((a, b) => a.novelty - b.novelty);
  let area = 0;
  let accepted = 0;
  let right = 0;
  let lastAccepted = 0;
  let lastRight = 0;
  for (let i = 0; i < all.length; i++) {
    const frame = all[i]!;
    if (frame.unknown) accepted += 1 / unknown.length;
    else if (frame.correct) right += 1 / known.length;
    if (i + 1 === all.length || all[i + 1]!.novelty !== frame.novelty) {
      // Trapezoids: frames of one novelty are accepted together, in no order.
      area += ((accepted - lastAccepted) * (right + lastRight)) / 2;
      lastAccepted = accepted;
      lastRight = right;
    }
  }
  return area;
}

/** One bar of a reliability diagram: the answers whose confidence lies in (from, to]. */
export interface ReliabilityBin {
  readonly from: number;
  readonly to: number;
  readonly n: number;
  /** Mean confidence and share of right answers in the bin, each 0 … 1. */
  readonly confidence: number;
  readonly accuracy: number;
}

/** `confidence` is of the answer given, 0 … 1. */
type Answered = readonly { readonly confidence: number; readonly correct: boolean }[];

/** Equally wide bins of confidence, from the lowest up; empty ones are left out. */
export function reliability(answers: Answered, bins = 15): readonly ReliabilityBin[] {
  const sums = Array.from({ length: bins }, () => ({ n: 0, confidence: 0, right: 0 }));
  for (const { confidence, correct } of answers) {
    // Bins are open below and closed above, so 1 belongs to the last.
    const sum = sums[Math.min(bins - 1, Math.max(0, Math.ceil(confidence * bins) - 1))]!;
    sum.n++;
    sum.confidence += confidence;
    if (correct) sum.right++;
  }
  return sums.flatMap(({ n, confidence, right }, i) =>
    n === 0
      ? []
      : [{ from: i / bins, to: (i + 1) / bins, n, confidence: confidence / n, accuracy: right / n }],
  );
}

/**
 * Expected calibration error over equally wide bins of confidence, 0 … 1 (Naeini et al. 2015; Guo et al. 2017). NaN
 * without answers.
 */
export function ece(answers: Answered, bins = 15): number {
  if (answers.length === 0) return Number.NaN;
  const gaps = reliability(answers, bins).map(
    ({ n, confidence, accuracy }) => n * Math.abs(confidence - accuracy),
  );
  return gaps.reduce((sum, gap) => sum + gap, 0) / answers.length;
}

/** Mean and 1.96·s/√n, s the standard deviation with n − 1. `ci95` is NaN below two values, `mean` without any. */
export function meanAndInterval(values: readonly number[]): {
  readonly n: number;
  readonly mean: number;
  readonly ci95: number;
} {
  const n = values.length;
  const mean = n > 0 ? values.reduce((s, x) => s + x, 0) / n : Number.NaN;
  const variance = values.reduce((s, x) => s + (x - mean) ** 2, 0) / (n - 1);
  return { n, mean, ci95: n > 1 ? 1.96 * Math.sqrt(variance / n) : Number.NaN };
}
