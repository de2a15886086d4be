import { describe, expect, it } from "vitest";
import { createRng } from "../core/index.ts";
import { createBuilder, evaluate, gradients, tensor } from "../graph/index.ts";
import { inverseOfPositive } from "./inverse.ts";
import { mahalanobisLogits } from "./mahalanobis.ts";

type Matrix = number[][];

const covariance = (rows: Matrix): Matrix => {
  const mean = rows[0]!.map((_, d) => rows.reduce((sum, r) => sum + r[d]!, 0) / rows.length);
  return mean.map((a, i) =>
    mean.map((b, j) =>
      rows.length === 1 ? 0 : rows.reduce((sum, r) => sum + (r[i]! - a) * (r[j]! - b), 0) / (rows.length - 1),
    ),
  );
};

/** Gauss and Jordan with pivots. */
function inverted(matrix: Matrix): Matrix {
  const n = matrix.length;
  const a = matrix.map((line, i) => [...line, ...line.map((_, j) => (i === j ? 1 : 0))]);
  for (let k = 0; k < n; k++) {
    let p = k;
    for (let i = k; i < n; i++) if (Math.abs(a[i]![k]!) > Math.abs(a[p]![k]!)) p = i;
    [a[k], a[p]] = [a[p]!, a[k]!];
    a[k] = a[k]!.map((v, _, line) => v / line[k]!);
    for (let i = 0; i < n; i++) if (i !== k) a[i] = a[i]!.map((v, j) => v - a[i]![k]! * a[k]![j]!);
  }
  return a.map((line) => line.slice(n));
}

/** −(q − μ)ᵀ(λΣₖ + (1 − λ)Σ + βI)⁻¹(q − μ) as it stands. */
function oracle(support: Matrix[], queries: Matrix, beta: number): Matrix {
  const all = covariance(support.flat());
  return queries.map((q) =>
    support.map((rows) => {
      const lambda = rows.length / (rows.length + 1);
      const own = covariance(rows);
      const full = own.map((line, i) =>
        line.map((v, j) => lambda * v + (1 - lambda) * all[i]![j]! + (i === j ? beta : 0)),
      );
      const x = q.map((v, d) => v - rows.reduce((sum, r) => sum + r[d]!, 0) / rows.length);
      return -inverted(full).reduce(
        (sum, line, i) => sum + x[i]! * line.reduce((s, v, j) => s + v * x[j]!, 0),
        0,
      );
    }),
  );
}

function episode(way: number, shot: number, query: number, dim: number) {
  const rng = createRng(5);
  const draw = (n: number): number[] => Array.from({ length: n }, () => 1.5 * rng.normal());
  return {
    support: Array.from({ length: way }, () => Array.from({ length: shot }, () => draw(dim))),
    queries: Array.from({ length: way * query }, () => draw(dim)),
  };
}

/** One where Q is inverted and one where the support's products are, each at 1 shot and at several. */
const shapes = [
  [3, 2, 2, 5],
  [3, 1, 2, 3],
  [2, 3, 1, 9],
  [4, 1, 2, 11],
] as const;

describe("Mahalanobis logits", () => {
  it.each(shapes)("way %i, shot %i, query %i, D %i: as by a dense inverse", (way, shot, query, dim) => {
    const { support, queries } = episode(way, shot, query, dim);
    const g = createBuilder("mahalanobis");
    const s = g.input("s", "float32", [way, shot, dim]);
    const q = g.input("q", "float32", [way * query, dim]);
    const y = mahalanobisLogits(g, s, q, { way, shot, query }, 0.7);
    const graph = g.build({ y });
    const at = evaluate(graph, {
      s: { dims: [way, shot, dim], data: Float64Array.from(support.flat(2)) },
      q: { dims: [way * query, dim], data: Float64Array.from(queries.flat()) },
    }).y!;
    expect(at.dims).toEqual([way * query, way]);
    oracle(support, queries, 0.7)
      .flat()
      .forEach((value, i) => {
        expect(Math.abs(at.data[i]! - value)).toBeLessThan(1e-6 * (1 + Math.abs(value)));
      });
  });

  it.each(shapes)(
    "way %i, shot %i, query %i, D %i: gradients by central differences",
    (way, shot, query, dim) => {
      const { support, queries } = episode(way, shot, query, dim);
      const rng = createRng(6);
      const g = createBuilder("mahalanobis");
      const s = g.input("s", "float32", [way, shot, dim]);
      const q = g.input("q", "float32", [way * query, dim]);
      const weights = Float32Array.from({ length: way * query * way }, () => rng.normal());
      const y = mahalanobisLogits(g, s, q, { way, shot, query }, 0.7);
      const loss = g.ReduceSum(g.Mul(y, tensor("float32", weights, [way * query, way])), undefined, {
        keepdims: 0,
      });
      const [ds, dq] = gradients(g, loss, [s, q]);
      const slopes = g.build({ loss, ds: g.Identity(ds!), dq: g.Identity(dq!) });
      const feeds = {
        s: { dims: [way, shot, dim], data: Float64Array.from(support.flat(2)) },
        q: { dims: [way * query, dim], data: Float64Array.from(queries.flat()) },
      };
      const lossAt = (moved: Partial<typeof feeds>): number =>
        evaluate(slopes, { ...feeds, ...moved }).loss!.data[0]!;
      const got = evaluate(slopes, feeds);
      const step = 1e-5;
      for (const [name, slope] of [
        ["s", got.ds!],
        ["q", got.dq!],
      ] as const) {
        // Every third number: they are all alike and each costs two runs.
        for (let i = 0; i < feeds[name].data.length; i += 3) {
          const { dims, data } = feeds[name];
          const at = (v: number): number => lossAt({ [name]: { dims, data: data.with(i, v) } });
          const wanted = (at(data[i]! + step) - at(data[i]! - step)) / (2 * step);
          expect(Math.abs(slope.data[i]! - wanted)).toBeLessThan(1e-5 * (1 + Math.abs(wanted)));
        }
      }
    },
  );

  it("without spread are those of the squared Euclidean distance over β", () => {
    const g = createBuilder("mahalanobis");
    const s = g.input("s", "float32", [1, 2, 3]);
    const q = g.input("q", "float32", [1, 3]);
    const graph = g.build({ y: mahalanobisLogits(g, s, q, { way: 1, shot: 2, query: 1 }, 4) });
    const { y } = evaluate(graph, {
      s: { dims: [1, 2, 3], data: Float64Array.of(1, 2, 3, 1, 2, 3) },
      q: { dims: [1, 3], data: Float64Array.of(1, 0, 6) },
    });
    expect(y!.data[0]).toBeCloseTo(-13 / 4, 9);
  });
});

it("inverts several matrices at once", () => {
  const rng = createRng(3);
  const n = 4;
  const matrices = [0, 1, 2].map(() => {
    const b = Array.from({ length: n }, () => Array.from({ length: n }, () => rng.normal()));
    return b.map((r, i) => b.map((o, j) => r.reduce((sum, v, k) => sum + v * o[k]!, i === j ? 0.5 : 0)));
  });
  const g = createBuilder("inverse");
  const x = g.input("x", "float32", [3, n, n]);
  const { y } = evaluate(g.build({ y: inverseOfPositive(g, x) }), {
    x: { dims: [3, n, n], data: Float64Array.from(matrices.flat(2)) },
  });
  matrices
    .flatMap(inverted)
    .flat()
    .forEach((value, i) => {
      expect(y!.data[i]).toBeCloseTo(value, 6);
    });
});
