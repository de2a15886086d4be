import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng, finish } from "../core/index.ts";
import { fitTemperature, type LeftOut, negativeLogLikelihood } from "./confidence.ts";
import { binomialTail, classThresholds, conformalThreshold } from "./openset.ts";
import { studentCdf, studentQuantile } from "./student.ts";

const silent = (): null => null;

describe("conformal thresholds", () => {
  it("are an order statistic: scaling and shifting the scores does the same to them", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 20, maxLength: 200 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: -100, max: 100 }),
        (scores, scale, shift) => {
          const t = conformalThreshold(scores, 0.05);
          expect(
            conformalThreshold(
              scores.map((s) => s * scale + shift),
              0.05,
            ),
          ).toBe(t * scale + shift);
          expect(scores.filter((s) => s > t).length / scores.length).toBeLessThanOrEqual(0.05);
        },
      ),
    );
  });

  it.each([
    [19, 0.05],
    [40, 0.05],
    [100, 0.1],
    [10, 0.1],
  ])(
    "reject at most the stated share of exchangeable scores, and not far less (n = %i, α = %f)",
    (n, rate) => {
      const rng = createRng(n);
      const trials = 20_000;
      let rejected = 0;
      for (let t = 0; t < trials; t++) {
        const scores = Array.from({ length: n }, () => rng.normal() ** 2);
        if (rng.normal() ** 2 > conformalThreshold(scores, rate)) rejected++;
      }
      const error = 3 * Math.sqrt((rate * (1 - rate)) / trials);
      expect(rejected / trials).toBeLessThanOrEqual(rate + error);
      expect(rejected / trials).toBeGreaterThanOrEqual(rate - 1 / (n + 1) - error);
    },
  );

  it("say that the rate cannot be had from so few scores", () => {
    expect(conformalThreshold([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.05)).toBe(Number.POSITIVE_INFINITY);
    expect(conformalThreshold([], 0.05)).toBe(Number.POSITIVE_INFINITY);
  });
});

/** Left-out pictures of classes whose own distances are |normal| · spread + base; other classes lie far away. */
function leftOut(counts: readonly number[], bases: readonly number[], seed: number): LeftOut[] {
  const rng = createRng(seed);
  return counts.flatMap((count, owner) =>
    Array.from({ length: count }, () => ({
      owner,
      distances: Float64Array.from(counts, (_, c) =>
        c === owner ? bases[c]! + Math.abs(rng.normal()) * 0.1 : 5 + rng.next(),
      ),
    })),
  );
}

describe("thresholds of classes", () => {
  it("pool the classes, so that ten pictures of each of four suffice for 5 %", () => {
    let rejected = 0;
    const trials = 2000;
    for (let t = 0; t < trials; t++) {
      const seen = leftOut([10, 10, 10, 10], [1, 1, 1, 1], t);
      const made = classThresholds({
        leftOut: seen,
        pictures: [10, 10, 10, 10],
        falseRejectRate: 0.05,
        prior: silent,
      });
      expect(made.map((m) => m.source)).toEqual(["pooled", "pooled", "pooled", "pooled"]);
      const [fresh] = leftOut([1, 1, 1, 1], [1, 1, 1, 1], t + 1_000_000);
      if (fresh!.distances.every((d, c) => d > made[c]!.threshold)) rejected++;
    }
    expect(rejected / trials).toBeLessThanOrEqual(0.05 + 0.015);
    expect(rejected / trials).toBeGreaterThanOrEqual(0.02);
  });

  it("give a class its own when the pooled one rejects too many of it", () => {
    const seen = leftOut([200, 200, 200, 30], [1, 1, 1, 3], 1);
    const made = classThresholds({
      leftOut: seen,
      pictures: [200, 200, 200, 30],
      falseRejectRate: 0.05,
      prior: silent,
    });
    expect(made.map((m) => m.source)).toEqual(["pooled", "pooled", "pooled", "class"]);
    const own = seen.filter((s) => s.owner === 3).map((s) => s.distances[3]!);
    expect(made[3]!.threshold).toBe(conformalThreshold(own, 0.05));
  });

  it("take the bundle's for one or two pictures, and widen the others' where the bundle is silent", () => {
    const seen = leftOut([20, 20, 0], [1, 1, 1], 2);
    const of = (prior: (n: number) => number | null) =>
      classThresholds({ leftOut: seen, pictures: [20, 20, 1], falseRejectRate: 0.05, prior })[2]!;
    expect(of((n) => 10 * n)).toEqual({ threshold: 10, source: "prior" });
    const without = of(silent);
    const pooled = classThresholds({
      leftOut: seen,
      pictures: [20, 20, 9],
      falseRejectRate: 0.05,
      prior: silent,
    })[2]!;
    expect(without.source).toBe("others");
    expect(without.threshold).toBeCloseTo((pooled.threshold * 2) / (1 + 1 / 19), 9);
  });

  it("are a bound, above all that was seen, when there are too few pictures for the rate", () => {
    const seen = leftOut([3, 3], [1, 1], 3);
    const made = classThresholds({ leftOut: seen, pictures: [3, 3], falseRejectRate: 0.05, prior: silent });
    expect(made[0]!.source).toBe("bound");
    expect(made[0]!.threshold).toBeGreaterThan(Math.max(...seen.map((s) => s.distances[s.owner]!)) - 0.05);
    expect(made[0]!.threshold).toBeLessThan(2);
    const [none] = classThresholds({ leftOut: [], pictures: [1, 1], falseRejectRate: 0.05, prior: silent });
    expect(none).toEqual({ threshold: Number.MAX_VALUE, source: "none" });
  });
});

describe("temperature", () => {
  it("is the one with the least negative log-likelihood, and finds a temperature that made the labels", () => {
    const rng = createRng(4);
    const made: LeftOut[] = Array.from({ length: 4000 }, () => {
      const distances = Float64Array.from({ length: 4 }, () => rng.next());
      const weights = distances.map((d) => Math.exp(-d / 0.2));
      let at = rng.next() * weights.reduce((s, w) => s + w, 0);
      const owner = weights.findIndex((w) => {
        at -= w;
        return at < 0;
      });
      return { owner, distances };
    });
    const t = finish(fitTemperature(made, 1));
    expect(t).toBeGreaterThan(0.18);
    expect(t).toBeLessThan(0.22);
    const best = finish(negativeLogLikelihood(made, t));
    expect(finish(negativeLogLikelihood(made, t * 1.3))).toBeGreaterThan(best);
    expect(finish(negativeLogLikelihood(made, t / 1.3))).toBeGreaterThan(best);
  });

  it("scales with the distances, stays finite when all are right, and is the prior for few", () => {
    const right = leftOut([10, 10], [0.1, 0.1], 5);
    const t = finish(fitTemperature(right, 7));
    const tenfold = right.map(({ owner, distances }) => ({ owner, distances: distances.map((d) => d * 10) }));
    expect(finish(fitTemperature(tenfold, 7)) / t).toBeCloseTo(10, 2);
    expect(t).toBeGreaterThan(0.1);
    expect(finish(fitTemperature(right.slice(0, 5), 7))).toBe(7);
  });
});

describe("tables of the textbooks", () => {
  it("Student's t", () => {
    expect(studentQuantile(0.95, 1)).toBeCloseTo(6.3138, 3);
    expect(studentQuantile(0.975, 9)).toBeCloseTo(2.2622, 4);
    expect(studentQuantile(0.995, 30)).toBeCloseTo(2.75, 3);
    expect(studentCdf(-2.2622, 9)).toBeCloseTo(0.025, 5);
    expect(studentCdf(0, 4)).toBeCloseTo(0.5, 12);
  });

  it("the binomial", () => {
    expect(binomialTail(10, 0, 0.3)).toBeCloseTo(1, 12);
    expect(binomialTail(5, 4, 0.5)).toBeCloseTo(6 / 32, 12);
    expect(binomialTail(20, 4, 0.05)).toBeCloseTo(0.0159, 4);
  });
});
