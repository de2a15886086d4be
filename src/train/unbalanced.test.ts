import { describe, expect, it } from "vitest";
import { createRng } from "../core/index.ts";
import { planUnbalanced, unbalancedCounts } from "./unbalanced.ts";

describe("unbalanced queries", () => {
  it("have the mean and the spread of Dirichlet's shares", () => {
    const rng = createRng(1);
    const [way, total, draws] = [5, 1000, 4000];
    const shares = Array.from({ length: draws }, () => unbalancedCounts(rng, way, total, total)[0]! / total);
    const mean = shares.reduce((a, b) => a + b) / draws;
    const variance = shares.reduce((sum, s) => sum + (s - mean) ** 2, 0) / draws;
    expect(mean).toBeCloseTo(0.2, 2);
    // a(A − a)/(A²(A + 1)) with a = 2, A = 10.
    expect(variance).toBeCloseTo(16 / 1100, 3);
  });

  it("keep their number, and no class has more than there are", () => {
    const rng = createRng(2);
    for (let i = 0; i < 500; i++) {
      const counts = unbalancedCounts(rng, 4, 40, 13);
      expect(counts.reduce((a, b) => a + b)).toBe(40);
      expect(Math.max(...counts)).toBeLessThanOrEqual(13);
      expect(Math.min(...counts)).toBeGreaterThanOrEqual(0);
    }
  });

  it("come in episodes that repeat, and share nothing with the support", () => {
    const classes = Array.from({ length: 6 }, (_, c) => ({
      label: `class ${c}`,
      rows: Array.from({ length: 20 }, (_, i) => 20 * c + i),
    }));
    const spec = { way: 3, shot: 2, query: 5 };
    const plan = planUnbalanced(classes, spec, 7);
    const counts = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const { supportSet, querySet } = plan.episode(i);
      expect(plan.episode(i)).toEqual({ supportSet, querySet, unknownSet: { rows: [], labels: [] } });
      expect(querySet.rows.length).toBe(15);
      expect(new Set([...supportSet.rows, ...querySet.rows]).size).toBe(6 + 15);
      querySet.rows.forEach((row, at) => {
        expect(querySet.labels[at]).toBe(`class ${Math.floor(row / 20)}`);
        expect(supportSet.labels).toContain(querySet.labels[at]);
      });
      counts.add(
        [...new Set(supportSet.labels)].map((l) => querySet.labels.filter((q) => q === l).length).join(),
      );
    }
    expect(counts.size).toBeGreaterThan(10);
  });

  it("refuses what balanced episodes refuse", () => {
    const classes = [0, 1].map((c) => ({ label: `${c}`, rows: [2 * c, 2 * c + 1] }));
    expect(() => planUnbalanced(classes, { way: 2, shot: 1, query: 2 }, 1)).toThrow(
      expect.objectContaining({ code: "EPISODE_IMPOSSIBLE" }),
    );
  });
});
