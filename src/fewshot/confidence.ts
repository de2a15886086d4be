import type { Steps } from "../core/index.ts";

/** log softmax(logits), `[classes]`, safe for any finite logits. */
export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  let largest = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < logits.length; c++) largest = Math.max(largest, logits[c]!);
  let sum = 0;
  for (let c = 0; c < logits.length; c++) sum += Math.exp(logits[c]! - largest);
  const logSum = largest + Math.log(sum);
  const out = new Float64Array(logits.length);
  for (let c = 0; c < out.length; c++) out[c] = logits[c]! - logSum;
  return out;
}

/** Softmax of −distance / temperature, `[classes]`, 0 … 1, sums to 1. */
export function confidences(distances: ArrayLike<number>, temperature: number): Float64Array {
  const logits = new Float64Array(distances.length);
  for (let c = 0; c < logits.length; c++) logits[c] = -distances[c]! / temperature;
  const out = logSoftmax(logits);
  for (let c = 0; c < out.length; c++) out[c] = Math.exp(out[c]!);
  return out;
}

/** Distances of a left-out picture, `[classes]`, and the number of its class. */
export interface LeftOut {
  readonly owner: number;
  readonly distances: Float64Array;
}

/** Mean −log confidence of the true class at a temperature. */
export function* negativeLogLikelihood(leftOut: readonly LeftOut[], temperature: number): Steps<number> {
  let total = 0;
  for (const { owner, distances } of leftOut) {
    // −log softmax of the owner without an array in between: this runs some fifty times over all of them.
    let least = Number.POSITIVE_INFINITY;
    for (let c = 0; c < distances.length; c++) if (distances[c]! < least) least = distances[c]!;
    let sum = 0;
    for (let c = 0; c < distances.length; c++) sum += Math.exp((least - distances[c]!) / temperature);
    total += Math.log(sum) + (distances[owner]! - least) / temperature;
    yield;
  }
  return total / leftOut.length;
}

/** Fewer left-out pictures than this say too little to fit a temperature on. */
export const fewestForTemperature = 8;

/**
 * The softmax temperature with the least negative log-likelihood on left-out pictures (Guo et al. 2017,
 * arXiv:1706.04599), by golden-section search over log T within a factor of 1000 of the scores' own spread. `prior` where there are
 * fewer than {@link fewestForTemperature} pictures or fewer than two classes.
 */
export function* fitTemperature(leftOut: readonly LeftOut[], prior: number): Steps<number> {
  if (leftOut.length < fewestForTemperature || leftOut[0]!.distances.length < 2) return prior;
  // With every picture right the likelihood only grows as T falls; one imagined picture that is wrong by the mean
  // margin (Laplace's rule of succession) keeps T, and so the confidence, honest.
  let spread = 0;
  for (const { distances } of leftOut) {
    const sorted = distances.toSorted();
    spread += sorted[1]! - sorted[0]!;
    yield;
  }
  spread /= leftOut.length;
  if (!(spread > 0)) return prior;
  const imagined: LeftOut = { owner: 1, distances: Float64Array.of(0, spread) };
  const n = leftOut.length;
  function* cost(logT: number): Steps<number> {
    const t = Math.exp(logT);
    return n * (yield* negativeLogLikelihood(leftOut, t)) + (yield* negativeLogLikelihood([imagined], t));
  }
  const ratio = (Math.sqrt(5) - 1) / 2;
  let low = Math.log(spread / 1000);
  let high = Math.log(spread * 1000);
  let a = high - ratio * (high - low);
  let b = low + ratio * (high - low);
  let costA = yield* cost(a);
  let costB = yield* cost(b);
  while (high - low > 1e-4) {
    if (costA < costB) {
      high = b;
      b = a;
      costB = costA;
      a = high - ratio * (high - low);
      costA = yield* cost(a);
    } else {
      low = a;
      a = b;
      costA = costB;
      b = low + ratio * (high - low);
      costB = yield* cost(b);
    }
  }
  return Math.exp((low + high) / 2);
}
