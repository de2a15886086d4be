import type { Steps } from "../../core/index.ts";
import { addScaled, dot, gramWithOne, invertPositive, kernel, multiply, solveSmall } from "../linalg.ts";
import { mean } from "../prototypes.ts";
import type { Scorer, ScorerClass } from "./scorer.ts";

/**
 * Squared Mahalanobis distance to the class means, (x − m)ᵀΣ⁻¹(x − m), with one covariance for all classes, pooled
 * within classes (Lee et al. 2018, arXiv:1807.03888) and shrunk towards a multiple of the identity by the
 * oracle-approximating formula of Chen et al. 2010 (arXiv:0907.4698):
 * Σ = a·I + b·RᵀR, R the rows less their class means `[n, dim]`, a = γ·tr(S)/dim, b = (1 − γ)/(n − classes).
 * With fewer rows than dimensions Σ⁻¹ is applied by Woodbury's identity and never formed.
 */
export function* mahalanobisScorer(classes: readonly ScorerClass[], dim: number): Steps<Scorer> {
  const means = classes.map((c) => mean(c.rows, dim));
  const residuals = classes.flatMap((c, k) => c.rows.map((x) => x.map((v, i) => v - means[k]![i]!)));
  const { b, apply } = yield* inverseCovariance(residuals, dim, residuals.length - classes.length);
  const solved: Float64Array[] = [];
  for (const m of means) {
    solved.push(apply(m));
    yield;
  }
  const squares = means.map((m, c) => dot(m, solved[c]!));

  return {
    leaveOutCost: 3 * dim * Math.min(dim, residuals.length) + classes.length * dim,
    distances: (z) => {
      const zz = dot(z, apply(Float64Array.from(z)));
      return Float64Array.from(solved, (s, c) => Math.max(0, zz - 2 * dot(z, s) + squares[c]!));
    },
    leaveOut: (owner, picture) => {
      const rows = classes[owner]!.rows;
      const n = rows.length;
      const k = picture.length;
      const left = n - k;
      const pictureMean = mean(
        picture.map((i) => rows[i]!),
        dim,
      );
      // Without the picture the scatter is RᵀR − UᵀU: the picture's own scatter, and its distance from the others.
      const ownMean = new Float64Array(dim);
      const removed: Float64Array[] = [];
      if (left > 0) {
        for (let i = 0; i < dim; i++) ownMean[i] = (n * means[owner]![i]! - k * pictureMean[i]!) / left;
        if (k > 1)
          for (const i of picture) removed.push(Float64Array.from(rows[i]!, (v, d) => v - pictureMean[d]!));
        const scale = Math.sqrt((left * k) / n);
        removed.push(ownMean.map((v, d) => scale * (v - pictureMean[d]!)));
      }
      const t = removed.map((u) => apply(u));
      const block = new Float64Array(t.length ** 2);
      removed.forEach((u, i) => {
        t.forEach((v, j) => {
          block[i * t.length + j] = (i === j ? 1 : 0) - b * dot(u, v);
        });
      });
      const ownSolved = apply(ownMean);
      return picture.map((i) => {
        const x = Float64Array.from(rows[i]!);
        const xx = dot(x, apply(x));
        const tx = t.map((v) => dot(v, x));
        return Float64Array.from(means, (m, c) => {
          const own = c === owner;
          if (own && left === 0) return Number.NaN;
          const s = own ? ownSolved : solved[c]!;
          const center = own ? ownMean : m;
          const full = xx - 2 * dot(x, s) + dot(center, s);
          if (t.length === 0) return Math.max(0, full);
          const v = Float64Array.from(t, (u, j) => tx[j]! - dot(u, center));
          return Math.max(0, full + b * dot(v, solveSmall(block, [v])[0]!));
        });
      });
    },
  };
}

interface InverseCovariance {
  readonly b: number;
  /** Σ⁻¹v, `[dim]`. */
  apply(v: Float64Array): Float64Array;
}

/** `degrees`: rows less classes. At zero degrees nothing is known of the spread and Σ is the identity. */
function* inverseCovariance(
  residuals: readonly Float32Array[],
  dim: number,
  degrees: number,
): Steps<InverseCovariance> {
  const n = residuals.length;
  let trace = 0;
  for (const r of residuals) trace += dot(r, r);
  trace /= Math.max(1, degrees);
  if (degrees < 1 || trace === 0) return { b: 0, apply: (v) => Float64Array.from(v) };

  const dual = n < dim;
  const moments = yield* dual ? kernel(residuals) : gramWithOne(residuals, dim);
  const side = dual ? n : dim;
  const stride = dual ? n : dim + 1;
  let squareTrace = 0;
  for (let i = 0; i < side; i++) {
    const line = moments.subarray(i * stride, i * stride + side);
    squareTrace += dot(line, line);
  }
  squareTrace /= degrees * degrees;
  const gamma = shrinkage(trace, squareTrace, degrees, dim);
  const a = (gamma * trace) / dim;
  const b = (1 - gamma) / degrees;
  if (b === 0) return { b, apply: (v) => v.map((x) => x / a) };

  const matrix = new Float64Array(side * side);
  for (let i = 0; i < side; i++)
    for (let j = 0; j < side; j++)
      matrix[i * side + j] = moments[i * stride + j]! * (dual ? 1 : b) + (i === j ? (dual ? a / b : a) : 0);
  const inverse = (yield* invertPositive(matrix, side))!;
  if (!dual) return { b, apply: (v) => multiply(inverse, v) };
  return {
    b,
    apply: (v) => {
      const weights = multiply(
        inverse,
        Float64Array.from(residuals, (r) => dot(r, v)),
      );
      const out = Float64Array.from(v);
      residuals.forEach((r, i) => {
        addScaled(out, r, -weights[i]!);
      });
      return out.map((x) => x / a);
    },
  };
}

/** γ in (0, 1] from tr(S), tr(S²), the degrees of freedom and the dimension (Chen et al. 2010, equation 23). */
export function shrinkage(trace: number, squareTrace: number, degrees: number, dim: number): number {
  const numerator = (1 - 2 / dim) * squareTrace + trace * trace;
  const denominator = (degrees + 1 - 2 / dim) * (squareTrace - (trace * trace) / dim);
  const gamma = denominator > 0 ? numerator / denominator : 1;
  return Math.min(1, Math.max(1e-6, gamma));
}
