/**
 * An oracle for src/fewshot/: textbook formulas in float64, written apart from it and sharing nothing with it. Slow on
 * purpose: Gauss-Jordan, explicit inverses, leaving out by really leaving out.
 */
export type Rows = readonly (readonly number[])[];

const sum = (xs: readonly number[]): number => xs.reduce((s, x) => s + x, 0);

export function transpose(a: Rows): number[][] {
  return (a[0] ?? []).map((_, j) => a.map((r) => r[j]!));
}

export function product(a: Rows, b: Rows): number[][] {
  return a.map((r) => (b[0] ?? []).map((_, j) => sum(r.map((x, k) => x * b[k]![j]!))));
}

/** X of A X = B by Gauss-Jordan elimination with the largest pivot. */
export function solve(a: Rows, b: Rows): number[][] {
  const n = a.length;
  const m = a.map((r, i) => [...r, ...b[i]!]);
  for (let c = 0; c < n; c++) {
    let pivot = c;
    for (let r = c + 1; r < n; r++) if (Math.abs(m[r]![c]!) > Math.abs(m[pivot]![c]!)) pivot = r;
    [m[c], m[pivot]] = [m[pivot]!, m[c]!];
    const scale = m[c]![c]!;
    m[c] = m[c]!.map((x) => x / scale);
    for (let r = 0; r < n; r++) {
      if (r === c) continue;
      const factor = m[r]![c]!;
      m[r] = m[r]!.map((x, k) => x - factor * m[c]![k]!);
    }
  }
  return m.map((r) => r.slice(n));
}

export function meanRow(rows: Rows): number[] {
  return transpose(rows).map((column) => sum(column) / column.length);
}

const length = (x: readonly number[]): number => Math.sqrt(sum(x.map((v) => v * v)));
const unit = (x: readonly number[]): number[] => {
  const l = length(x);
  return l === 0 ? [...x] : x.map((v) => v / l);
};

export function powerL2(x: readonly number[], exponent: number | null): number[] {
  return unit(exponent === null ? x : x.map((v) => Math.sign(v) * Math.abs(v) ** exponent));
}

export function centerL2(z: readonly number[], center: readonly number[] | null): number[] {
  return center === null ? [...z] : unit(z.map((v, i) => v - center[i]!));
}

export function squaredEuclidean(a: readonly number[], b: readonly number[]): number {
  return sum(a.map((v, i) => (v - b[i]!) ** 2));
}

export function cosineDistance(a: readonly number[], b: readonly number[]): number {
  return 1 - sum(a.map((v, i) => v * b[i]!)) / (length(a) * length(b));
}

export function logSoftmax(logits: readonly number[]): number[] {
  return logits.map((l) => l - Math.log(sum(logits.map((x) => Math.exp(x)))));
}

/** Members of each class in the order 0, 1, … of `classes`. */
export function byClass(rows: Rows, owners: readonly number[], classes: number): number[][][] {
  return Array.from({ length: classes }, (_, c) =>
    rows.filter((_row, i) => owners[i] === c).map((r) => [...r]),
  );
}

export function prototypesOf(rows: Rows, owners: readonly number[], classes: number): number[][] {
  return byClass(rows, owners, classes).map(meanRow);
}

/** Scores of a query, `[classes]`: ridge on one-hot labels with an unpenalised intercept, primal normal equations. */
export function ridgeScores(
  rows: Rows,
  owners: readonly number[],
  classes: number,
  lambda: number,
  query: readonly number[],
): number[] {
  const x = rows.map((r) => [...r, 1]);
  const y = owners.map((o) => Array.from({ length: classes }, (_, c) => (o === c ? 1 : 0)));
  const dim = rows[0]!.length;
  const a = product(transpose(x), x).map((r, i) => r.map((v, j) => (i === j && i < dim ? v + lambda : v)));
  const w = solve(a, product(transpose(x), y));
  return product([[...query, 1]], w)[0]!;
}

/** The covariance within classes, Σ = (1 − γ) S + γ tr(S)/dim I, with γ given by the caller's formula. */
export function pooledCovariance(
  rows: Rows,
  owners: readonly number[],
  classes: number,
): { readonly covariance: number[][]; readonly gamma: number } {
  const means = prototypesOf(rows, owners, classes);
  const residuals = rows.map((r, i) => r.map((v, k) => v - means[owners[i]!]![k]!));
  const degrees = rows.length - classes;
  const s = product(transpose(residuals), residuals).map((r) => r.map((v) => v / degrees));
  const p = s.length;
  const trace = sum(s.map((r, i) => r[i]!));
  const trace2 = sum(product(s, s).map((r, i) => r[i]!));
  // Chen, Wiesel, Eldar and Hero 2010, equation (23).
  const gamma = Math.min(
    1,
    ((1 - 2 / p) * trace2 + trace ** 2) / ((degrees + 1 - 2 / p) * (trace2 - trace ** 2 / p)),
  );
  const covariance = s.map((r, i) => r.map((v, j) => (1 - gamma) * v + (i === j ? (gamma * trace) / p : 0)));
  return { covariance, gamma };
}

export function mahalanobis(covariance: Rows, a: readonly number[], b: readonly number[]): number {
  const d = a.map((v, i) => v - b[i]!);
  const solved = solve(
    covariance,
    d.map((v) => [v]),
  );
  return sum(d.map((v, i) => v * solved[i]![0]!));
}

/** The smallest of the scores that at least ⌈(n + 1)(1 − α)⌉ of them do not exceed, by counting; Infinity if none. */
export function conformal(scores: readonly number[], wanted: number): number {
  const fit = scores.filter((t) => scores.filter((s) => s <= t).length >= wanted);
  return fit.length > 0 ? Math.min(...fit) : Number.POSITIVE_INFINITY;
}
