import { describe, expect, it } from "vitest";
import { createRng, type Embeddings, take } from "../core/index.ts";
import { planEpisodes } from "../data/index.ts";
import { type DecisionSpec, defaultPriors, fitDecision, transductiveNames } from "../fewshot/index.ts";
import type { EmbeddedDataset } from "./embed.ts";
import { type EvaluateOptions, evaluate } from "./evaluate.ts";

const euclidean: DecisionSpec = {
  views: { support: [], query: [] },
  transform: { power: null, normalize: false, center: "none" },
  head: { kind: "prototype", metric: "euclidean" },
  openSet: { score: "mahalanobis", falseRejectRate: 0.1 },
  ambiguity: { margin: 0 },
};

/** Classes at `means`, normal with deviation 1 in every direction. */
function gaussians(means: readonly (readonly number[])[], perClass: number, seed: number): EmbeddedDataset {
  const rng = createRng(seed);
  const dim = means[0]!.length;
  return {
    dim,
    views: ["original"],
    classes: means.map((mean, c) => ({
      label: `class ${c}`,
      origins: Array.from({ length: perClass }, (_, i) => `${c}/${i}.png`),
      embeddings: {
        n: perClass,
        dim,
        data: Float32Array.from({ length: perClass * dim }, (_, i) => mean[i % dim]! + rng.normal()),
      },
    })),
  };
}

const line = (count: number, gap: number): number[][] =>
  Array.from({ length: count }, (_, c) => [c * gap, 0, 0]);

const base: EvaluateOptions = {
  dataset: gaussians(line(4, 2), 60, 3),
  decision: euclidean,
  way: 2,
  shots: [5],
  queries: 10,
  episodes: 30,
  seed: 7,
};

describe("evaluate", () => {
  it("comes to the accuracy that the classes allow", async () => {
    // Two classes whose means are 2 apart, deviation 1: Bayes accuracy Φ(1) = 0.8413. Many shots come near it.
    const dataset = gaussians(line(2, 2), 400, 11);
    const { results } = await evaluate({ ...base, dataset, shots: [100], queries: 100, episodes: 40 });
    expect(results[0]!.mean).toBeGreaterThan(0.82);
    expect(results[0]!.mean).toBeLessThan(0.86);
  });

  it("repeats from its seed, and another seed draws others", async () => {
    const first = await evaluate(base);
    expect(await evaluate(base)).toEqual(first);
    expect((await evaluate({ ...base, seed: 8 })).results[0]!.mean).not.toBe(first.results[0]!.mean);
  });

  it("agrees with episodes that are counted by hand", async () => {
    const options = { ...base, way: 2, openSet: 2, episodes: 12 };
    const { results } = await evaluate(options);
    const { dataset } = options;
    const all: Embeddings = {
      dim: 3,
      n: 240,
      data: Float32Array.from(dataset.classes.flatMap(({ embeddings }) => [...embeddings.data])),
    };
    const labels = dataset.classes.flatMap(({ label, origins }) => origins.map(() => label));
    const rowsOf = (label: string) => labels.flatMap((l, i) => (l === label ? [i] : []));
    const plan = planEpisodes(
      dataset.classes.map(({ label }) => ({ label, rows: rowsOf(label) })),
      { way: 2, shot: 5, query: 10, open: 2 },
      7,
    );

    const accuracies: number[] = [];
    const areas: number[] = [];
    let [rejected, asked] = [0, 0];
    for (let i = 0; i < 12; i++) {
      const { supportSet, querySet, unknownSet } = plan.episode(i);
      const fitted = fitDecision(
        { embeddings: take(all, supportSet.rows), labels: supportSet.labels },
        euclidean,
        defaultPriors,
      );
      const known = querySet.rows.map((row) => fitted.decide(take(all, [row])));
      const unknown = unknownSet.rows.map((row) => fitted.decide(take(all, [row])));
      const right = known.filter((d, q) => d.candidates[0]!.label === querySet.labels[q]).length;
      accuracies.push(right / known.length);
      rejected += known.filter(({ kind }) => kind === "unknown").length;
      asked += known.length;
      let wins = 0;
      for (const k of known)
        for (const u of unknown) {
          const [inside, outside] = [k, u].map(({ candidates }) =>
            Math.min(...candidates.map(({ distance }) => distance)),
          ) as [number, number];
          wins += inside < outside ? 1 : inside === outside ? 0.5 : 0;
        }
      areas.push(wins / (known.length * unknown.length));
    }
    const mean = (xs: readonly number[]) => xs.reduce((sum, x) => sum + x, 0) / xs.length;
    const m = mean(accuracies);
    const deviation = Math.sqrt(accuracies.reduce((sum, x) => sum + (x - m) ** 2, 0) / 11);
    const result = results[0]!;
    expect(result.mean).toBeCloseTo(m, 12);
    expect(result.ci95).toBeCloseTo((1.96 * deviation) / Math.sqrt(12), 12);
    expect(result.distribution.flatMap(({ accuracy, episodes }) => Array(episodes).fill(accuracy))).toEqual(
      accuracies.sort((a, b) => a - b),
    );
    expect(result.reliability.reduce((sum, { n }) => sum + n, 0)).toBe(asked);
    expect(result.reliability.reduce((sum, { n, accuracy }) => sum + n * accuracy, 0) / asked).toBeCloseTo(
      m,
      12,
    );
    expect(result.auroc).toBeCloseTo(mean(areas), 12);
    expect(result.falseRejectRate).toBeCloseTo(rejected / asked, 12);
    expect(result.oscr!).toBeLessThanOrEqual(m);
    expect(result.aupr!).toBeGreaterThan(0);
    expect(result.fpr95!).toBeGreaterThan(0);
  });

  it("counts a confusion matrix whose diagonal is the accuracy", async () => {
    const { results } = await evaluate(base);
    const { confusion, perClass, mean } = results[0]!;
    const total = confusion.flat().reduce((sum, n) => sum + n, 0);
    expect(total).toBe(30 * 2 * 10);
    expect(confusion.reduce((sum, row, c) => sum + row[c]!, 0) / total).toBeCloseTo(mean, 12);
    for (const [c, { label, queries, accuracy }] of perClass.entries()) {
      expect(label).toBe(`class ${c}`);
      expect(confusion[c]!.reduce((sum, n) => sum + n, 0)).toBe(queries);
      expect(accuracy).toBe(confusion[c]![c]! / queries);
    }
    // Neighbours are confused, the ends of the line are not.
    expect(confusion[0]![1]!).toBeGreaterThan(confusion[0]![3]!);
  });

  it("lets a transductive method answer, and keeps what the decision says of unknown", async () => {
    // In directions of their own, as these methods look at embeddings of length 1.
    const means = [
      [8, 0, 0],
      [0, 8, 0],
      [0, 0, 8],
      [-5, -5, -5],
    ];
    const options = { ...base, dataset: gaussians(means, 60, 3), way: 3, shots: [2], episodes: 6 };
    const plain = (await evaluate(options)).results[0]!;
    for (const transductive of transductiveNames) {
      const row = (await evaluate({ ...options, transductive })).results[0]!;
      expect(row.mean, transductive).toBeGreaterThan(0.95);
      expect(row.falseRejectRate).toBe(plain.falseRejectRate);
      expect(row.ece).not.toBe(plain.ece);
    }
  });

  it("asks about unequally many of each class, as many in all", async () => {
    const { results } = await evaluate({ ...base, unbalanced: true, episodes: 1, way: 4 });
    const asked = results[0]!.perClass.map(({ queries }) => queries);
    expect(asked.reduce((a, b) => a + b)).toBe(40);
    expect(new Set(asked).size).toBeGreaterThan(1);
  });

  it("refuses unknown classes where they have no meaning", async () => {
    for (const options of [{ transductive: "pt-map" }, { unbalanced: true }] as const)
      await expect(evaluate({ ...base, ...options, openSet: 1 })).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
      });
  });

  it("has a row for each shot, and no open-set numbers where none were asked", async () => {
    const { results } = await evaluate({ ...base, shots: [1, 10], way: 4 });
    expect(results.map(({ shot }) => shot)).toEqual([1, 10]);
    expect(results[1]!.mean).toBeGreaterThan(results[0]!.mean);
    expect(results[0]).not.toHaveProperty("auroc");
    expect(results[0]!.notApart).toEqual([]);
  });

  it("averages the views of queries and uses those of the support", async () => {
    // Every picture has a second view that shows nothing of its class.
    const plain = gaussians(line(2, 4), 40, 5);
    const dataset: EmbeddedDataset = {
      dim: 3,
      views: ["original", "cutout"],
      classes: plain.classes.map((one) => ({
        ...one,
        embeddings: {
          n: 80,
          dim: 3,
          data: Float32Array.from({ length: 240 }, (_, i) =>
            Math.floor(i / 3) % 2 === 0 ? one.embeddings.data[Math.floor(i / 6) * 3 + (i % 3)]! : 50,
          ),
        },
      })),
    };
    const run = async (support: readonly "cutout"[], query: readonly "cutout"[]) =>
      (await evaluate({ ...base, dataset, decision: { ...euclidean, views: { support, query } } }))
        .results[0]!;
    expect((await run([], [])).mean).toBe((await evaluate({ ...base, dataset: plain })).results[0]!.mean);
    const withSupport = await run(["cutout"], []);
    expect(withSupport.falseRejectRate).not.toBe((await run([], [])).falseRejectRate);
    expect((await run([], ["cutout"])).falseRejectRate).toBe(1);
  });

  it("keeps groups apart and says where it cannot", async () => {
    // One nearest picture would always be found if both of a pair were on the two sides.
    const dataset = gaussians(
      [
        [0, 0, 0],
        [0, 0, 0],
      ],
      40,
      9,
    );
    const paired: EmbeddedDataset = {
      ...dataset,
      classes: dataset.classes.map((one, c) => ({
        ...one,
        origins: one.origins.map((_, i) => `${c}/${c === 0 ? i >> 1 : 0}_${i}.png`),
      })),
    };
    const { results } = await evaluate({
      ...base,
      dataset: paired,
      groups: (origin) => origin.split("_")[0]!,
    });
    expect(results[0]!.notApart).toEqual(["class 1"]);
    // All pictures of class 1 are of one group, and half of the queries are of class 1.
    expect(results[0]!.sharedGroups).toBe(0.5);
    expect((await evaluate({ ...base, dataset: paired })).results[0]!.sharedGroups).toBe(0);
  });

  it.each([
    [{ shots: [51] }, "EPISODE_IMPOSSIBLE", /class 0/],
    [{ shots: [1, 51] }, "EPISODE_IMPOSSIBLE", /class 0/],
    [{ way: 5 }, "EPISODE_IMPOSSIBLE", /5 classes/],
    [{ openSet: 3 }, "EPISODE_IMPOSSIBLE", /5 classes/],
    [{ way: 0 }, "INVALID_ARGUMENT", /way/],
    [{ queries: 0 }, "INVALID_ARGUMENT", /query/],
    [{ shots: [] }, "INVALID_ARGUMENT", /shots/],
    [{ episodes: 0 }, "INVALID_ARGUMENT", /episodes/],
    [{ seed: 0.5 }, "INVALID_ARGUMENT", /seed/],
    [
      { decision: { ...euclidean, views: { support: ["dihedral" as const], query: [] } } },
      "INVALID_ARGUMENT",
      /dihedral/,
    ],
  ])("refuses %o before the first episode", async (change, code, message) => {
    let started = false;
    const run = evaluate({
      ...base,
      ...change,
      onProgress: () => {
        started = true;
      },
    });
    await expect(run).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(started).toBe(false);
  });
});
