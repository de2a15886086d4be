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

/** Softmax of −energy / temperature, `[classes]`, 0 … 1, sums to 1. */
export function confidences(energies: ArrayLike<number>, temperature: number): Float64Array {
  const logits = new Float64Array(energies.length);
  for (let c = 0; c < logits.length; c++) logits[c] = -energies[c]! / temperature;
  const out = logSoftmax(logits);
  for (let c = 0; c < out.length; c++) out[c] = Math.exp(out[c]!);
  return out;
}

/** Energies of a left-out picture, `[classes]`, and the number of its class. */
export interface LeftOut {
  readonly owner: number;
  readonly energies: Float64Array;
}

/** Mean −log confidence of the true class at a temperature. */
export function* negativeLogLikelihood(leftOut: readonly LeftOut[], temperature: number): Steps<number> {
  let total = 0;
  for (const { owner, energies } of leftOut) {
    // −log softmax of the owner without an array in between: this runs some fifty times over all of them.
    let least = Number.POSITIVE_INFINITY;
    for (let c = 0; c < energies.length; c++) if (energies[c]! < least) least = energies[c]!;
    let sum = 0;
    for (let c = 0; c < energies.length; c++) sum += Math.exp((least - energies[c]!) / temperature);
    total += Math.log(sum) + (energies[owner]! - least) / temperature;
    yield;
  }
  return total / leftOut.length;
}

/** Standard deviation of log T about log of the expected temperature. */
const deviation = 0.4;

/**
 * The softmax temperature with the least negative log-likelihood on left-out pictures (Guo et al. 2017,
 * arXiv:1706.04599) with a log-normal prior about `expected`, by golden-section search over log T. Few pictures leave it
 * near `expected`; pictures that are all right cannot drive it to zero.
 */
export function* fitTemperature(leftOut: readonly LeftOut[], expected: number): Steps<number> {
  if (leftOut.length === 0 || leftOut[0]!.energies.length < 2) return expected;
  const n = leftOut.length;
  function* cost(logT: number): Steps<number> {
    const off = (logT - Math.log(expected)) / deviation;
    return n * (yield* negativeLogLikelihood(leftOut, Math.exp(logT))) + off ** 2 / 2;
  }
  const ratio = (Math.sqrt(5) - 1) / 2;
  let low = Math.log(expected / 100);
  let high = Math.log(expected * 100);
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
