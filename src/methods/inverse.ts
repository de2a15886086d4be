import { type Builder, tensor, type Value } from "../graph/index.ts";

/**
 * The inverse of symmetric positive definite matrices `[…, n, n]` in standard operators, which have gradients: one sweep
 * (Goodnight 1979) a row, no pivoting. With p = A[k,k], c the column k and u = c − e, a sweep is A − u·uᵀ/p − 2·e·eᵀ;
 * after all of them A is −A⁻¹. Meant for small matrices, n up to about 100: training keeps three of them for each row.
 */
export function inverseOfPositive(g: Builder, matrices: Value): Value {
  const rank = matrices.shape.length;
  const n = Number(matrices.shape.at(-1));
  const turned = Array.from({ length: rank }, (_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis));
  let a = matrices;
  for (let k = 0; k < n; k++) {
    const unit = new Float32Array(n);
    unit[k] = 1;
    const corner = new Float32Array(n * n);
    corner[k * n + k] = 2;
    const column = g.Slice(a, g.ints([k]), g.ints([k + 1]), g.ints([rank - 1]));
    const pivot = g.Slice(column, g.ints([k]), g.ints([k + 1]), g.ints([rank - 2]));
    const u = g.Sub(column, tensor("float32", unit, [n, 1]));
    const rankOne = g.MatMul(u, g.Transpose(u, { perm: turned }));
    a = g.Sub(g.Sub(a, g.Div(rankOne, pivot)), tensor("float32", corner, [n, n]));
  }
  return g.Neg(a);
}
