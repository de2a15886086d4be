import { describe, expect, it } from "vitest";
import { createRng, type Embeddings, stack, take } from "../../core/index.ts";
import { lossAndSlope } from "./alpha-tim.ts";
import { type TransductiveTask, transduce, transductiveNames } from "./index.ts";
import { energy, nearest, update } from "./laplacian-shot.ts";
import { softmax } from "./method.ts";
import { sinkhorn } from "./pt-map.ts";

const dim = 24;

/** Positive embeddings around `way` directions; `counts` queries of each class, in turn. */
function clusters(counts: readonly number[], shot: number, noise: number, seed: number) {
  const rng = createRng(seed);
  const means = counts.map((_, k) =>
    Array.from({ length: dim }, (_, d) => (d % counts.length === k ? 3 : 0.5)),
  );
  const draw = (k: number): Float32Array =>
    Float32Array.from(means[k]!, (v) => Math.max(0, v + noise * rng.normal()));
  const labels = counts.flatMap((_, k) => Array<number>(shot).fill(k));
  const truth = rng.shuffle(counts.flatMap((count, k) => Array<number>(count).fill(k)));
  const task: TransductiveTask = {
    support: stack(labels.map(draw)),
    labels,
    way: counts.length,
    queries: stack(truth.map(draw)),
  };
  return { task, truth };
}

const answers = (scores: readonly Float64Array[]): number[] =>
  scores.map((line) => line.indexOf(Math.max(...line)));

describe.each(transductiveNames)("%s", (name) => {
  it.each([1, 5])("is right about well separated classes at %i shots, with probabilities", (shot) => {
    const { task, truth } = clusters([6, 6, 6, 6], shot, 0.3, 1);
    const scores = transduce(name, task);
    expect(answers(scores)).toEqual(truth);
    for (const line of scores) {
      expect(line.reduce((a, b) => a + b)).toBeCloseTo(1, 4);
      expect(Math.min(...line)).toBeGreaterThanOrEqual(0);
    }
  });

  it("does not look at the order of the queries", () => {
    const { task } = clusters([4, 5, 6], 2, 1.2, 2);
    const order = createRng(3).shuffle(Array.from({ length: 15 }, (_, i) => i));
    const plain = transduce(name, task);
    const shuffled = transduce(name, { ...task, queries: take(task.queries, order) });
    order.forEach((from, to) => {
      shuffled[to]!.forEach((value, k) => {
        expect(value).toBeCloseTo(plain[from]![k]!, 6);
      });
    });
  });

  it("answers a query by the others", () => {
    const { task } = clusters([5, 5, 5], 1, 1.5, 4);
    const [alone] = transduce(name, { ...task, queries: take(task.queries, [0, 1, 2]) });
    const [among] = transduce(name, task);
    expect(Math.max(...alone!.map((value, k) => Math.abs(value - among![k]!)))).toBeGreaterThan(1e-6);
  });

  it("refuses what does not fit before it begins", () => {
    const { task } = clusters([2, 2], 1, 0.3, 5);
    const wrong: Partial<TransductiveTask>[] = [
      { labels: [0] },
      { labels: [0, 0] },
      { labels: [0, 1, 2], support: take(task.support, [0, 1, 1]) },
      { queries: { data: new Float32Array(dim - 1), n: 1, dim: dim - 1 } },
      { queries: { data: new Float32Array(0), n: 0, dim } },
    ];
    for (const change of wrong)
      expect(() => transduce(name, { ...task, ...change })).toThrow(
        expect.objectContaining({ code: "DIMENSION_MISMATCH" }),
      );
    const broken: Embeddings = { ...task.queries, data: task.queries.data.with(3, Number.NaN) };
    expect(() => transduce(name, { ...task, queries: broken })).toThrow(
      expect.objectContaining({ code: "NOT_FINITE" }),
    );
  });
});

describe("BD-CSPN", () => {
  it("agrees with the formulas written out", () => {
    const { task } = clusters([7, 2, 4], 3, 1.2, 6);
    const rowsOf = ({ data, n }: Embeddings): number[][] =>
      Array.from({ length: n }, (_, i) => {
        const x = [...data.subarray(i * dim, (i + 1) * dim)];
        return x.map((v) => v / Math.hypot(...x));
      });
    const cos = (a: number[], b: number[]): number =>
      a.reduce((sum, v, d) => sum + v * b[d]!, 0) / (Math.hypot(...a) * Math.hypot(...b));
    const meanOf = (rows: number[][]): number[] =>
      rows[0]!.map((_, d) => rows.reduce((sum, r) => sum + r[d]!, 0) / rows.length);
    const [support, queries] = [rowsOf(task.support), rowsOf(task.queries)];
    const [ofSupport, ofQueries] = [meanOf(support), meanOf(queries)];
    const shifted = queries.map((x) => x.map((v, d) => v + ofSupport[d]! - ofQueries[d]!));
    const basic = [0, 1, 2].map((k) => meanOf(support.filter((_, i) => task.labels[i] === k)));
    const given = shifted.map((x) => {
      const all = basic.map((c) => cos(x, c));
      return all.indexOf(Math.max(...all));
    });
    const rectified = basic.map((c, k) => {
      const members = [
        ...support.filter((_, i) => task.labels[i] === k),
        ...shifted.filter((_, i) => given[i] === k),
      ];
      const weights = members.map((x) => Math.exp(10 * cos(x, c)));
      const total = weights.reduce((a, b) => a + b);
      return c.map((_, d) => members.reduce((sum, x, i) => sum + (weights[i]! / total) * x[d]!, 0));
    });
    const got = transduce("bd-cspn", task);
    queries.forEach((x, i) => {
      const raised = rectified.map((c) => Math.exp(10 * cos(x, c)));
      const total = raised.reduce((a, b) => a + b);
      raised.forEach((value, k) => {
        expect(got[i]![k]).toBeCloseTo(value / total, 5);
      });
    });
  });
});

describe("LaplacianShot", () => {
  const rng = createRng(8);
  const rows = Array.from({ length: 30 }, () => Float64Array.from({ length: 3 }, () => rng.normal()));

  it("lists the nearest others", () => {
    const at = [0, 1, 3, 7].map((x) => Float64Array.of(x));
    expect(nearest(at, 2)).toEqual([
      [1, 2],
      [0, 2],
      [1, 0],
      [2, 1],
    ]);
  });

  it.each([0.3, 0.7, 1])(
    "never raises its energy, λ %f, on a graph with both directions of an edge",
    (lambda) => {
      // A ring: two neighbours each, the case in which descent can be proved.
      const ring = rows.map((_, i) => [(i + 1) % 30, (i + 29) % 30]);
      const unary = rows.map((x) => x.map(Math.abs));
      let y = unary.map((a) => softmax(a.map((v) => -v)));
      let last = energy(y, unary, ring, lambda);
      const first = last;
      for (let i = 0; i < 20; i++) {
        y = update(y, unary, ring, lambda);
        const now = energy(y, unary, ring, lambda);
        expect(now).toBeLessThanOrEqual(last + 1e-12);
        last = now;
      }
      expect(last).toBeLessThan(first - 1e-3);
    },
  );
});

describe("α-TIM", () => {
  it.each([2, 5, 7])("has the gradient of its loss, α %i", (alpha) => {
    const rng = createRng(9);
    const draw = (): Float64Array => Float64Array.from({ length: 4 }, () => 0.4 * rng.normal());
    const rows = Array.from({ length: 9 }, draw);
    const labels = [0, 1, 2];
    const weights = labels.map(draw);
    const { slope } = lossAndSlope(rows, labels, weights, alpha);
    const step = 1e-6;
    for (let k = 0; k < 3; k++)
      for (let d = 0; d < 4; d++) {
        const at = (by: number): number =>
          lossAndSlope(
            rows,
            labels,
            weights.map((w, c) => (c === k ? w.with(d, w[d]! + by) : w)),
            alpha,
          ).loss;
        expect(slope[k]![d]).toBeCloseTo((at(step) - at(-step)) / (2 * step), 6);
      }
  });

  it("has the loss that the paper states", () => {
    // One dimension, two classes at 0 and 1, τ = 15: p(1|x) = σ(15(x − ½)).
    const p = (x: number): number => 1 / (1 + Math.exp(-15 * (x - 0.5)));
    const [a, b] = [0.45, 0.7];
    const tsallis = (q: number): number => 1 - q ** 2 - (1 - q) ** 2;
    const wanted =
      -(Math.log(1 - p(0.4)) + Math.log(p(0.55))) / 2 -
      tsallis((p(a) + p(b)) / 2) +
      (tsallis(p(a)) + tsallis(p(b))) / 2;
    const rows = [0.4, 0.55, a, b].map((x) => Float64Array.of(x));
    const { loss } = lossAndSlope(rows, [0, 1], [Float64Array.of(0), Float64Array.of(1)], 2);
    expect(loss).toBeCloseTo(wanted, 10);
  });
});

describe("PT-MAP", () => {
  it("Sinkhorn: each row sums to 1 and each column to its share, and rows keep their ratios up to columns", () => {
    const rng = createRng(10);
    const kernel = Array.from({ length: 12 }, () =>
      Float64Array.from({ length: 3 }, () => 0.05 + rng.next()),
    );
    const before = kernel.map((line) => line.slice());
    const plan = sinkhorn(kernel);
    for (const line of plan) expect(line.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    for (let k = 0; k < 3; k++) expect(plan.reduce((sum, line) => sum + line[k]!, 0)).toBeCloseTo(4, 9);
    // Scaling by rows and columns keeps cross ratios.
    const cross = (m: readonly Float64Array[]): number => (m[0]![0]! * m[1]![1]!) / (m[0]![1]! * m[1]![0]!);
    expect(cross(plan)).toBeCloseTo(cross(before), 8);
  });

  it("deals every class as many queries, right or wrong", () => {
    const { task } = clusters([9, 2, 1], 2, 0.3, 11);
    const scores = transduce("pt-map", task);
    for (let k = 0; k < 3; k++) expect(scores.reduce((sum, line) => sum + line[k]!, 0)).toBeCloseTo(4, 6);
  });
});
