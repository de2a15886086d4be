import { dot, type Vector } from "./linalg.ts";
import type { Metric } from "./types.ts";

/** The metrics between two vectors that need nothing else. */
export type VectorMetric = Exclude<Metric, "mahalanobis">;

/** Σ (aᵢ − bᵢ)², not divided by anything (Snell et al. 2017). */
export function squaredEuclidean(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const d = a[i]! - b[i]!;
    sum += d * d;
  }
  return sum;
}

/** √Σ (aᵢ − bᵢ)². */
export function euclidean(a: Vector, b: Vector): number {
  return Math.sqrt(squaredEuclidean(a, b));
}

/** 1 − cos(a, b), 0 … 2. A zero vector has no direction: its cosine is 0, its distance 1. */
export function cosineDistance(a: Vector, b: Vector): number {
  const scale = Math.sqrt(dot(a, a) * dot(b, b));
  return scale > 0 ? 1 - Math.max(-1, Math.min(1, dot(a, b) / scale)) : 1;
}

/** Distances below this are not told apart: a frame that was enrolled is at 0. */
const leastDistance = 1e-9;

/** The logarithm of a distance, finite also of 0. */
export const logDistance = (distance: number): number => Math.log(Math.max(distance, leastDistance));

/** The distance of two vectors of squared lengths `aa` and `bb` from their product. */
export function distanceByProduct(metric: VectorMetric, ab: number, aa: number, bb: number): number {
  if (metric === "cosine") {
    const scale = Math.sqrt(aa * bb);
    return scale > 0 ? 1 - Math.max(-1, Math.min(1, ab / scale)) : 1;
  }
  const squared = Math.max(0, aa - 2 * ab + bb);
  return metric === "euclidean" ? Math.sqrt(squared) : squared;
}
