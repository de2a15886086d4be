import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../core/index.ts";
import { numbersOf, tensor } from "../graph/index.ts";
import { affineOf, ends, quantizeWeights } from "./affine.ts";
import { BINS, count, emptyHistogram, type Histogram } from "./histogram.ts";
import { bestCut, entropy } from "./range-entropy.ts";
import { minMax } from "./range-minmax.ts";
import { percentile } from "./range-percentile.ts";

function seen(values: Float32Array): Histogram {
  const sorted = Float32Array.from(values).sort();
  const histogram = emptyHistogram(sorted[0]!, sorted.at(-1)!);
  count(histogram, values);
  return histogram;
}
const normal = (n: number, seed = 1): Float32Array => {
  const rng = createRng(seed);
  return Float32Array.from({ length: n }, () => rng.normal());
};

/** The same search in the plainest words: whole arrays P and Q for every cut, compared element by element. */
function plainDivergences(bins: readonly number[], levels: number): number[] {
  const divergences: number[] = [];
  for (let cut = levels; cut <= bins.length; cut++) {
    const inside = bins.slice(0, cut);
    const p = [...inside];
    p[cut - 1] = p[cut - 1]! + bins.slice(cut).reduce((a, b) => a + b, 0);
    const q = inside.map(() => 0);
    for (let level = 0; level < levels; level++) {
      const [from, to] = [level, level + 1].map((n) => Math.floor((n * cut) / levels)) as [number, number];
      const run = inside.map((_, i) => i).slice(from, to);
      const filled = run.filter((i) => inside[i]! > 0);
      for (const i of filled) q[i] = run.reduce((sum, k) => sum + inside[k]!, 0) / filled.length;
    }
    const [sp, sq] = [p, q].map((list) => list.reduce((a, b) => a + b, 0)) as [number, number];
    divergences.push(
      p.reduce(
        (sum, v, i) => (v === 0 ? sum : sum + (v / sp) * Math.log(v / sp / (q[i]! > 0 ? q[i]! / sq : 1e-4))),
        0,
      ),
    );
  }
  return divergences;
}

describe("ranges", () => {
  it("minmax keeps all, percentile leaves an outlier out, each side by itself", () => {
    const values = Float32Array.of(...normal(50_000), 400, -3);
    expect(minMax(seen(values))).toMatchObject({ high: 400 });
    const { low, high } = percentile(0.999)(seen(values));
    expect(high).toBeLessThan(4);
    expect(high).toBeGreaterThan(2);
    expect(low).toBeLessThan(-2);
    const exact = Float32Array.from({ length: 10_001 }, (_, i) => i / 10_000);
    expect(percentile(0.9)(seen(exact)).high).toBeCloseTo(0.9, 3);
  });

  it("entropy finds the cut that a plain search finds", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 9, maxLength: 40 }), (bins) => {
        fc.pre(bins.slice(0, 8).some((n) => n > 0));
        const divergences = plainDivergences(bins, 8);
        const found = divergences[bestCut(Float64Array.from(bins), 8) - 8]!;
        expect(found).toBeCloseTo(Math.min(...divergences), 10);
      }),
      { numRuns: 60 },
    );
  });

  it("entropy cuts a far outlier off, and keeps what is evenly spread", () => {
    const tail = entropy(seen(Float32Array.of(...normal(100_000).map(Math.abs), 300)));
    expect(tail.low).toBeGreaterThanOrEqual(0);
    expect(tail.high).toBeLessThan(60);
    const even = Float32Array.from({ length: 100_000 }, (_, i) => i / 100_000);
    expect(entropy(seen(even)).high).toBeGreaterThan(0.9);
    const { low, high } = entropy(seen(normal(100_000)));
    expect(low).toBeLessThan(-2);
    expect(high).toBeGreaterThan(2);
  });

  it("a histogram counts every number once, signed or not", () => {
    for (const values of [normal(1000), normal(1000).map(Math.abs), new Float32Array(5)]) {
      const { counts } = seen(values);
      expect(counts.reduce((a, b) => a + b, 0)).toBe(values.length);
      expect(counts.length).toBe(values.some((v) => v < 0) ? 2 * BINS : BINS);
    }
  });
});

describe("codes", () => {
  it("say 0 exactly and reach both ends, within half a step", () => {
    const finite = { noNaN: true, noDefaultInfinity: true, min: -1e4, max: 1e4 } as const;
    fc.assert(
      fc.property(fc.double(finite), fc.double(finite), (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        for (const dtype of ["uint8", "int8"] as const) {
          const codes = affineOf({ low, high }, dtype);
          expect(Number.isInteger(codes.zero)).toBe(true);
          const reach = ends(codes);
          const slack = 0.5001 * codes.scale;
          expect(reach.low).toBeLessThanOrEqual(Math.min(low, 0) + slack);
          expect(reach.high).toBeGreaterThanOrEqual(Math.max(high, 0) - slack);
        }
      }),
    );
  });

  it("round weights to half a step of their own channel", () => {
    const w = tensor(
      "float32",
      Float32Array.from(normal(60), (v, i) => v * 10 ** Math.floor(i / 12)),
      [5, 3, 4],
    );
    for (const [axis, bits] of [
      [0, 8],
      [0, 7],
      [1, 8],
    ] as const) {
      const { codes, scales } = quantizeWeights(w, axis, bits);
      const channel = (i: number): number => (axis === 0 ? Math.floor(i / 12) : Math.floor(i / 4) % 3);
      numbersOf(codes).forEach((code, i) => {
        expect(Math.abs(code * scales[channel(i)]! - w.data[i]!)).toBeLessThanOrEqual(
          0.501 * scales[channel(i)]!,
        );
        expect(Math.abs(code)).toBeLessThanOrEqual(bits === 8 ? 127 : 63);
      });
    }
    expect(quantizeWeights(tensor("float32", new Float32Array(4), [2, 2]), 0, 8).scales).toEqual(
      Float32Array.of(1, 1),
    );
  });
});
