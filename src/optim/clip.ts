import type { Builder, Value } from "../graph/index.ts";

/** The Euclidean norm of all gradients together, shape `[]`. */
export function globalNorm(g: Builder, gradients: readonly Value[]): Value {
  const squares = gradients.map((d) => g.ReduceSumSquare(d, { keepdims: 0 }));
  return g.Sqrt(squares.reduce((a, b) => g.Add(a, b)));
}

/** Scales all gradients by one factor, where their common norm is above `limit` (Pascanu et al. 2013, arXiv:1211.5063). */
export function clipByNorm(
  g: Builder,
  gradients: readonly Value[],
  norm: Value,
  limit: number,
): readonly Value[] {
  const factor = g.Min(g.Div(limit, g.Add(norm, 1e-6)), 1);
  return gradients.map((d) => g.Mul(d, factor));
}
