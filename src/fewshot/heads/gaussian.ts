import type { Steps } from "../../core/index.ts";
import { cosineDistance } from "../distances.ts";
import { addScaled, dot, solveSmall, type Vector } from "../linalg.ts";
import { layOut, type Rows } from "../matching/rows.ts";
import { Shortlist } from "../matching/shortlist.ts";
import { rowSum } from "./class-sums.ts";
import { type Precision, precisionOf } from "./precision.ts";
import { rebuildAfter, type Scorer, type ScorerChange, type ScorerClass } from "./scorer.ts";

/** A predictive Gaussian that can take and give back single rows. */
export interface GaussianScorer extends Scorer {
  update(change: ScorerChange): Steps<GaussianScorer>;
}

/**
 * One Gaussian for each class, one scatter for all. With m_c the mean of the n_c rows of class c, S the scatter within
 * classes, Σ (x − m)(x − m)ᵀ over all rows, and ρ about tr(S)/dim,
 *
 *     d_c(z) = ρ · (z − m_c)ᵀ (S + ρI)⁻¹ (z − m_c) / (1 + 1/n_c).
 *
 * It is the Mahalanobis distance of the predictive distribution (Murphy 2012, 4.6.3) with a shrunk covariance, in units of a
 * squared length: a direction along which rows of one class differ counts less. The divisor is the variance of a new
 * row about a mean of n_c rows; without it a class of few rows takes frames from one of many. ρ is a power of two, so
 * that it stays as it is while rows come and go; results hardly depend on it within a factor of five (docs/results/decision.md).
 *
 * Where every class has one row there is no scatter, and of rows of length 1 that distance is the cosine's, 1 − cos; then
 * most of the mean of the rows is taken off before (see {@link oneRowCentering}), which tells them apart better.
 */
export function* gaussianScorer(classes: readonly ScorerClass[], dim: number): Steps<GaussianScorer> {
  const rho = rhoOf(classes, dim);
  if (rho === 0) return oneRowScorer(classes, dim);
  const us: Float64Array[] = [];
  for (const { rows } of classes) {
    us.push(...scatterVectors(rows, dim));
    yield;
  }
  const precision = yield* precisionOf(us, dim, rho);
  const solved = yield* precision.applyAll(classes.map((c) => meanOf(c, dim)));
  return yield* scorer({ classes, dim, rho, precision, solved, age: 0 });
}

interface State {
  readonly classes: readonly ScorerClass[];
  readonly dim: number;
  readonly rho: number;
  readonly precision: Precision;
  /** P·m of each class, `[dim]`. */
  readonly solved: readonly Float64Array[];
  /** Rank-one changes since the last rebuild. */
  readonly age: number;
}

/** Up to so many classes all distances are computed in float64; beyond, those of the nearest. */
const small = 128;
const exactly = 32;

function* scorer(state: State): Steps<GaussianScorer> {
  const { classes, dim, precision, solved } = state;
  const means = classes.map((c) => meanOf(c, dim));
  const squares = Float64Array.from(means, (m, c) => dot(m, solved[c]!));
  const divisors = classes.map(({ rows }) => 1 + 1 / rows.length);
  const laid: Rows | null =
    classes.length > small
      ? yield* layOut(classes.length, dim, (c, out) => {
          out.set(solved[c]!);
        })
      : null;

  function distances(z: Float32Array): Float64Array {
    const z64 = Float64Array.from(z);
    const zz = dot(z64, precision.apply(z64));
    const exact = (c: number): number =>
      Math.max(0, zz - 2 * dot(z64, solved[c]!) + squares[c]!) / divisors[c]!;
    if (!laid) return Float64Array.from(solved, (_, c) => exact(c));
    const out = new Float64Array(classes.length);
    const nearest = new Shortlist(exactly);
    laid.scan([z], (_, first, count, products) => {
      for (let i = 0, c = first; i < count; i++, c++) {
        out[c] = Math.max(0, zz - 2 * products[i]! + squares[c]!) / divisors[c]!;
        if (out[c]! <= nearest.limit) nearest.add(c, out[c]!, 0);
      }
    });
    for (const { index } of nearest.entries()) out[index] = exact(index);
    return out;
  }

  /** m·P·m_c of class `owner` with every class, `[classes]`, of the class that was asked for last. */
  let products: { readonly owner: number; readonly all: Float64Array } | null = null;
  const productsOf = (owner: number): Float64Array => {
    if (products?.owner !== owner)
      products = { owner, all: Float64Array.from(solved, (s) => dot(means[owner]!, s)) };
    return products.all;
  };

  /** {@link leaveOut} of one row, by one product of it with each class. */
  function leaveRowOut(owner: number, x: Float32Array): Float64Array {
    const n = classes[owner]!.rows.length;
    const ofMean = productsOf(owner);
    const row = Float64Array.from(x);
    const xx = dot(row, precision.apply(row));
    const ofRow = Float64Array.from(solved, (s) => dot(row, s));
    // The mean of the others is (n·m − x)/(n − 1); v = scale · (that mean − x).
    const scale = Math.sqrt((n - 1) / n);
    const ownRow = (n * ofRow[owner]! - xx) / (n - 1);
    const ownOwn = (n * n * squares[owner]! - 2 * n * ofRow[owner]! + xx) / (n - 1) ** 2;
    const vRow = scale * (ownRow - xx);
    const left = Math.max(state.rho - scale * scale * (ownOwn - 2 * ownRow + xx), 1e-12 * state.rho);
    return Float64Array.from(squares, (square, c) => {
      const mine = c === owner;
      const direct = mine ? xx - 2 * ownRow + ownOwn : xx - 2 * ofRow[c]! + square;
      const vCenter = mine
        ? scale * (ownOwn - ownRow)
        : scale * ((n * ofMean[c]! - ofRow[c]!) / (n - 1) - ofRow[c]!);
      return Math.max(0, direct + (vRow - vCenter) ** 2 / left) / (mine ? 1 + 1 / (n - 1) : divisors[c]!);
    });
  }

  function leaveOut(owner: number, out: readonly number[]): Float64Array[] {
    const { rows } = classes[owner]!;
    if (out.length === 1 && rows.length > 1) return [leaveRowOut(owner, rows[out[0]!]!)];
    const [n, k] = [rows.length, out.length];
    const left = n - k;
    const gone = out.map((i) => Float64Array.from(rows[i]!));
    const pgone = gone.map((x) => precision.apply(x));
    // Without the rows the scatter is S − VVᵀ: their own scatter, and their distance from the others. All is made of the rows
    // and their class's mean, and so is its product with P.
    const own = without(means[owner]!, gone, n);
    const pown = without(solved[owner]!, pgone, n);
    const v = left > 0 ? departures(gone, own, n) : [];
    const pv = left > 0 ? departures(pgone, pown, n) : [];
    const block = residualBlock(v, pv);
    const ownSquare = dot(own, pown);
    return gone.map((x, i) => {
      const xx = dot(x, pgone[i]!);
      const px = pv.map((y) => dot(y, x));
      return Float64Array.from(means, (m, c) => {
        const mine = c === owner;
        if (mine && left === 0) return Number.NaN;
        const direct = xx - 2 * dot(x, mine ? pown : solved[c]!) + (mine ? ownSquare : squares[c]!);
        const divisor = mine ? 1 + 1 / left : divisors[c]!;
        if (v.length === 0) return Math.max(0, direct) / divisor;
        const center = mine ? own : m;
        const w = Float64Array.from(pv, (y, j) => px[j]! - dot(y, center));
        return Math.max(0, direct + dot(w, solveSmall(block, [w])[0]!)) / divisor;
      });
    });
  }

  /** ρI − V P Vᵀ. */
  function residualBlock(v: readonly Float64Array[], pv: readonly Float64Array[]): Float64Array {
    const block = new Float64Array(v.length ** 2);
    v.forEach((x, i) => {
      pv.forEach((y, j) => {
        block[i * v.length + j] = (i === j ? state.rho : 0) - dot(x, y);
      });
    });
    return block;
  }

  function alone(owner: number): number[][] {
    const rows = classes[owner]!.rows.map((x) => Float64Array.from(x));
    const px = rows.map((x) => precision.apply(x));
    const pv = scatterVectors(px, dim);
    const block = residualBlock(scatterVectors(rows, dim), pv);
    // xᵀP'y for all pairs of rows, P' without the class's scatter.
    const across = rows.map((x) => Float64Array.from(pv, (y) => dot(y, x)));
    const solvedAcross = solveSmall(block, across);
    const product = (i: number, j: number): number =>
      dot(rows[i]!, px[j]!) + dot(across[i]!, solvedAcross[j]!);
    // Two single rows have twice the variance of one about its mean.
    return rows.map((_, i) =>
      rows.flatMap((_row, j) =>
        i === j ? [] : [Math.max(0, product(i, i) - 2 * product(i, j) + product(j, j)) / 2],
      ),
    );
  }

  function* update(change: ScorerChange): Steps<GaussianScorer> {
    const { classes: next, from, removed, added } = change;
    const fresh = (): Steps<GaussianScorer> => gaussianScorer(next, dim);
    const age = state.age + removed.length + added.length;
    const rank = next.reduce((sum, { rows }) => sum + rows.length - 1, 0);
    if (age > rebuildAfter || !precision.fits(rank) || rhoOf(next, dim) !== state.rho) return yield* fresh();
    if ((removed.length + added.length) * 4 >= rank) return yield* fresh();

    const p = precision.copy();
    yield;
    const moved = from.map((c) => (c < 0 ? null : solved[c]!.slice()));
    yield;
    const counts = classes.map(({ rows }) => rows.length);
    const sums = new Map<number, Float64Array>();
    const sumOf = (c: number): Float64Array => {
      const known = sums.get(c);
      if (known) return known;
      const sum = c < counts.length ? Float64Array.from(rowSum(classes[c]!, dim)) : new Float64Array(dim);
      sums.set(c, sum);
      return sum;
    };
    // A class that is new is counted behind those there were.
    const numberOf = (now: number): number => (from[now]! >= 0 ? from[now]! : classes.length + now);
    function* one(c: number, row: Float32Array, sign: 1 | -1): Steps<boolean> {
      const [n, sum] = [counts[c] ?? 0, sumOf(c)];
      const others = sign > 0 ? n : n - 1;
      if (others > 0) {
        // The mean of the others, and what the row adds to the scatter about the class's mean.
        const scale = Math.sqrt(others / (others + 1));
        const u = new Float64Array(dim);
        for (let i = 0; i < dim; i++) {
          const other = sign > 0 ? sum[i]! : sum[i]! - row[i]!;
          u[i] = scale * (row[i]! - other / others);
        }
        const pu = p.apply(u);
        const h = state.rho + sign * dot(u, pu);
        if (!p.change(u, pu, sign)) return false;
        yield;
        for (const [at, s] of moved.entries()) {
          if (s) addScaled(s, pu, (-sign * dot(pu, means[from[at]!]!)) / h);
          if (at % 64 === 63) yield;
        }
      }
      addScaled(sum, row, sign);
      counts[c] = n + sign;
      return true;
    }
    for (const { row, owner } of removed) if (!(yield* one(owner, row, -1))) return yield* fresh();
    for (const { row, owner } of added) if (!(yield* one(numberOf(owner), row, 1))) return yield* fresh();
    const touched = new Set([...removed.map(({ owner }) => owner), ...added.map((a) => numberOf(a.owner))]);
    const result: Float64Array[] = [];
    for (const [now, c] of next.entries()) {
      const kept = touched.has(numberOf(now)) ? null : moved[now];
      result.push(kept ?? p.apply(meanOf(c, dim)));
      if (!kept) yield;
    }
    return yield* scorer({ ...state, classes: next, precision: p, solved: result, age });
  }

  return { leaveOutCost: precision.cost + classes.length * dim, distances, leaveOut, alone, update };
}

const meansOf = new WeakMap<ScorerClass, Float64Array>();

/** The mean of a class, kept for as long as the class; not to be written to. */
function meanOf(members: ScorerClass, dim: number): Float64Array {
  const known = meansOf.get(members);
  if (known) return known;
  const mean = Float64Array.from(rowSum(members, dim));
  for (let i = 0; i < dim; i++) mean[i]! /= members.rows.length;
  meansOf.set(members, mean);
  return mean;
}

/** The mean of the others, of `n` rows whose mean is `mean`, when `gone` are taken out; zero where none are left. */
function without(mean: Float64Array, gone: readonly Float64Array[], n: number): Float64Array {
  const left = n - gone.length;
  const out = new Float64Array(mean.length);
  if (left === 0) return out;
  addScaled(out, mean, n / left);
  for (const x of gone) addScaled(out, x, -1 / left);
  return out;
}

/** Vectors v whose Σ v vᵀ the scatter of `n` rows loses with the rows `gone`, the mean of the others being `own`. */
function departures(gone: readonly Float64Array[], own: Float64Array, n: number): Float64Array[] {
  const dim = own.length;
  const apart = own.slice();
  for (const x of gone) addScaled(apart, x, -1 / gone.length);
  const scale = Math.sqrt(((n - gone.length) * gone.length) / n);
  for (let i = 0; i < dim; i++) apart[i]! *= scale;
  return [...scatterVectors(gone, dim), apart];
}

/** Vectors u whose Σ u uᵀ is the scatter of some rows about their mean, one fewer than rows (Helmert's contrasts). */
function scatterVectors(rows: readonly Vector[], dim: number): Float64Array[] {
  const out: Float64Array[] = [];
  const sum = new Float64Array(dim);
  rows.forEach((row, k) => {
    if (k > 0) {
      const scale = Math.sqrt(k / (k + 1));
      const u = new Float64Array(dim);
      for (let i = 0; i < dim; i++) u[i] = scale * (row[i]! - sum[i]! / k);
      out.push(u);
    }
    addScaled(sum, row, 1);
  });
  return out;
}

const scatters = new WeakMap<ScorerClass, number>();

/** Σ ‖x − m‖² of a class, kept for as long as the class. */
function scatterOf(members: ScorerClass, dim: number): number {
  const { rows } = members;
  if (rows.length < 2) return 0;
  const known = scatters.get(members);
  if (known !== undefined) return known;
  const m = meanOf(members, dim);
  let sum = 0;
  for (const row of rows) for (let i = 0; i < dim; i++) sum += (row[i]! - m[i]!) ** 2;
  scatters.set(members, sum);
  return sum;
}

/** The power of two nearest to tr(S)/dim; 0 where there is no scatter. */
function rhoOf(classes: readonly ScorerClass[], dim: number): number {
  const trace = classes.reduce((sum, c) => sum + scatterOf(c, dim), 0);
  const first = classes[0]?.rows[0];
  // Rows that are equal but for rounding have no scatter to speak of.
  return first && trace > 1e-10 * dot(first, first) ? 2 ** Math.round(Math.log2(trace / dim)) : 0;
}

/**
 * How much of the mean of the rows is taken off where every class has one: none is best for unknown on photographs, all of it
 * for naming classes; at this share both lose less than half a point (docs/results/decision.md).
 */
const oneRowCentering = 0.75;

/** Every class has one row, or rows that are all alike: cosine distance, `1 − cos`, 0 … 2. */
function oneRowScorer(classes: readonly ScorerClass[], dim: number): GaussianScorer {
  const center = new Float64Array(dim);
  // The mean of one class alone is that class: nothing would be left of it.
  if (classes.length > 1)
    for (const { rows } of classes) addScaled(center, rows[0]!, oneRowCentering / classes.length);
  const place = (z: Vector): Float64Array => Float64Array.from(z, (x, i) => x - center[i]!);
  const prototypes = classes.map(({ rows }) => place(rows[0]!));
  const distances = (z: Float32Array): Float64Array => {
    const placed = place(z);
    return Float64Array.from(prototypes, (p) => cosineDistance(placed, p));
  };
  return {
    leaveOutCost: classes.length * dim,
    distances,
    leaveOut: (owner, out) =>
      out.map((i) => {
        const all = distances(classes[owner]!.rows[i]!);
        if (out.length === classes[owner]!.rows.length) all[owner] = Number.NaN;
        return all;
      }),
    alone: () => [],
    update: ({ classes: next }) => gaussianScorer(next, dim),
  };
}
