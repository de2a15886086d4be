import type { Steps } from "../../core/index.ts";
import {
  addScaled,
  dot,
  gramWithOne,
  invertPositive,
  kernel,
  multiply,
  multiplyMany,
  rankOne,
} from "../linalg.ts";

/**
 * P = ρ(S + ρI)⁻¹ of a scatter S = Σ ±u uᵀ, kept while vectors u come and go: the identity where S is zero, and nearly
 * zero along directions in which S is large. In one of two forms: primal, the matrix `[dim, dim]`; or dual,
 * P = I − UᵀMU with M = (ρ·diag(±1) + UUᵀ)⁻¹ (Woodbury 1950), which is smaller while there are fewer vectors than dimensions.
 */
export interface Precision {
  /** Multiplications of {@link apply}, roughly. */
  readonly cost: number;
  /** P·v, `[dim]`. */
  apply(v: Float64Array): Float64Array;
  /** P·v of several at once, which costs less than one by one. */
  applyAll(vectors: readonly Float64Array[]): Steps<Float64Array[]>;
  /** In place: S ± u uᵀ. `false`, and nothing done, where the result would not be positive. `pu` is P·u. */
  change(u: Float64Array, pu: Float64Array, sign: 1 | -1): boolean;
  /** Whether this form is still a sensible one for a scatter of rank `rank`. */
  fits(rank: number): boolean;
  copy(): Precision;
}

/** Of S = Σ u uᵀ; ρ > 0. */
export function precisionOf(us: readonly Float64Array[], dim: number, rho: number): Steps<Precision> {
  return us.length < dim ? dualPrecision(us, dim, rho) : primalPrecision(us, dim, rho);
}

function* primalPrecision(us: readonly Float64Array[], dim: number, rho: number): Steps<Precision> {
  const moments = yield* gramWithOne(us, dim);
  const a = new Float64Array(dim * dim);
  for (let i = 0; i < dim; i++) {
    a.set(moments.subarray(i * (dim + 1), i * (dim + 1) + dim), i * dim);
    a[i * dim + i]! += rho;
  }
  const p = (yield* invertPositive(a, dim))!;
  for (let i = 0; i < p.length; i++) p[i]! *= rho;
  return primal(p, dim, rho);
}

function primal(p: Float64Array, dim: number, rho: number): Precision {
  return {
    cost: dim * dim,
    apply: (v) => multiply(p, v),
    applyAll: (vectors) => multiplyMany(p, vectors),
    change: (u, pu, sign) => {
      // (A ± uuᵀ)⁻¹ by Sherman and Morrison 1950, times ρ.
      const scale = rho + sign * dot(u, pu);
      if (!(scale > 1e-9 * rho)) return false;
      rankOne(p, pu, -sign / scale);
      return true;
    },
    // Below half the dimension the dual form is several times cheaper.
    fits: (rank) => rank > dim / 2,
    copy: () => primal(p.slice(), dim, rho),
  };
}

function* dualPrecision(us: readonly Float64Array[], dim: number, rho: number): Steps<Precision> {
  const n = us.length;
  const k = yield* kernel(us);
  for (let i = 0; i < n; i++) k[i * n + i]! += rho;
  return dual((yield* invertPositive(k, n))!, [...us], dim, rho);
}

function dual(start: Float64Array, us: Float64Array[], dim: number, rho: number): Precision {
  let m = start;
  const products = (v: Float64Array): Float64Array => Float64Array.from(us, (u) => dot(u, v));
  const apply = (v: Float64Array): Float64Array => {
    const weights = multiply(m, products(v));
    const out = v.slice();
    us.forEach((u, i) => {
      addScaled(out, u, -weights[i]!);
    });
    return out;
  };
  return {
    get cost() {
      return 2 * dim * us.length + us.length ** 2;
    },
    apply,
    *applyAll(vectors) {
      const out: Float64Array[] = [];
      for (const v of vectors) {
        out.push(apply(v));
        yield;
      }
      return out;
    },
    change: (u, _pu, sign) => {
      const n = us.length;
      const k = products(u);
      const mk = multiply(m, k);
      // The Schur complement of the new border.
      const s = sign * rho + dot(u, u) - dot(k, mk);
      if (!(sign * s > 1e-9 * rho)) return false;
      const next = new Float64Array((n + 1) ** 2);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) next[i * (n + 1) + j] = m[i * n + j]! + (mk[i]! * mk[j]!) / s;
        next[i * (n + 1) + n] = -mk[i]! / s;
        next[n * (n + 1) + i] = -mk[i]! / s;
      }
      next[n * (n + 1) + n] = 1 / s;
      m = next;
      us.push(u);
      return true;
    },
    // What was taken out again is a vector more: a rebuild forgets it.
    fits: (rank) => us.length <= Math.min(1.25 * dim, 16 + 1.25 * rank),
    copy: () => dual(m, [...us], dim, rho),
  };
}
