import { describe, expect, it } from "vitest";
import { defaultDecision } from "./defaults.ts";
import { currentDecision, currentPriors, isOlderDecision } from "./stored.ts";

const older = {
  views: { support: [], query: [] },
  transform: { power: 0.5, normalize: true, center: "gallery" },
  head: { kind: "ridge", lambda: 0.1, projection: null },
  openSet: { score: "cosine", falseRejectRate: 0.05 },
  ambiguity: { margin: 0.1 },
};

describe("currentDecision", () => {
  it("keeps the head of an older decision and drops what there is no more", () => {
    expect(isOlderDecision(older)).toBe(true);
    expect(currentDecision(older)).toEqual({
      ...older,
      head: { kind: "ridge", lambda: 0.1 },
      openSet: { falseRejectRate: 0.05 },
    });
  });

  it("gives what has no successor of its own the nearest", () => {
    const head = { kind: "prototype", metric: "mahalanobis" };
    const transform = { ...older.transform, center: "running" };
    expect(currentDecision({ ...older, head, transform })).toMatchObject({
      head: { kind: "gaussian" },
      transform: { center: "gallery" },
    });
  });

  it("leaves decisions of today and other values alone", () => {
    expect(isOlderDecision(defaultDecision)).toBe(false);
    for (const value of [defaultDecision, null, 3, {}, { openSet: null }])
      expect(currentDecision(value)).toBe(value);
  });
});

describe("currentPriors", () => {
  it("drops temperature and thresholds", () => {
    expect(currentPriors({ baseMean: null, temperature: 0.08, thresholds: [] })).toEqual({ baseMean: null });
    const today = { baseMean: null, limits: { deviation: 0.3, oneShot: null } };
    expect(currentPriors(today)).toBe(today);
  });
});
