import type { ClassStatistics } from "./store.ts";

export function emptyStatistics(label: string, dim: number): ClassStatistics {
  return { label, n: 0, sum: new Float64Array(dim), sumOfSquares: new Float64Array(dim) };
}

/**
 * The statistics after more samples, each `[dim]`, in the order of enrollment. Sums are only ever added to in that
 * order and never subtracted from, so that the result equals a recomputation to the last bit.
 */
export function accumulate(before: ClassStatistics, embeddings: readonly Float32Array[]): ClassStatistics {
  const sum = before.sum.slice();
  const sumOfSquares = before.sumOfSquares.slice();
  for (const x of embeddings)
    for (let i = 0; i < x.length; i++) {
      const value = x[i]!;
      sum[i]! += value;
      sumOfSquares[i]! += value * value;
    }
  return { label: before.label, n: before.n + embeddings.length, sum, sumOfSquares };
}
