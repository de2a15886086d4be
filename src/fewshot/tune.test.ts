import { describe, expect, it } from "vitest";
import { createRng, isProtolineError, type Rng, stack, take } from "../core/index.ts";
import { fitDecision } from "./decision.ts";
import { defaultDecision, defaultPriors } from "./defaults.ts";
import { tune } from "./tune.ts";
import type { DecisionSpec, Support } from "./types.ts";

const dim = 24;

/**
 * Classes that differ in a few small numbers, with large numbers that say nothing and vary together: means alone
 * mislead, a head that knows the covariance does not.
 */
function misleading(rng: Rng, classes: number, shots: number): Support<number> {
  const rows: Float32Array[] = [];
  const labels: number[] = [];
  const middles = Array.from({ length: classes }, () =>
    Array.from({ length: dim }, () => 1 + rng.normal() * 0.06),
  );
  for (let c = 0; c < classes; c++) {
    for (let i = 0; i < shots; i++) {
      const common = [rng.normal(), rng.normal()];
      rows.push(
        Float32Array.from(middles[c]!, (m, d) =>
          Math.max(0, m + 0.35 * common[d % 2]! + rng.normal() * 0.03),
        ),
      );
      labels.push(c);
    }
  }
  return { embeddings: stack(rows), labels };
}

/** Classes far apart: every choice names every picture. */
function easy(rng: Rng, classes: number, shots: number): Support<number> {
  const rows: Float32Array[] = [];
  const labels: number[] = [];
  for (let c = 0; c < classes; c++) {
    for (let i = 0; i < shots; i++) {
      rows.push(
        Float32Array.from({ length: dim }, (_, d) => (d % classes === c ? 3 : 0.2) + rng.next() * 0.2),
      );
      labels.push(c);
    }
  }
  return { embeddings: stack(rows), labels };
}

const prototypeHead: DecisionSpec = { ...defaultDecision, head: { kind: "prototype", metric: "cosine" } };

describe("tune", () => {
  it("leaves a better head for a worse one, says by how much, and what it predicts comes true", () => {
    const rng = createRng(1);
    const all = misleading(rng, 6, 40);
    const support = {
      embeddings: take(
        all.embeddings,
        all.labels.flatMap((_, i) => (i % 40 < 15 ? [i] : [])),
      ),
      labels: all.labels.filter((_, i) => i % 40 < 15),
    };
    const { chosen, report } = tune(support, { current: prototypeHead }, defaultPriors, createRng(2));
    expect(report.changed.head).toBe(true);
    expect(chosen.head).not.toEqual(prototypeHead.head);
    const head = report.predicted.head!;
    expect(head.won).toBeGreaterThan(head.lost);
    expect(head.p).toBeLessThan(0.05);
    expect(report.pictures).toBe(90);
    expect(report.summary).toContain(`${head.won} won, ${head.lost} lost`);
    expect(chosen.openSet.falseRejectRate).toBe(prototypeHead.openSet.falseRejectRate);

    const fitted = fitDecision(support, chosen, defaultPriors);
    const held = all.labels.flatMap((_, i) => (i % 40 < 15 ? [] : [i]));
    const right = held.filter(
      (i) => fitted.decide(take(all.embeddings, [i])).candidates[0]!.label === all.labels[i],
    );
    // 150 held-out and 90 left-out pictures: three standard errors of the difference are about 0.12.
    expect(Math.abs(right.length / held.length - head.right.hits / head.right.of)).toBeLessThan(0.12);
  });

  it("changes nothing when the difference is within noise", () => {
    const support = easy(createRng(3), 4, 6);
    for (const current of [defaultDecision, prototypeHead]) {
      const { chosen, report } = tune(support, { current }, defaultPriors, createRng(4));
      expect(chosen).toEqual(current);
      expect(report.changed).toEqual({ head: false, falseRejectRate: false });
      expect(report.summary).toContain("Head and transform stay");
    }
  });

  it("keeps the level of its test: labels drawn by lot hardly ever make it change its head", () => {
    let changed = 0;
    for (let t = 0; t < 12; t++) {
      const rng = createRng(100 + t);
      const { embeddings } = misleading(rng, 3, 8);
      const labels = rng.shuffle(Array.from({ length: 24 }, (_, i) => i % 3));
      if (tune({ embeddings, labels }, {}, defaultPriors, rng).report.changed.head) changed++;
    }
    expect(changed).toBeLessThanOrEqual(3);
  });

  it("chooses views only where they are allowed and there", () => {
    const support = misleading(createRng(5), 3, 8);
    const pictures = support.labels.map((_, i) => Math.floor(i / 2));
    const without = tune({ ...support, pictures }, {}, defaultPriors, createRng(6)).report;
    expect(without.heads.every((h) => h.views.support.length === 0)).toBe(true);
    const { report } = tune({ ...support, pictures }, { views: ["dihedral"] }, defaultPriors, createRng(6));
    expect(report.pictures).toBe(12);
    expect(new Set(report.heads.map((h) => JSON.stringify(h.views)))).toEqual(
      new Set(
        [
          { support: [], query: [] },
          { support: ["dihedral"], query: [] },
          { support: ["dihedral"], query: ["dihedral"] },
        ].map((v) => JSON.stringify(v)),
      ),
    );
  });

  it("looks at a random part of a large gallery, the same for the same seed", () => {
    const support = easy(createRng(7), 12, 20);
    const run = (seed: number) => tune(support, { limit: 60 }, defaultPriors, createRng(seed)).report;
    const report = run(1);
    expect(report).toMatchObject({ pictures: 60, classes: 12, ofPictures: 240, ofClasses: 12 });
    expect(report.summary).toContain("60 of 240 pictures");
    expect(run(1)).toEqual(report);
  });

  it("says what can be said of one class, and of two both rates", () => {
    const one = easy(createRng(9), 1, 12);
    const { chosen, report } = tune(one, { falseRejectRate: 0.1 }, defaultPriors, createRng(1));
    expect(chosen).toEqual({ ...defaultDecision, openSet: { falseRejectRate: 0.1 } });
    expect(report).toMatchObject({
      heads: [],
      predicted: { head: null },
      changed: { falseRejectRate: true },
    });
    expect(report.predicted.open.rates.map(({ stated, caught }) => [stated, caught])).toEqual(
      [0.01, 0.05, 0.1, 0.2].map((rate) => [rate, null]),
    );
    expect(report.predicted.open.rates[2]!.falseReject.of).toBe(12);
    expect(report.summary).toContain("nothing can be said with one class");

    const { open } = tune(easy(createRng(9), 2, 12), {}, defaultPriors, createRng(1)).report.predicted;
    expect(open.rates.every(({ caught }) => caught!.of === 24)).toBe(true);
    expect(open.strangers.map(({ label }) => label).sort()).toEqual(["0", "1"]);
  });

  it("refuses a gallery that has nothing to leave out", () => {
    const support = easy(createRng(8), 3, 1);
    expect.assertions(1);
    try {
      tune(support, {}, defaultPriors, createRng(1));
    } catch (error) {
      expect(isProtolineError(error) && error.code).toBe("TOO_FEW_SAMPLES");
    }
  });
});
