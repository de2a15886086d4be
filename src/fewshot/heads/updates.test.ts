import { describe, expect, it } from "vitest";
import { createRng, finish, type Rng } from "../../core/index.ts";
import { gaussianScorer } from "./gaussian.ts";
import { ridgeScorer } from "./ridge.ts";
import { rebuildAfter, type ScorerClass } from "./scorer.ts";

const rowsOf = (rng: Rng, n: number, dim: number): Float32Array[] =>
  Array.from({ length: n }, () => Float32Array.from({ length: dim }, () => rng.normal() / Math.sqrt(dim)));

const scorers = {
  ridge: (classes: readonly ScorerClass[], dim: number) =>
    finish(ridgeScorer(classes, dim, { kind: "ridge", lambda: 0.1 })),
  gaussian: (classes: readonly ScorerClass[], dim: number) => finish(gaussianScorer(classes, dim)),
};

describe.each(["ridge", "gaussian"] as const)("%s under very many updates", (kind) => {
  const make = scorers[kind];

  it.each([
    ["dual", 60],
    ["primal", 10],
  ])("rounding stays below 1e-9 up to the rebuild and past it (%s)", (_form, dim) => {
    const rng = createRng(dim);
    const classes = [0, 1, 2].map(() => ({ rows: rowsOf(rng, 16, dim) }));
    const first = make(classes, dim);
    const query = rowsOf(rng, 1, dim)[0]!;
    const want = first.distances(query);
    const from = [0, 1, 2];
    let now: { update: typeof first.update; distances: typeof first.distances } = first;
    let worst = 0;
    for (let i = 0; i < rebuildAfter * 0.6; i++) {
      const owner = i % 3;
      const row = rowsOf(rng, 1, dim)[0]!;
      const grown = classes.map((c, k) => (k === owner ? { rows: [...c.rows, row] } : c));
      now = finish(now.update({ classes: grown, from, removed: [], added: [{ owner, row }] }));
      now = finish(now.update({ classes, from, removed: [{ owner, row }], added: [] }));
      now.distances(query).forEach((d, c) => {
        worst = Math.max(worst, Math.abs(d - want[c]!));
      });
    }
    expect(worst).toBeLessThan(1e-9);
    // Rank-one changes were really made, not rebuilds: those would agree to the last digit.
    expect(worst).toBeGreaterThan(0);
  });

  it("crosses from the dual to the primal form and back without a seam", () => {
    const dim = 12;
    const rng = createRng(5);
    let classes = [0, 1].map(() => ({ rows: rowsOf(rng, 3, dim) }));
    let now: ReturnType<typeof make> = make(classes, dim);
    const query = rowsOf(rng, 1, dim)[0]!;
    const check = (): void => {
      const want = make(classes, dim).distances(query);
      now.distances(query).forEach((d, c) => {
        expect(d).toBeCloseTo(want[c]!, 9);
      });
    };
    for (let i = 0; i < 20; i++) {
      const row = rowsOf(rng, 1, dim)[0]!;
      classes = classes.map((c, k) => (k === i % 2 ? { rows: [...c.rows, row] } : c));
      now = finish(now.update({ classes, from: [0, 1], removed: [], added: [{ owner: i % 2, row }] }));
      check();
    }
    for (let i = 0; i < 20; i++) {
      const owner = i % 2;
      const row = classes[owner]!.rows[0]!;
      classes = classes.map((c, k) => (k === owner ? { rows: c.rows.slice(1) } : c));
      now = finish(now.update({ classes, from: [0, 1], removed: [{ owner, row }], added: [] }));
      check();
    }
  });
});
