/**
 * Solves A·x = b for each row b of `right` `[rows, n]`, A `[n, n]` symmetric and positive definite, by Cholesky's
 * decomposition A = L·Lᵀ.
 *
 * @returns `[rows, n]`
 */
export function solvePositive(a: Float64Array, right: Float64Array, n: number): Float64Array {
  const l = Float64Array.from(a);
  for (let j = 0; j < n; j++) {
    let diagonal = l[j * n + j]!;
    for (let k = 0; k < j; k++) diagonal -= l[j * n + k]! ** 2;
    // Rounding may leave a hair below zero where columns are nearly copies.
    const root = Math.sqrt(Math.max(diagonal, 1e-30));
    l[j * n + j] = root;
    for (let i = j + 1; i < n; i++) {
      let sum = l[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= l[i * n + k]! * l[j * n + k]!;
      l[i * n + j] = sum / root;
    }
  }
  const x = Float64Array.from(right);
  for (let at = 0; at < x.length; at += n) {
    for (let i = 0; i < n; i++) {
      let sum = x[at + i]!;
      for (let k = 0; k < i; k++) sum -= l[i * n + k]! * x[at + k]!;
      x[at + i] = sum / l[i * n + i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = x[at + i]!;
      for (let k = i + 1; k < n; k++) sum -= l[k * n + i]! * x[at + k]!;
      x[at + i] = sum / l[i * n + i]!;
    }
  }
  return x;
}
