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
 * A⁻¹ of ridge regression, A = X̃ᵀX̃ + λ·diag(1 … 1, 0), X̃ the rows `[n, dim]` extended by a 1, in one of two forms:
 * primal, the matrix itself `[dim + 1, dim + 1]`; or dual, the inverse of the bordered kernel matrix
 * M = [[0, 1ᵀ], [1, XXᵀ + λI]] `[n + 1, n + 1]`, which is smaller while n < dim (the same numbers: Saunders et al. 1998,
 * with the intercept as in Cawley and Talbot 2004). Vectors of `dim + 1` numbers carry the intercept last.
 */
export interface Inverse {
  /** Multiplications that a row takes in `residualBlock`, roughly. */
  readonly blockCost: number;
  /** g = A⁻¹x̃ and h = x̃·g. */
  solve(x: Float32Array): { readonly g: Float64Array; readonly h: number };
  /** I − X̃_G A⁻¹ X̃_Gᵀ of some of its own rows, `[k, k]`. */
  residualBlock(group: readonly Float32Array[]): Float64Array;
  /** A⁻¹X̃ᵀY for the one-hot Y of these classes, one vector a class. */
  weights(classes: readonly (readonly Float32Array[])[]): Steps<Float64Array[]>;
  /** Whether this form is still a sensible one for `n` rows. */
  fits(n: number): boolean;
  copy(): Inverse;
  /** In place: a row comes, with its `g` and `h`. */
  add(x: Float32Array, g: Float64Array, h: number): void;
  /** In place: one of its own rows goes, with its `g` and `h`. */
  remove(x: Float32Array, g: Float64Array, h: number): void;
}

export function rebuildInverse(rows: readonly Float32Array[], dim: number, lambda: number): Steps<Inverse> {
  return rows.length < dim ? dualInverse(rows, dim, lambda) : primalInverse(rows, dim, lambda);
}

function* primalInverse(rows: readonly Float32Array[], dim: number, lambda: number): Steps<Inverse> {
  const a = yield* gramWithOne(rows, dim);
  for (let i = 0; i < dim; i++) a[i * (dim + 1) + i]! += lambda;
  return primal((yield* invertPositive(a, dim + 1))!, dim);
}

function extend(x: Float32Array): Float64Array {
  const out = new Float64Array(x.length + 1);
  out.set(x);
  out[x.length] = 1;
  return out;
}

function primal(b: Float64Array, dim: number): Inverse {
  const solve = (x: Float32Array) => {
    const extended = extend(x);
    const g = multiply(b, extended);
    return { g, h: dot(extended, g) };
  };
  return {
    blockCost: dim * dim,
    solve,
    residualBlock: (group) => {
      const solved = group.map((x) => solve(x).g);
      const k = group.length;
      const out = new Float64Array(k * k);
      for (let i = 0; i < k; i++)
        for (let j = 0; j < k; j++)
          out[i * k + j] = (i === j ? 1 : 0) - dot(group[i]!, solved[j]!, dim) - solved[j]![dim]!;
      return out;
    },
    weights: (classes) =>
      multiplyMany(
        b,
        classes.map((rows) => {
          const sum = new Float64Array(dim + 1);
          for (const x of rows) addScaled(sum, x, 1);
          sum[dim] = rows.length;
          return sum;
        }),
      ),
    // Below half the dimension the dual form is several times cheaper.
    fits: (n) => n > dim / 2,
    copy: () => primal(b.slice(), dim),
    add: (_x, g, h) => rankOne(b, g, -1 / (1 + h)),
    remove: (_x, g, h) => rankOne(b, g, 1 / (1 - h)),
  };
}

function* dualInverse(rows: readonly Float32Array[], dim: number, lambda: number): Steps<Inverse> {
  const n = rows.length;
  const k = yield* kernel(rows);
  for (let i = 0; i < n; i++) k[i * n + i]! += lambda;
  const p = (yield* invertPositive(k, n))!;
  // By the Schur complement of the border: u = P1, s = 1ᵀu.
  const u = multiply(p, new Float64Array(n).fill(1));
  const s = u.reduce((sum, v) => sum + v, 0);
  const side = n + 1;
  const m = new Float64Array(side * side);
  m[0] = -1 / s;
  for (let i = 0; i < n; i++) {
    m[i + 1] = u[i]! / s;
    m[(i + 1) * side] = u[i]! / s;
    for (let j = 0; j < n; j++) m[(i + 1) * side + j + 1] = p[i * n + j]! - (u[i]! * u[j]!) / s;
  }
  return dual(m, [...rows], dim, lambda);
}

function dual(start: Float64Array, rows: Float32Array[], dim: number, lambda: number): Inverse {
  let m = start;
  const indexOf = (): Map<Float32Array, number> => new Map(rows.map((x, i) => [x, i]));
  let positions: Map<Float32Array, number> | null = null;
  const position = (x: Float32Array): number => {
    positions ??= indexOf();
    return positions.get(x)!;
  };
  /** M⁻¹[1; Xx]. */
  const inner = (x: Float32Array) => {
    const right = new Float64Array(rows.length + 1);
    right[0] = 1;
    rows.forEach((r, i) => {
      right[i + 1] = dot(r, x);
    });
    return { right, solved: multiply(m, right) };
  };
  return {
    blockCost: 1,
    solve: (x) => {
      const { right, solved } = inner(x);
      const g = new Float64Array(dim + 1);
      g.set(x);
      rows.forEach((r, i) => {
        addScaled(g, r, -solved[i + 1]!);
      });
      for (let i = 0; i < dim; i++) g[i]! /= lambda;
      g[dim] = -solved[0]! / lambda;
      return { g, h: (dot(x, x) - dot(right, solved)) / lambda };
    },
    residualBlock: (group) => {
      const at = group.map(position);
      const k = group.length;
      const out = new Float64Array(k * k);
      for (let i = 0; i < k; i++)
        for (let j = 0; j < k; j++)
          out[i * k + j] = lambda * m[(at[i]! + 1) * (rows.length + 1) + at[j]! + 1]!;
      return out;
    },
    *weights(classes) {
      const side = rows.length + 1;
      const all: Float64Array[] = [];
      for (const members of classes) {
        const alpha = new Float64Array(side);
        for (const x of members) {
          const line = (position(x) + 1) * side;
          for (let j = 0; j < side; j++) alpha[j]! += m[line + j]!;
        }
        const w = new Float64Array(dim + 1);
        rows.forEach((r, i) => {
          addScaled(w, r, alpha[i + 1]!);
        });
        w[dim] = alpha[0]!;
        all.push(w);
        yield;
      }
      return all;
    },
    fits: (n) => n <= dim * 1.25,
    copy: () => dual(m, [...rows], dim, lambda),
    add: (x, _g, h) => {
      const { solved } = inner(x);
      const side = rows.length + 1;
      const scale = 1 / (lambda * (1 + h));
      const next = new Float64Array((side + 1) * (side + 1));
      for (let i = 0; i < side; i++) {
        for (let j = 0; j < side; j++)
          next[i * (side + 1) + j] = m[i * side + j]! + solved[i]! * solved[j]! * scale;
        next[i * (side + 1) + side] = -solved[i]! * scale;
        next[side * (side + 1) + i] = -solved[i]! * scale;
      }
      next[side * (side + 1) + side] = scale;
      m = next;
      rows.push(x);
      positions = null;
    },
    remove: (x) => {
      const side = rows.length + 1;
      const gone = position(x) + 1;
      const pivot = m[gone * side + gone]!;
      const next = new Float64Array((side - 1) * (side - 1));
      for (let i = 0, to = 0; i < side; i++) {
        if (i === gone) continue;
        const scale = m[i * side + gone]! / pivot;
        for (let j = 0; j < side; j++) {
          if (j === gone) continue;
          next[to++] = m[i * side + j]! - scale * m[gone * side + j]!;
        }
      }
      m = next;
      rows.splice(gone - 1, 1);
      positions = null;
    },
  };
}
