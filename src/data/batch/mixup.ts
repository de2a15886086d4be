import { createRng, type Rng } from "../../core/index.ts";
import { type Batch, batchLength, invalid } from "./batch.ts";

export interface Mixed {
  /** weight · own picture + (1 − weight) · partner's */
  readonly batch: Batch<Float32Array>;
  /** `[n]` row of the other picture. */
  readonly partner: Int32Array;
  /** `[n]` 0 … 1; the loss is weight · loss(own label) + (1 − weight) · loss(partner's label). */
  readonly weight: Float32Array;
}

/**
 * Mixes each picture with another of the batch (mixup, Zhang et al. 2018); for pretraining as a classifier.
 *
 * @param alpha weights are drawn from Beta(alpha, alpha), > 0. Small values leave most pictures almost as they are.
 */
export function mixup(batch: Batch, { alpha }: { readonly alpha: number }, seed: number): Mixed {
  if (!(alpha > 0 && alpha < 1e6)) throw invalid("alpha above 0", `${alpha}`);
  const n = batchLength(batch);
  const { data } = batch;
  const length = data.length / Math.max(1, n);
  const rng = createRng(seed);
  const partner = Int32Array.from(rng.sample(n, n));
  const weight = Float32Array.from({ length: n }, () => {
    const a = gamma(rng, alpha);
    const b = gamma(rng, alpha);
    // Both vanish together only for a tiny alpha, whose Beta is a coin.
    return a + b > 0 ? a / (a + b) : rng.int(2);
  });
  const mixed = new Float32Array(data.length);
  for (let i = 0; i < n; i++) {
    const own = i * length;
    const other = partner[i]! * length;
    const w = weight[i]!;
    for (let k = 0; k < length; k++) mixed[own + k] = w * data[own + k]! + (1 - w) * data[other + k]!;
  }
  return { batch: { ...batch, data: mixed }, partner, weight };
}

/** Gamma(shape, 1) (Marsaglia and Tsang 2000). */
function gamma(rng: Rng, shape: number): number {
  if (shape < 1) return gamma(rng, shape + 1) * (1 - rng.next()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = rng.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - rng.next()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
