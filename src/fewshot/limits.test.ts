import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng, finish, type Rng } from "../core/index.ts";
import { fitTemperature, type LeftOut, negativeLogLikelihood } from "./confidence.ts";
import { type ClassScores, classLimits, conformalThreshold } from "./limits.ts";
import { studentCdf, studentQuantile } from "./student.ts";
import type { LimitPriors } from "./types.ts";

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

const priors = { deviation: 0.34, oneShot: null };

/** Scores of classes whose log distances are normal about means of their own. */
function drawn(
  rng: Rng,
  counts: readonly number[],
  means: readonly number[],
  deviation = 0.34,
): ClassScores[] {
  return counts.map((count, c) => ({
    units: count < 2 ? [] : Array.from({ length: count }, () => [means[c]! + deviation * rng.normal()]),
    of: count,
  }));
}

const about = { rate: 0.05, priors, degrees: 30, oneRow: false, alone: [] };

describe("limits of classes", () => {
  it.each([
    [5, 3],
    [10, 3],
    [10, 1],
    [30, 4],
    [80, 2],
  ])("reject about the stated share of new pictures (%i pictures of each of %i classes)", (count, k) => {
    const rng = createRng(count + k);
    let rejected = 0;
    const trials = 4000;
    for (let t = 0; t < trials; t++) {
      const means = Array.from({ length: k }, () => 0.3 * rng.normal());
      const limits = classLimits(
        drawn(
          rng,
          means.map(() => count),
          means,
        ),
        { ...about, degrees: k * (count - 1) },
      );
      if (means[0]! + 0.34 * rng.normal() > Math.log(limits[0]!.threshold!)) rejected++;
    }
    expect(rejected / trials).toBeGreaterThan(0.03);
    expect(rejected / trials).toBeLessThan(0.065);
  });

  it("follow their own class, and are shrunk to the others where it says little", () => {
    const rng = createRng(2);
    const [few, many] = [3, 50].map((count) =>
      classLimits(drawn(rng, [40, 40, count], [0, 0, 1]), about).map((l) => Math.log(l.threshold!)),
    ) as [number[], number[]];
    expect(many[2]! - many[0]!).toBeGreaterThan(0.7);
    expect(few[2]! - few[0]!).toBeGreaterThan(0.2);
    expect(few[2]).toBeLessThan(many[2]! + 0.4);
  });

  it("are the conformal quantile from 60 pictures on", () => {
    const scores = drawn(createRng(3), [60, 59], [0, 0]);
    const limits = classLimits(scores, about);
    expect(limits.map(({ source }) => source)).toEqual(["conformal", "own"]);
    expect(Math.log(limits[0]!.threshold!)).toBeCloseTo(
      conformalThreshold(scores[0]!.units.flat(), 0.05),
      12,
    );
  });

  it("of a class of one picture are what the others would have with one", () => {
    const scores = drawn(createRng(4), [20, 20, 1], [0, 0, 0]);
    const alone = [Array.from({ length: 20 }, (_, i) => [0.7 + 0.02 * i])];
    const [plain, wider] = [[], alone].map((a) => classLimits(scores, { ...about, alone: a })[2]!);
    expect(plain!.source).toBe("shared");
    expect(wider!.threshold).toBeGreaterThan(plain!.threshold!);
    expect(wider!.rates).toBeNull();
  });

  it("are the encoder's where every class has one picture, and none where it is silent", () => {
    const scores = drawn(createRng(5), [1, 1], [0, 0]);
    const oneShot = [
      { rate: 0.1, threshold: 0.7 },
      { rate: 0.01, threshold: 0.9 },
    ];
    const of = (p: LimitPriors) => classLimits(scores, { ...about, oneRow: true, priors: p })[0]!;
    expect(of({ deviation: 0.3, oneShot })).toMatchObject({ source: "prior", rates: null });
    const at = (rate: number) =>
      classLimits(scores, { ...about, rate, oneRow: true, priors: { deviation: 0.3, oneShot } })[0]!
        .threshold;
    expect([0.5, 0.1, 0.01, 0.001].map(at)).toEqual([0.7, 0.7, 0.9, 0.9]);
    expect(at(Math.sqrt(0.1 * 0.01))).toBeCloseTo(0.8, 9);
    expect(of(priors)).toMatchObject({ threshold: null, source: "none", rates: null });
    expect(of(priors).missing).toBeGreaterThan(10);
  });

  it("say how sure their rate is: the stated one within, narrower with more pictures", () => {
    const at = (n: number) => classLimits(drawn(createRng(6), [n, n], [0, 0]), about)[0]!;
    const widths = [5, 10, 20, 40, 80].map((n) => {
      const { rates, missing } = at(n);
      expect(rates![0]).toBeLessThan(0.05);
      expect(rates![1]).toBeGreaterThan(0.05);
      return [rates![1] - rates![0], missing] as const;
    });
    for (const [i, [width, missing]] of widths.slice(1).entries()) {
      expect(width).toBeLessThan(widths[i]![0]);
      expect(missing).toBeLessThanOrEqual(widths[i]![1]);
    }
    expect(at(80).missing).toBe(0);
  });

  it("count a group of pictures once", () => {
    const one: ClassScores = { units: [[0], [0.1], [0.2], [0.3]], of: 4 };
    const twice: ClassScores = { units: one.units.map(([x]) => [x!, x!, x!]), of: 4 };
    const [a, b] = [one, twice].map((scores) => classLimits([scores], about)[0]!);
    expect(b!.threshold).toBeCloseTo(a!.threshold!, 12);
    expect([b!.pictures, b!.rates, b!.missing]).toEqual([a!.pictures, a!.rates, a!.missing]);
  });
});

describe("temperature", () => {
  it("is the one with the least negative log-likelihood, and finds a temperature that made the labels", () => {
    const rng = createRng(4);
    const made: LeftOut[] = Array.from({ length: 4000 }, () => {
      const energies = Float64Array.from({ length: 4 }, () => rng.next());
      const weights = energies.map((d) => Math.exp(-d / 0.2));
      let at = rng.next() * weights.reduce((s, w) => s + w, 0);
      const owner = weights.findIndex((w) => {
        at -= w;
        return at < 0;
      });
      return { owner, energies };
    });
    const t = finish(fitTemperature(made, 0.5));
    expect(t).toBeGreaterThan(0.18);
    expect(t).toBeLessThan(0.22);
    const best = finish(negativeLogLikelihood(made, t));
    expect(finish(negativeLogLikelihood(made, t * 1.3))).toBeGreaterThan(best);
    expect(finish(negativeLogLikelihood(made, t / 1.3))).toBeGreaterThan(best);
  });

  it("stays near what is expected where pictures are few, and above zero where all are right", () => {
    const right: LeftOut[] = Array.from({ length: 10 }, (_, i) => ({
      owner: i % 2,
      energies: Float64Array.of(i % 2 === 0 ? 0 : 3, i % 2 === 0 ? 3 : 0),
    }));
    const t = finish(fitTemperature(right, 0.1));
    expect(t).toBeGreaterThan(0.05);
    expect(t).toBeLessThan(0.15);
    expect(finish(fitTemperature([], 0.1))).toBe(0.1);
    const wrong = right.map(({ owner, energies }) => ({ owner: 1 - owner, energies }));
    expect(finish(fitTemperature(wrong, 0.1))).toBeGreaterThan(t);
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
});
