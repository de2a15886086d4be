import { addScaled, dot, type Vector } from "../linalg.ts";
import { centerAndScale } from "../transforms.ts";
import type { Metric, TransformSpec } from "../types.ts";
import type { Scorer, ScorerClass } from "./scorer.ts";

/** Σ of the rows as they are, kept for as long as the class: revisions share classes, so an update sums only what changed. */
const rowSums = new WeakMap<ScorerClass, Float64Array>();

/** Σ of the rows of a class after power and L2, `[dim]`; not to be written to. */
export function rowSum(members: ScorerClass, dim: number): Float64Array {
  let sum = rowSums.get(members);
  if (!sum) {
    sum = new Float64Array(dim);
    for (const x of members.rows) addScaled(sum, x, 1);
    rowSums.set(members, sum);
  }
  return sum;
}

/**
 * Distance to the mean of each class (Snell et al. 2017, arXiv:1703.05175), the mean of the centred and scaled rows.
 * `center` `[dim]` is taken after power and L2, or `null`.
 */
export function prototypeScorer(
  classes: readonly ScorerClass[],
  dim: number,
  metric: Exclude<Metric, "mahalanobis">,
  transform: TransformSpec,
  center: Vector | null,
): Scorer {
  const place = (z: Float32Array): Float32Array => centerAndScale(z, transform, center);
  const sums = classes.map((members) => {
    if (center === null) return rowSum(members, dim);
    const sum = new Float64Array(dim);
    for (const z of members.rows) addScaled(sum, place(z), 1);
    return sum;
  });
  const counts = classes.map((members) => members.rows.length);
  const norms = sums.map((sum, c) => dot(sum, sum) / counts[c]! ** 2);

  /** From x, x·x, Σ and n of a class, and the squared length of its mean. */
  const distance = (x: Vector, xx: number, sum: Float64Array, n: number, mm: number): number => {
    const xm = dot(x, sum) / n;
    if (metric === "cosine") {
      const scale = Math.sqrt(xx * mm);
      return scale > 0 ? 1 - Math.max(-1, Math.min(1, xm / scale)) : 1;
    }
    const squared = Math.max(0, xx - 2 * xm + mm);
    return metric === "squaredEuclidean" ? squared : Math.sqrt(squared);
  };

  return {
    leaveOutCost: classes.length * dim,
    distances: (z) => {
      // One kind of array in the inner loop, and no callback: this is what a frame costs in a large gallery.
      const x = new Float64Array(place(z));
      const xx = dot(x, x);
      const out = new Float64Array(sums.length);
      for (let c = 0; c < out.length; c++) out[c] = distance(x, xx, sums[c]!, counts[c]!, norms[c]!);
      return out;
    },
    leaveOut: (owner, picture) => {
      const rows = picture.map((i) => place(classes[owner]!.rows[i]!));
      const left = counts[owner]! - picture.length;
      const own = Float64Array.from(sums[owner]!);
      for (const x of rows) addScaled(own, x, -1);
      const ownNorm = dot(own, own) / left ** 2;
      return rows.map((x) => {
        const xx = dot(x, x);
        return Float64Array.from(sums, (sum, c) => {
          if (c !== owner) return distance(x, xx, sum, counts[c]!, norms[c]!);
          return left > 0 ? distance(x, xx, own, left, ownNorm) : Number.NaN;
        });
      });
    },
  };
}
