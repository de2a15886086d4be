import type { Steps } from "../../core/index.ts";
import { dot, solveSmall } from "../linalg.ts";
import type { HeadSpec } from "../types.ts";
import { type Inverse, rebuildInverse } from "./inverse.ts";
import { rebuildAfter, type Scorer, type ScorerChange, type ScorerClass } from "./scorer.ts";

export type RidgeSpec = Extract<HeadSpec, { kind: "ridge" }>;

/** Ridge prototypes: a scorer that can take and give back single rows. */
export interface RidgeScorer extends Scorer {
  update(change: ScorerChange): Steps<RidgeScorer>;
}

/**
 * Ridge regression of the one-hot labels on the rows, with an intercept that is not penalised:
 * W = A⁻¹ X̃ᵀY, A = X̃ᵀX̃ + λ·diag(1 … 1, 0), X̃ the rows extended by a 1. What RanPAC calls decorrelated prototypes
 * (McDonnell et al. 2023, arXiv:2307.02251): class sums and one Gram matrix are all it takes. Because the intercept is
 * free, centring the rows by anything changes no score, so no centre has to be kept up to date.
 * The distance to a class is minus its score, less the class's share of the rows: the regression adds that share to every
 * score as a prior, which favours large classes, and a left-out picture would find its own class's prior lowered.
 */
export function* ridgeScorer(
  classes: readonly ScorerClass[],
  dim: number,
  { lambda }: RidgeSpec,
): Steps<RidgeScorer> {
  const rows = classes.map((c) => c.rows);
  const inverse = yield* rebuildInverse(rows.flat(), dim, lambda);
  return scorer({ classes, dim, lambda, inverse, weights: yield* inverse.weights(rows), age: 0 });
}

interface State {
  readonly classes: readonly ScorerClass[];
  readonly dim: number;
  readonly lambda: number;
  readonly inverse: Inverse;
  /** One a class, `[dim + 1]`, the intercept last. */
  readonly weights: readonly Float64Array[];
  /** Rank-one changes since the last rebuild. */
  readonly age: number;
}

function scorer(state: State): RidgeScorer {
  const { dim, lambda, inverse, weights } = state;
  const rows = state.classes.map((c) => c.rows);
  const predict = (x: Float32Array): Float64Array => {
    const x64 = Float64Array.from(x);
    return Float64Array.from(weights, (w) => dot(x64, w, dim) + w[dim]!);
  };
  const counts = rows.map((members) => members.length);
  const total = counts.reduce((sum, n) => sum + n, 0);
  return {
    leaveOutCost: inverse.blockCost + weights.length * dim,
    distances: (z) => predict(z).map((score, c) => counts[c]! / total - score),
    leaveOut: (owner, out) => {
      const mine = out.map((i) => rows[owner]![i]!);
      const alone = rows[owner]!.length === out.length;
      // y − ŷ without the picture is (I − H)⁻¹(y − ŷ), H its block of the hat matrix (Allen 1974).
      const fitted = mine.map(predict);
      const block = inverse.residualBlock(mine);
      const errors = weights.map((_, c) => Float64Array.from(fitted, (f) => (c === owner ? 1 : 0) - f[c]!));
      const left = solveSmall(block, errors);
      const rest = total - out.length;
      return mine.map((_, r) =>
        Float64Array.from(weights, (_w, c) => {
          if (c !== owner) return left[c]![r]! + counts[c]! / rest;
          return alone ? Number.NaN : left[c]![r]! - 1 + (counts[c]! - out.length) / rest;
        }),
      );
    },
    // A ridge score decides no unknown.
    alone: () => [],
    *update({ classes, from, removed, added }) {
      const changes = removed.length + added.length;
      const fresh = () => ridgeScorer(classes, dim, { kind: "ridge", lambda });
      const age = state.age + changes;
      if (changes * 4 >= total || age > rebuildAfter || !inverse.fits(total + added.length - removed.length))
        return yield* fresh();

      const next = inverse.copy();
      yield;
      const moved = from.map((c) => (c < 0 ? new Float64Array(dim + 1) : weights[c]!.slice()));
      yield;
      const target = new Map<number, number>();
      from.forEach((before, now) => {
        if (before >= 0) target.set(before, now);
      });
      // w ± g·(y − w·x̃)/(1 ± h), g = A⁻¹x̃, h = x̃·g: recursive least squares (Sherman and Morrison 1950).
      function* change(x: Float32Array, owner: number, sign: 1 | -1): Steps<boolean> {
        const { g, h } = next.solve(x);
        const scale = 1 + sign * h;
        if (!(scale > 1e-9)) return false;
        yield;
        for (const [c, w] of moved.entries()) {
          const error = (c === owner ? 1 : 0) - dot(x, w, dim) - w[dim]!;
          const step = (sign * error) / scale;
          for (let i = 0; i <= dim; i++) w[i]! += step * g[i]!;
          if (c % 64 === 63) yield;
        }
        if (sign > 0) next.add(x, g, h);
        else next.remove(x, g, h);
        yield;
        return true;
      }
      for (const { row, owner } of removed)
        if (!(yield* change(row, target.get(owner) ?? -1, -1))) return yield* fresh();
      for (const { row, owner } of added) if (!(yield* change(row, owner, 1))) return yield* fresh();
      return scorer({ ...state, classes, inverse: next, weights: moved, age });
    },
  };
}
