import { type Builder, tensor, type Value } from "../graph/index.ts";

/**
 * The inverse of a symmetric positive definite matrix `[n, n]` in standard operators, which have gradients: one sweep
 * (Goodnight 1979) a row, no pivoting. With p = A[k,k], c the column k and u = c − e, a sweep is A − u·uᵀ/p − 2·e·eᵀ;
 * after all of them A is −A⁻¹. Meant for the small matrices of a support set.
 */
export function inverseOfPositive(g: Builder, matrix: Value): Value {
  const n = Number(matrix.shape[0]);
  let a = matrix;
  for (let k = 0; k < n; k++) {
    const unit = new Float32Array(n);
    unit[k] = 1;
    const corner = new Float32Array(n * n);
    corner[k * n + k] = 2;
    const column = g.Slice(a, g.ints([k]), g.ints([k + 1]), g.ints([1]));
    const pivot = g.Slice(column, g.ints([k]), g.ints([k + 1]), g.ints([0]));
    const u = g.Sub(column, tensor("float32", unit, [n, 1]));
    const rankOne = g.MatMul(u, g.Transpose(u, { perm: [1, 0] }));
    a = g.Sub(g.Sub(a, g.Div(rankOne, pivot)), tensor("float32", corner, [n, n]));
  }
  return g.Neg(a);
}
