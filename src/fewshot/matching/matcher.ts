import { type Embeddings, finish, ProtolineError, row } from "../../core/index.ts";
import { distanceByProduct, type VectorMetric } from "../distances.ts";
import { checkFinite } from "../transforms.ts";
import { product } from "./kernels.ts";
import { layOut, type RowsOptions } from "./rows.ts";
import { Shortlist } from "./shortlist.ts";

export interface MatcherOptions extends RowsOptions {
  /** Default `cosine`. */
  readonly metric?: VectorMetric;
  /**
   * For `int8`: `true`, the default, keeps a reference to the float32 rows and compares with them whatever the rounding leaves in
   * doubt, so that answers are exact; `false` keeps the rounded rows alone, a quarter of the memory, and answers nearly.
   */
  readonly rerank?: boolean;
}

/** The nearest rows of one query, nearest first, among equals the lower number first. */
export interface Nearest {
  /** `[min(k, n)]`. */
  readonly indices: Int32Array;
  /** `[min(k, n)]`, by the metric. */
  readonly distances: Float64Array;
}

/** Rows to compare with. It holds no resource but memory. */
export interface Matcher {
  readonly n: number;
  readonly dim: number;
  /** Memory of its own, without float32 rows that it refers to. */
  readonly bytes: number;
  /**
   * The `k` nearest rows of each query, `queries` `[q, dim]`. Several queries in one call cost less than one by one. Throws
   * DIMENSION_MISMATCH, NOT_FINITE, and INVALID_ARGUMENT for a `k` below 1.
   */
  nearest(queries: Embeddings, k: number): Nearest[];
}

/**
 * Prepares rows `[n, dim]` for finding the nearest to a query. Every row is compared with, 128 bits at a time where there is
 * WebAssembly; the answers are those of float64 arithmetic over the given numbers, except with `int8` and `rerank: false`. `int8` reads a
 * quarter of the memory. The rows are copied, but `int8` with `rerank` refers to them: do not write to them.
 * Throws NOT_FINITE, with the row.
 */
export function createMatcher(
  rows: Embeddings,
  { metric = "cosine", precision = "float32", rerank = true, simd = true }: MatcherOptions = {},
): Matcher {
  const { n, dim } = rows;
  for (let i = 0; i < n; i++) checkFinite(row(rows, i), i);
  const laid = finish(layOut(n, dim, (i, out) => out.set(row(rows, i)), { precision, simd }));
  const exact = precision === "float32" || rerank;

  return {
    n,
    dim,
    bytes: laid.bytes,
    nearest: (queries, k) => {
      if (queries.dim !== dim)
        throw new ProtolineError("DIMENSION_MISMATCH", {
          expected: `queries of ${dim} numbers, as the rows`,
          got: `${queries.dim}`,
          todo: "Compare only embeddings of one encoder.",
        });
      if (!(Number.isInteger(k) && k >= 1))
        throw new ProtolineError("INVALID_ARGUMENT", {
          expected: "k to be a whole number of at least 1",
          got: `${k}`,
          todo: "Say how many rows to find.",
        });
      const vectors = Array.from({ length: queries.n }, (_, i) => {
        checkFinite(row(queries, i), i);
        return row(queries, i);
      });
      const xx = vectors.map((x) => product(x, 0, x, 0, dim));
      const kept = vectors.map(() => new Shortlist(Math.min(k, n)));
      laid.scan(vectors, (q, first, count, products, slack) => {
        const list = kept[q]!;
        for (let i = 0; i < count; i++) {
          // Lower is nearer: the squared distance less Σ query², or −cosine · ‖query‖.
          const square = laid.squares[first + i]!;
          const scale = metric !== "cosine" ? 2 : square > 0 ? 1 / Math.sqrt(square) : 0;
          const value = (metric === "cosine" ? 0 : square) - scale * products[i]!;
          const off = exact ? scale * slack[i]! : 0;
          if (value - off <= list.limit) list.add(first + i, value, off);
        }
      });
      return kept.map((list, q) => {
        const x = vectors[q]!;
        const found = list.entries().map(({ index, value }): readonly [number, number] => {
          const square = laid.squares[index]!;
          let ab: number;
          if (!exact) ab = metric === "cosine" ? -value * Math.sqrt(square) : (square - value) / 2;
          else if (precision === "float32") ab = laid.product(index, x);
          else ab = product(x, 0, rows.data, index * dim, dim);
          return [index, distanceByProduct(metric, ab, xx[q]!, square)];
        });
        found.sort((a, b) => a[1] - b[1] || a[0] - b[0]);
        const best = found.slice(0, k);
        return {
          indices: Int32Array.from(best, ([index]) => index),
          distances: Float64Array.from(best, ([, distance]) => distance),
        };
      });
    },
  };
}
