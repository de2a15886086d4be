import { describe, expect, it } from "vitest";
import { createRng, type Rng } from "../core/index.ts";
import { type ClassScores, classLimits } from "./limits.ts";
import { createFrameCounter, fewestFrames, learnedShift } from "./line-limits.ts";
import type { Limit } from "./types.ts";

const deviation = 0.34;
const priors = { deviation, oneShot: null };

/** A class whose pictures lie about 0 in log distance, and the mean that its frames really have. */
function taught(rng: Rng, pictures = 10): { readonly limit: Limit; readonly truth: number } {
  const truth = 0.15 * rng.normal();
  const scores: ClassScores = {
    units: Array.from({ length: pictures }, () => [truth + deviation * rng.normal()]),
    of: pictures,
  };
  const about = { rate: 0.05, priors, degrees: 3 * (pictures - 1), oneRow: false, alone: [] };
  return { limit: classLimits([scores], about)[0]!, truth };
}

/** The shift after so many frames, a share of them of strangers farther out by `offset` deviations. */
function shiftAfter(
  rng: Rng,
  { limit, truth }: ReturnType<typeof taught>,
  n: number,
  share: number,
  offset: number,
) {
  const counter = createFrameCounter();
  for (let i = 0; i < n; i++) {
    const stranger = i / n < share;
    counter.count(Math.exp(truth + deviation * (rng.normal() + (stranger ? offset : 0))), limit);
  }
  return learnedShift(counter, limit, 0.05);
}

const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;

describe("limits that the line moves", () => {
  it("come nearer to what many pictures would say, and never go out", () => {
    const gained: number[] = [];
    for (let t = 0; t < 12; t++) {
      const rng = createRng(t);
      const one = taught(rng);
      const best = one.truth + 1.645 * deviation;
      const before = Math.log(one.limit.threshold!);
      const shift = shiftAfter(rng, one, 300, 0, 0);
      expect(shift).toBeLessThanOrEqual(0);
      if (before > best) gained.push(Math.abs(before - best) - Math.abs(before + shift - best));
    }
    expect(mean(gained)).toBeGreaterThan(0.05);
  });

  it.each([0.1, 0.2, 0.4])(
    "are not widened by strangers, however slowly they come (a share of %f)",
    (share) => {
      for (const offset of [1, 3])
        for (let t = 0; t < 6; t++) {
          const rng = createRng(100 + t);
          expect(shiftAfter(rng, taught(rng), 400, share, offset)).toBeLessThanOrEqual(0);
        }
    },
  );

  it("stay where there are too few frames, or no pictures to hold them against", () => {
    const rng = createRng(1);
    const one = taught(rng);
    expect(shiftAfter(rng, one, fewestFrames - 1, 0, 0)).toBe(0);
    const none: Limit = { ...one.limit, threshold: null, source: "none", fit: null };
    const counter = createFrameCounter();
    counter.count(1, none);
    expect(counter.total).toBe(0);
    expect(learnedShift(counter, none, 0.05)).toBe(0);
  });

  it("forget a frame that is taken back, and keep a bounded number", () => {
    const { limit } = taught(createRng(2));
    const counter = createFrameCounter();
    counter.count(1, limit);
    counter.count(1, limit, -1);
    expect([counter.total, counter.counts.some((n) => n !== 0)]).toEqual([0, false]);
    counter.count(1, limit, -1);
    expect(counter.total).toBe(0);
    for (let i = 0; i < 10_000; i++) counter.count(1, limit);
    expect(counter.total).toBeLessThanOrEqual(2000);
  });
});
