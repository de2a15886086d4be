import { finish, type Steps } from "../core/index.ts";

/** Dense linear algebra on plain arrays, float64, row-major. Nothing here knows of classes or pictures. */

/** Any array of numbers that is read by index. */
export type Vector = Float32Array | Float64Array;

/** Σ aᵢbᵢ over the first `n` numbers, in four independent sums. */
export function dot(a: Vector, b: Vector, n = a.length): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 3 < n; i += 4) {
    s0 += a[i]! * b[i]!;
    s1 += a[i + 1]! * b[i + 1]!;
    s2 += a[i + 2]! * b[i + 2]!;
    s3 += a[i + 3]! * b[i + 3]!;
  }
  for (; i < n; i++) s0 += a[i]! * b[i]!;
  return s0 + s1 + (s2 + s3);
}

/** y += scale · x. */
export function addScaled(y: Float64Array, x: Vector, scale: number): void {
  for (let i = 0; i < x.length; i++) y[i]! += scale * x[i]!;
}

/** `B · x` for a square `B` `[n, n]`, shape `[n]`. */
export function multiply(matrix: Float64Array, x: Vector): Float64Array {
  const n = x.length;
  const y = new Float64Array(n);
  for (let i = 0; i < n; i++) y[i] = dot(matrix.subarray(i * n, (i + 1) * n), x, n);
  return y;
}

/** `B · x` for several `x` at once, four to one pass over `B`. */
export function* multiplyMany(matrix: Float64Array, vectors: readonly Float64Array[]): Steps<Float64Array[]> {
  const out: Float64Array[] = [];
  for (let at = 0; at < vectors.length; at += 4) {
    const four = vectors.slice(at, at + 4);
    if (four.length < 4) out.push(...four.map((x) => multiply(matrix, x)));
    else out.push(...multiplyFour(matrix, four[0]!, four[1]!, four[2]!, four[3]!));
    yield;
  }
  return out;
}

function multiplyFour(
  matrix: Float64Array,
  x0: Float64Array,
  x1: Float64Array,
  x2: Float64Array,
  x3: Float64Array,
): Float64Array[] {
  const n = x0.length;
  const out = Array.from({ length: 4 }, () => new Float64Array(n));
  for (let i = 0; i < n; i++) {
    const base = i * n;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let j = 0; j < n; j++) {
      const m = matrix[base + j]!;
      s0 += m * x0[j]!;
      s1 += m * x1[j]!;
      s2 += m * x2[j]!;
      s3 += m * x3[j]!;
    }
    out[0]![i] = s0;
    out[1]![i] = s1;
    out[2]![i] = s2;
    out[3]![i] = s3;
  }
  return out;
}

/** A += scale · x xᵀ, in place, `[n, n]`. */
export function rankOne(matrix: Float64Array, x: Float64Array, scale: number): void {
  const n = x.length;
  for (let i = 0; i < n; i++) {
    const xi = scale * x[i]!;
    if (xi === 0) continue;
    const base = i * n;
    for (let j = 0; j < n; j++) matrix[base + j]! += xi * x[j]!;
  }
}

/**
 * The inverse of a symmetric positive definite matrix `[n, n]`, by A = L Lᵀ, A⁻¹ = L⁻ᵀL⁻¹.
 * `null` when it is not positive definite to working accuracy.
 */
export function* invertPositive(matrix: Float64Array, n: number): Steps<Float64Array | null> {
  const l = Float64Array.from(matrix);
  // Cholesky by rows: every inner product runs along two rows, so memory is read in order.
  for (let i = 0; i < n; i++) {
    const rowI = l.subarray(i * n, i * n + i);
    for (let j = 0; j < i; j++) {
      const s = l[i * n + j]! - dot(rowI, l.subarray(j * n, j * n + j), j);
      l[i * n + j] = s / l[j * n + j]!;
    }
    const d = l[i * n + i]! - dot(rowI, rowI, i);
    if (!(d > 0)) return null;
    l[i * n + i] = Math.sqrt(d);
    yield;
  }
  // u = L⁻ᵀ by rows: row j of u is column j of L⁻¹, so both products below run along rows too.
  const u = new Float64Array(n * n);
  for (let j = 0; j < n; j++) {
    const rowJ = u.subarray(j * n, (j + 1) * n);
    rowJ[j] = 1 / l[j * n + j]!;
    for (let i = j + 1; i < n; i++) {
      const s = dot(l.subarray(i * n + j, i * n + i), rowJ.subarray(j, i), i - j);
      rowJ[i] = -s / l[i * n + i]!;
    }
    yield;
  }
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const rowI = u.subarray(i * n + i, (i + 1) * n);
    for (let j = 0; j <= i; j++) {
      // (L⁻ᵀL⁻¹)ᵢⱼ = Σ over k ≥ i of uᵢₖuⱼₖ.
      const s = dot(rowI, u.subarray(j * n + i, (j + 1) * n), n - i);
      inverse[i * n + j] = s;
      inverse[j * n + i] = s;
    }
    yield;
  }
  return inverse;
}

/** Solves A x = b for each `b` of `right`, A small, symmetric positive definite; used for the block of one picture's views. */
export function solveSmall(matrix: Float64Array, right: readonly Float64Array[]): Float64Array[] {
  const n = right[0]?.length ?? 0;
  if (n === 1) return right.map((b) => Float64Array.of(b[0]! / Math.max(matrix[0]!, 1e-12)));
  const inverse = finish(invertPositive(matrix, n)) ?? finish(invertPositive(withJitter(matrix, n), n))!;
  return right.map((b) => multiply(inverse, b));
}

function withJitter(matrix: Float64Array, n: number): Float64Array {
  const out = Float64Array.from(matrix);
  for (let i = 0; i < n; i++) out[i * n + i] = Math.abs(out[i * n + i]!) * (1 + 1e-6) + 1e-6;
  return out;
}

/** XᵀX of rows that are extended by a 1, `[dim + 1, dim + 1]`: second moments, sums and the count in one matrix. */
export function* gramWithOne(rows: readonly Vector[], dim: number): Steps<Float64Array> {
  const m = dim + 1;
  const panels = Math.ceil(m / 4);
  const out = new Float64Array(m * m);
  const block = 128;
  // Panel p holds the columns 4p … 4p + 3 of one block of rows, side by side: [panels, block, 4].
  const packed = new Float64Array(panels * block * 4);
  for (let start = 0; start < rows.length; start += block) {
    const count = Math.min(block, rows.length - start);
    for (let r = 0; r < count; r++) {
      const x = rows[start + r]!;
      for (let c = 0; c < dim; c++) packed[((c >> 2) * block + r) * 4 + (c & 3)] = x[c]!;
      packed[((dim >> 2) * block + r) * 4 + (dim & 3)] = 1;
    }
    for (let p = 0; p < panels; p++) {
      for (let q = 0; q <= p; q++) tile(packed, p * block * 4, q * block * 4, count, out, p * 4, q * 4, m);
      yield;
    }
  }
  for (let i = 0; i < m; i++) for (let j = 0; j < i; j++) out[j * m + i] = out[i * m + j]!;
  return out;
}

/** out[i … i+3, j … j+3] += PᵀQ with sixteen running sums, which is what keeps the multiplier busy. */
function tile(
  data: Float64Array,
  pAt: number,
  qAt: number,
  count: number,
  out: Float64Array,
  i: number,
  j: number,
  m: number,
): void {
  let s00 = 0;
  let s01 = 0;
  let s02 = 0;
  let s03 = 0;
  let s10 = 0;
  let s11 = 0;
  let s12 = 0;
  let s13 = 0;
  let s20 = 0;
  let s21 = 0;
  let s22 = 0;
  let s23 = 0;
  let s30 = 0;
  let s31 = 0;
  let s32 = 0;
  let s33 = 0;
  for (let r = 0, a = pAt, b = qAt; r < count; r++, a += 4, b += 4) {
    const b0 = data[b]!;
    const b1 = data[b + 1]!;
    const b2 = data[b + 2]!;
    const b3 = data[b + 3]!;
    const a0 = data[a]!;
    s00 += a0 * b0;
    s01 += a0 * b1;
    s02 += a0 * b2;
    s03 += a0 * b3;
    const a1 = data[a + 1]!;
    s10 += a1 * b0;
    s11 += a1 * b1;
    s12 += a1 * b2;
    s13 += a1 * b3;
    const a2 = data[a + 2]!;
    s20 += a2 * b0;
    s21 += a2 * b1;
    s22 += a2 * b2;
    s23 += a2 * b3;
    const a3 = data[a + 3]!;
    s30 += a3 * b0;
    s31 += a3 * b1;
    s32 += a3 * b2;
    s33 += a3 * b3;
  }
  const sums = [s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33];
  for (let k = 0; k < 16; k++) {
    const row = i + (k >> 2);
    const column = j + (k & 3);
    if (row < m && column < m) out[row * m + column]! += sums[k]!;
  }
}

/** X Xᵀ of rows, `[n, n]`. */
export function* kernel(rows: readonly Vector[]): Steps<Float64Array> {
  const n = rows.length;
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const s = dot(rows[i]!, rows[j]!);
      out[i * n + j] = s;
      out[j * n + i] = s;
    }
    yield;
  }
  return out;
}
