import { describe, expect, it } from "vitest";
import { createRng, type Embeddings, type Rng, stack } from "../core/index.ts";
import { detectDrift, type FrameSample, holm } from "./drift.ts";
import { kolmogorovSmirnov } from "./kolmogorov-smirnov.ts";
import { meanShift } from "./mean-shift.ts";
import { mmd } from "./mmd.ts";
import { permutationP } from "./permutation.ts";
import { rateChange, wilson } from "./rates.ts";

const gaussian = (rng: Rng, n: number, dim: number, { mean = 0, spread = 1 } = {}): Embeddings =>
  stack(
    Array.from({ length: n }, () => Float32Array.from({ length: dim }, () => mean + spread * rng.normal())),
  );

/** Share of `times` draws whose p-value is at most the level. */
function alarmRate(times: number, level: number, pValue: (rng: Rng) => number): number {
  const root = createRng(99);
  let alarms = 0;
  for (let i = 0; i < times; i++) if (pValue(root.fork(i)) <= level) alarms++;
  return alarms / times;
}
/** Three standard errors of a share. */
const noise = (level: number, times: number): number => 3 * Math.sqrt((level * (1 - level)) / times);

describe("the level is kept: without drift the alarm rate is", () => {
  const [times, level] = [600, 0.05];
  const options = (rng: Rng) => ({ permutations: 199, rng: rng.fork(1) });

  it("that of MMD", () => {
    const rate = alarmRate(
      times,
      level,
      (rng) => mmd(gaussian(rng, 12, 3), gaussian(rng, 9, 3), options(rng)).pValue,
    );
    expect(Math.abs(rate - level)).toBeLessThan(noise(level, times));
  });

  it("that of the mean shift, also with a long tail", () => {
    const tailed = (rng: Rng, n: number): Embeddings =>
      stack(Array.from({ length: n }, () => Float32Array.of(rng.normal() ** 3, rng.normal() ** 3)));
    const rate = alarmRate(
      times,
      level,
      (rng) => meanShift(tailed(rng, 12), tailed(rng, 9), options(rng)).pValue,
    );
    expect(Math.abs(rate - level)).toBeLessThan(noise(level, times));
  });

  it("at most that of Kolmogorov and Smirnov, and of Fisher, whose values are few", () => {
    const draw = (rng: Rng, n: number): number[] => Array.from({ length: n }, () => rng.normal());
    const ks = alarmRate(2000, level, (rng) => kolmogorovSmirnov(draw(rng, 40), draw(rng, 33)).pValue);
    expect(ks).toBeLessThan(level + noise(level, 2000));
    expect(ks).toBeGreaterThan(level / 2);
    const count = (rng: Rng, of: number) => ({
      hits: Array.from({ length: of }, () => rng.next()).filter((v) => v < 0.2).length,
      of,
    });
    const fisher = alarmRate(2000, level, (rng) => rateChange(count(rng, 60), count(rng, 50)).pValue);
    expect(fisher).toBeLessThan(level + noise(level, 2000));
    expect(fisher).toBeGreaterThan(level / 4);
  });

  it("at most that of a whole report", () => {
    const rate = alarmRate(200, 0.1, (rng) => {
      const report = detectDrift(frames(rng, 30), frames(rng, 30), { level: 0.1, seed: rng.int(1e6) });
      return report.alarm ? 0 : 1;
    });
    expect(rate).toBeLessThan(0.1 + noise(0.1, 200));
    expect(rate).toBeGreaterThan(0.01);
  });
});

/** Two classes and some unknown, as a line sees them. */
function frames(
  rng: Rng,
  n: number,
  { shift = 0, spread = 1, unknown = 0.1 }: { shift?: number; spread?: number; unknown?: number } = {},
): FrameSample {
  const labels = Array.from({ length: n }, (_, i) => (rng.next() < unknown ? null : i % 2 === 0 ? "A" : "B"));
  const rows = labels.map((label) =>
    Float32Array.from(
      { length: 4 },
      (_, d) => (label === "A" && d === 0 ? 6 : 0) + (label === "B" ? shift : 0) + spread * rng.normal(),
    ),
  );
  const distances = rows.map((v, i) =>
    Math.hypot(...v.map((x, d) => x - (labels[i] === "A" && d === 0 ? 6 : 0))),
  );
  return { embeddings: stack(rows), distances, labels };
}

describe("planted drifts are found", () => {
  const clean = frames(createRng(1), 150);

  it("a class that moves, and which one", () => {
    const { alarm, findings } = detectDrift(clean, frames(createRng(2), 150, { shift: 1.5 }));
    expect(alarm).toBe(true);
    const means = findings.filter(({ test }) => test === "classMean");
    expect(means.map(({ label, alarm }) => [label, alarm])).toEqual([
      ["B", true],
      ["A", false],
    ]);
    expect(means[0]!.statistic).toBeGreaterThan(1);
  });

  it("a spread that grows, which leaves the means where they are", () => {
    const { findings } = detectDrift(clean, frames(createRng(3), 150, { spread: 2.5 }));
    const alarms = findings.filter(({ alarm }) => alarm).map(({ test }) => test);
    expect(alarms).toEqual(expect.arrayContaining(["embeddings", "distance"]));
    expect(alarms).not.toContain("classMean");
  });

  it("more unknown frames", () => {
    const { findings } = detectDrift(clean, frames(createRng(4), 150, { unknown: 0.5 }));
    const found = findings.find(({ test }) => test === "unknownRate")!;
    expect(found.alarm).toBe(true);
    expect(found.statistic).toBeGreaterThan(0.2);
  });

  it("and nothing in more of the same; the same seed gives the same report", () => {
    const report = detectDrift(clean, frames(createRng(5), 150));
    expect(report.alarm).toBe(false);
    expect(detectDrift(clean, frames(createRng(5), 150))).toEqual(report);
  });
});

describe("statistics", () => {
  it("MMD is its double sum, and the kernel's width the median distance", () => {
    const rng = createRng(7);
    const [x, y] = [gaussian(rng, 5, 2), gaussian(rng, 4, 2, { mean: 1 })];
    const { mmdSquared, bandwidth } = mmd(x, y, { permutations: 1, rng });
    const at = ({ data }: Embeddings, i: number) => [data[2 * i]!, data[2 * i + 1]!] as const;
    const square = (a: readonly [number, number], b: readonly [number, number]): number =>
      (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;
    const all = [0, 1, 2, 3, 4].map((i) => at(x, i)).concat([0, 1, 2, 3].map((i) => at(y, i)));
    const distances = all
      .flatMap((a, i) => all.slice(0, i).map((b) => Math.sqrt(square(a, b))))
      .sort((a, b) => a - b);
    expect(bandwidth).toBeCloseTo(distances[18]!, 6);
    let expected = 0;
    for (let i = 0; i < 9; i++)
      for (let j = 0; j < 9; j++) {
        if (i === j) continue;
        const k = Math.exp(-square(all[i]!, all[j]!) / (2 * bandwidth ** 2));
        expected += i < 5 && j < 5 ? k / 20 : i >= 5 && j >= 5 ? k / 12 : -k / 20;
      }
    expect(mmdSquared).toBeCloseTo(expected, 6);
  });

  it("the mean shift is the distance of the means by the spread about them", () => {
    const x = stack([Float32Array.of(0, 0), Float32Array.of(2, 0)]);
    const y = stack([Float32Array.of(4, 3), Float32Array.of(6, 3)]);
    const { shift } = meanShift(x, y, { permutations: 1, rng: createRng(1) });
    expect(shift).toBeCloseTo(5, 6);
  });

  it("Kolmogorov and Smirnov agrees with counting every order", () => {
    const orders = (n: number, m: number): number[][] => {
      if (n + m === 0) return [[]];
      return [
        ...(n > 0 ? orders(n - 1, m).map((rest) => [0, ...rest]) : []),
        ...(m > 0 ? orders(n, m - 1).map((rest) => [1, ...rest]) : []),
      ];
    };
    const samples = orders(4, 6).map((order) => {
      const of = (which: number): number[] => order.flatMap((owner, i) => (owner === which ? [i] : []));
      return kolmogorovSmirnov(of(0), of(1));
    });
    for (const { statistic, pValue } of samples) {
      const asFar = samples.filter((other) => other.statistic >= statistic - 1e-9).length;
      expect(pValue).toBeCloseTo(asFar / samples.length, 10);
    }
  });

  it("Kolmogorov and Smirnov goes over into its limit", () => {
    const rng = createRng(3);
    const draw = (n: number, mean: number): number[] => Array.from({ length: n }, () => mean + rng.normal());
    const [x, y] = [draw(1990, 0), draw(2000, 0.06)];
    const exact = kolmogorovSmirnov(x, y).pValue;
    const limit = kolmogorovSmirnov([...x, ...draw(30, 0)], y).pValue;
    expect(exact).toBeGreaterThan(0);
    expect(Math.abs(Math.log(limit / exact))).toBeLessThan(1.5);
  });

  it("Fisher: the lady who tastes tea", () => {
    expect(rateChange({ hits: 1, of: 4 }, { hits: 3, of: 4 }).pValue).toBeCloseTo(0.485714, 6);
    expect(rateChange({ hits: 0, of: 0 }, { hits: 2, of: 3 }).pValue).toBeCloseTo(1, 9);
    expect(rateChange({ hits: 0, of: 10 }, { hits: 10, of: 10 })).toEqual({
      difference: 1,
      pValue: expect.closeTo(2 / 184_756, 9),
    });
  });

  it("Wilson", () => {
    expect(wilson({ hits: 5, of: 10 })[0]).toBeCloseTo(0.2366, 4);
    expect(wilson({ hits: 0, of: 10 })).toEqual([0, expect.closeTo(0.2775, 4)]);
    expect(wilson({ hits: 0, of: 0 })).toEqual([0, 1]);
  });

  it("Holm", () => {
    expect(holm([0.01, 0.04, 0.03])).toEqual([
      expect.closeTo(0.03),
      expect.closeTo(0.06),
      expect.closeTo(0.06),
    ]);
  });

  it("permutations stop early where nothing can come of it", () => {
    let asked = 0;
    const { pValue } = permutationP(
      5,
      5,
      () => {
        asked++;
        return 0;
      },
      { permutations: 9999, rng: createRng(1) },
    );
    expect(pValue).toBe(1);
    expect(asked).toBe(21);
  });
});

describe("what is refused", () => {
  it.each([
    () => mmd(gaussian(createRng(1), 1, 2), gaussian(createRng(1), 5, 2), { rng: createRng(1) }),
    () => rateChange({ hits: 3, of: 2 }, { hits: 0, of: 1 }),
    () => detectDrift(frames(createRng(1), 9), frames(createRng(1), 9), { level: 0 }),
    () => detectDrift(frames(createRng(1), 9), { ...frames(createRng(1), 9), distances: [1] }),
    () => kolmogorovSmirnov([], [1]),
  ])("%o", (call) => {
    expect(call).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  it("embeddings of two encoders", () => {
    expect(() =>
      meanShift(gaussian(createRng(1), 4, 2), gaussian(createRng(1), 4, 3), { rng: createRng(1) }),
    ).toThrow(expect.objectContaining({ code: "DIMENSION_MISMATCH" }));
  });
});
