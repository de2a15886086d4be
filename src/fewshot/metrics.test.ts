import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aupr, auroc, ece, fpr95, meanAndInterval, oscr, reliability } from "./metrics.ts";

const scores = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 30 });

describe("metrics", () => {
  it("auroc counts pairs, ties half", () => {
    fc.assert(
      fc.property(scores, scores, (known, unknown) => {
        let pairs = 0;
        for (const u of unknown) for (const k of known) pairs += u > k ? 1 : u === k ? 0.5 : 0;
        expect(auroc(known, unknown)).toBeCloseTo(pairs / (known.length * unknown.length), 10);
        expect(auroc(known, unknown) + auroc(unknown, known)).toBeCloseTo(1, 10);
      }),
    );
    expect(auroc([], [1])).toBeNaN();
  });

  it("aupr, by hand", () => {
    // From the top: unknown, known, unknown: precision 1 at recall ½, then 2/3 at recall 1.
    expect(aupr([2], [3, 1])).toBeCloseTo(0.5 + (0.5 * 2) / 3, 12);
    expect(aupr([1, 2], [3, 4])).toBe(1);
    // All the same: precision is the share of unknown.
    expect(aupr([1, 1, 1], [1])).toBeCloseTo(0.25, 12);
  });

  it("fpr95, by hand", () => {
    const known = Array.from({ length: 20 }, (_, i) => i + 1);
    // 19 of 20 known lie at or below 19.
    expect(fpr95(known, [18, 19, 20, 25])).toBe(0.5);
    expect(fpr95(known, [100])).toBe(0);
    expect(fpr95([1], [0.5])).toBe(1);
  });

  it("oscr is the auroc when all known are right, and at most the accuracy", () => {
    fc.assert(
      fc.property(scores, scores, fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }), (k, u, right) => {
        const all = k.map((novelty) => ({ novelty, correct: true }));
        expect(oscr(all, u)).toBeCloseTo(auroc(k, u), 10);
        const some = k.map((novelty, i) => ({ novelty, correct: right[i]! }));
        const accuracy = some.filter((s) => s.correct).length / some.length;
        expect(oscr(some, u)).toBeLessThanOrEqual(accuracy + 1e-12);
      }),
    );
  });

  it("ece over fifteen bins, by hand", () => {
    // Bin 15: confidence 0.95 twice, one right: |0.95 − 0.5|; bin 8: 0.5, right: 0.5.
    const answers = [
      { confidence: 0.95, correct: true },
      { confidence: 0.95, correct: false },
      { confidence: 0.5, correct: true },
    ];
    expect(ece(answers)).toBeCloseTo((2 * 0.45 + 0.5) / 3, 12);
    expect(ece([{ confidence: 1, correct: true }])).toBe(0);
    expect(ece([{ confidence: 0, correct: false }])).toBe(0);
    const bins = reliability(answers);
    expect(bins.map(({ n, accuracy }) => [n, accuracy])).toEqual([
      [1, 1],
      [2, 0.5],
    ]);
    expect(bins[1]).toMatchObject({ from: 14 / 15, to: 1, confidence: 0.95 });
  });

  it("mean and interval: 1.96·s/√n", () => {
    const { n, mean, ci95 } = meanAndInterval([1, 2, 3, 4]);
    expect([n, mean]).toEqual([4, 2.5]);
    expect(ci95).toBeCloseTo((1.96 * Math.sqrt(5 / 3)) / 2, 12);
    expect(meanAndInterval([7]).ci95).toBeNaN();
  });
});
