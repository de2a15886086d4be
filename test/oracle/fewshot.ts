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

/** The scatter within classes, Σ (x − m)(x − m)ᵀ. */
export function withinScatter(rows: Rows, owners: readonly number[], classes: number): number[][] {
  const means = prototypesOf(rows, owners, classes);
  const residuals = rows.map((r, i) => r.map((v, k) => v - means[owners[i]!]![k]!));
  return product(transpose(residuals), residuals);
}

/** ρ: the power of two whose logarithm is nearest to that of the scatter's mean diagonal. */
export function ridgeOf(scatter: Rows): number {
  const mean = sum(scatter.map((r, i) => r[i]!)) / scatter.length;
  let best = 1;
  for (let k = -60; k <= 60; k++)
    if (Math.abs(Math.log(2 ** k / mean)) < Math.abs(Math.log(best / mean))) best = 2 ** k;
  return best;
}

/** ρ · (q − m)ᵀ (S + ρI)⁻¹ (q − m) / (1 + 1/n) for each class, `[classes]`. */
export function gaussianDistances(
  scatter: Rows,
  rho: number,
  rows: Rows,
  owners: readonly number[],
  classes: number,
  query: readonly number[],
): number[] {
  const regular = scatter.map((r, i) => r.map((v, j) => v + (i === j ? rho : 0)));
  return byClass(rows, owners, classes).map((members) => {
    const mean = meanRow(members);
    const d = query.map((v, i) => v - mean[i]!);
    const solved = solve(
      regular,
      d.map((v) => [v]),
    );
    return (rho * sum(d.map((v, i) => v * solved[i]![0]!))) / (1 + 1 / members.length);
  });
}

/** The upper limit of a log-normal score, textbook empirical Bayes; see src/fewshot/limits.ts for what is meant. */
export function logNormalLimits(
  scores: readonly (readonly number[])[],
  { t, deviation, degrees }: { readonly t: number; readonly deviation: number; readonly degrees: number },
): number[] {
  const mean = (xs: readonly number[]): number => sum(xs) / xs.length;
  const squares = scores.map((xs) => sum(xs.map((x) => (x - mean(xs)) ** 2)));
  const freedom = sum(scores.map((xs) => xs.length - 1)) + 15;
  const pooled = (sum(squares) + 15 * deviation ** 2) / freedom;
  const means = scores.map(mean);
  const k = scores.length;
  const grand = mean(means);
  const chance = mean(scores.map((xs) => pooled / xs.length));
  const spread = sum(means.map((m) => (m - grand) ** 2)) / (k - 1);
  const between = (Math.max(0, spread - chance) * (k - 1)) / (k + 1);
  return scores.map((xs, c) => {
    const weight = between === 0 ? 0 : between / (between + pooled / xs.length);
    const own = (squares[c]! + 12 * pooled) / (xs.length - 1 + 12);
    const ofMean = (weight * pooled) / xs.length + (1 - weight) ** 2 * ((between + chance) / k);
    const middle = weight * means[c]! + (1 - weight) * grand;
    return Math.exp(middle + t * Math.sqrt(own + ofMean + pooled / degrees));
  });
}

/** The smallest of the scores that at least ⌈(n + 1)(1 − α)⌉ of them do not exceed, by counting; Infinity if none. */
export function conformal(scores: readonly number[], wanted: number): number {
  const fit = scores.filter((t) => scores.filter((s) => s <= t).length >= wanted);
  return fit.length > 0 ? Math.min(...fit) : Number.POSITIVE_INFINITY;
}
