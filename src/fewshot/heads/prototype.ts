import { addScaled, dot, type Vector } from "../linalg.ts";
import { centerAndScale } from "../transforms.ts";
import type { Metric, TransformSpec } from "../types.ts";
import type { Scorer, ScorerClass } from "./scorer.ts";

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
  const rows = classes.map((c) => c.rows.map((z) => centerAndScale(z, transform, center)));
  const sums = rows.map((members) => {
    const sum = new Float64Array(dim);
    for (const x of members) addScaled(sum, x, 1);
    return sum;
  });
  const means = sums.map((sum, c) => sum.map((s) => s / rows[c]!.length));
  const norms = means.map((m) => dot(m, m));

  const distance = (x: Vector, xx: number, m: Float64Array, mm: number): number => {
    const xm = dot(x, m);
    if (metric === "cosine") {
      const scale = Math.sqrt(xx * mm);
      return scale > 0 ? 1 - Math.max(-1, Math.min(1, xm / scale)) : 1;
    }
    const squared = Math.max(0, xx - 2 * xm + mm);
    return metric === "squaredEuclidean" ? squared : Math.sqrt(squared);
  };

  return {
    distances: (z) => {
      const x = centerAndScale(z, transform, center);
      const xx = dot(x, x);
      return Float64Array.from(means, (m, c) => distance(x, xx, m, norms[c]!));
    },
    leaveOut: (owner, picture) => {
      const left = rows[owner]!.length - picture.length;
      const own = Float64Array.from(sums[owner]!);
      for (const i of picture) addScaled(own, rows[owner]![i]!, -1);
      for (let i = 0; i < dim; i++) own[i]! /= left;
      const ownNorm = dot(own, own);
      return picture.map((i) => {
        const x = rows[owner]![i]!;
        const xx = dot(x, x);
        return Float64Array.from(means, (m, c) => {
          if (c !== owner) return distance(x, xx, m, norms[c]!);
          return left > 0 ? distance(x, xx, own, ownNorm) : Number.NaN;
        });
      });
    },
  };
}
