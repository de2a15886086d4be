import { describe, expect, it } from "vitest";
import { createRng, type Embeddings, take } from "../core/index.ts";
import { planEpisodes } from "../data/index.ts";
import {
  type DecisionSpec,
  defaultDecision,
  defaultPriors,
  fitDecision,
  transductiveNames,
} from "../fewshot/index.ts";
import type { EmbeddedDataset } from "./embed.ts";
import { type EvaluateOptions, evaluate } from "./evaluate.ts";

const euclidean: DecisionSpec = {
  views: { support: [], query: [] },
  transform: { power: null, normalize: false, center: "none" },
  head: { kind: "prototype", metric: "euclidean" },
  openSet: { falseRejectRate: 0.1 },
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
    const lowest: number[] = [];
    const areas: number[] = [];
    const rejected: number[] = [];
    const caught: number[] = [];
    for (let i = 0; i < 12; i++) {
      const { supportSet, querySet, unknownSet } = plan.episode(i);
      const fitted = fitDecision(
        { embeddings: take(all, supportSet.rows), labels: supportSet.labels },
        euclidean,
        defaultPriors,
      );
      const known = querySet.rows.map((row) => fitted.decide(take(all, [row])));
      const unknown = unknownSet.rows.map((row) => fitted.decide(take(all, [row])));
      const right = known.map((d, q) => d.candidates[0]!.label === querySet.labels[q]);
      const shareOf = (list: readonly boolean[]) => list.filter(Boolean).length / list.length;
      accuracies.push(shareOf(right));
      // Ten queries of the one class, then ten of the other.
      lowest.push(Math.min(shareOf(right.slice(0, 10)), shareOf(right.slice(10))));
      rejected.push(shareOf(known.map(({ kind }) => kind === "unknown")));
      caught.push(shareOf(unknown.map(({ kind }) => kind === "unknown")));
      let wins = 0;
      for (const k of known)
        for (const u of unknown) {
          const [inside, outside] = [k.limit.distance, u.limit.distance];
          wins += inside < outside ? 1 : inside === outside ? 0.5 : 0;
        }
      areas.push(wins / (known.length * unknown.length));
    }
    const asked = 12 * 20;
    const mean = (xs: readonly number[]) => xs.reduce((sum, x) => sum + x, 0) / xs.length;
    const deviationOf = (xs: readonly number[]) =>
      Math.sqrt(xs.reduce((sum, x) => sum + (x - mean(xs)) ** 2, 0) / (xs.length - 1));
    const m = mean(accuracies);
    const deviation = deviationOf(accuracies);
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
    expect(result.balanced).toBeCloseTo(m, 12);
    expect(result.balancedCi95).toBeCloseTo(result.ci95, 12);
    expect(result.worst).toBeCloseTo(mean(lowest), 12);
    for (const [name, shares] of [
      ["falseReject", rejected],
      ["caught", caught],
    ] as const) {
      expect(mean(shares)).toBeGreaterThan(0);
      expect(result[name]).toBeCloseTo(mean(shares), 12);
      expect(result[`${name}Spread`]).toBeCloseTo(deviationOf(shares), 12);
      expect(result[`${name}Ci95`]).toBeCloseTo((1.96 * deviationOf(shares)) / Math.sqrt(12), 12);
    }
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
      expect(row.falseReject).toBe(plain.falseReject);
      expect(row.ece).not.toBe(plain.ece);
    }
  });

  it("asks about unequally many of each class, as many in all", async () => {
    const { results } = await evaluate({ ...base, unbalanced: true, episodes: 1, way: 4 });
    const asked = results[0]!.perClass.map(({ queries }) => queries);
    expect(asked.reduce((a, b) => a + b)).toBe(40);
    expect(new Set(asked).size).toBeGreaterThan(1);
    // Each class counts alike there.
    const { balanced, worst, mean, perClass } = results[0]!;
    const shares = perClass.flatMap(({ accuracy }) => (accuracy === null ? [] : [accuracy]));
    expect(balanced).toBeCloseTo(shares.reduce((a, b) => a + b) / shares.length, 12);
    expect(balanced).not.toBe(mean);
    expect(worst).toBe(Math.min(...shares));
  });

  it("shows so many pictures of each class as the sizes say", async () => {
    const dataset = gaussians(line(4, 3), 60, 5);
    const options = { ...base, dataset, way: undefined, shots: undefined, decision: defaultDecision };
    const { results, picturesNeeded } = await evaluate({ ...options, sizes: [2, 40], openSet: 1 });
    expect(results).toHaveLength(1);
    expect(results[0]).toMatchObject({ way: 2, shot: 40, sizes: [2, 40], queries: 10, episodes: 30 });
    expect(picturesNeeded).toBe(12);
    const { balanced, worst, mean } = results[0]!;
    expect(balanced).toBeCloseTo(mean, 12);
    expect(worst).toBeLessThan(balanced);
    expect(results[0]).toHaveProperty("caught");
    const again = await evaluate({ ...options, sizes: [2, 40], openSet: 1 });
    expect(again.results).toEqual(results);
  });

  it("leaves out classes that are too small, of all rows", async () => {
    const whole = gaussians(line(4, 2), 60, 3);
    const cut = (pictures: number) => ({
      ...whole,
      classes: whole.classes.map((one, c) =>
        c !== 1
          ? one
          : {
              ...one,
              origins: one.origins.slice(0, pictures),
              embeddings: {
                ...one.embeddings,
                n: pictures,
                data: one.embeddings.data.slice(0, 3 * pictures),
              },
            },
      ),
    });
    const asked = { ...base, dataset: cut(19), shots: [1, 10] };
    const { results, leftOut, picturesNeeded } = await evaluate(asked);
    expect(leftOut).toEqual([{ label: "class 1", pictures: 19 }]);
    expect(picturesNeeded).toBe(20);
    for (const { perClass, confusion } of results) {
      expect(perClass.map(({ label }) => label)).toEqual(["class 0", "class 2", "class 3"]);
      expect(confusion).toHaveLength(3);
    }
    expect((await evaluate({ ...asked, dataset: cut(20) })).leftOut).toEqual([]);
    // Of sizes the smallest decides: 9 + 10 pictures suffice for it, and the others go to larger classes.
    const sized = { ...base, dataset: cut(19), way: undefined, shots: undefined };
    expect((await evaluate({ ...sized, sizes: [30, 9] })).leftOut).toEqual([]);
    expect((await evaluate({ ...sized, sizes: [30, 10] })).leftOut).toEqual(leftOut);
    // With it gone too few are left.
    await expect(evaluate({ ...asked, way: 4 })).rejects.toMatchObject({
      code: "EPISODE_IMPOSSIBLE",
      message: expect.stringMatching(/at least 20 images in every class.*got 19 in class "class 1"/),
    });
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
    for (const key of ["auroc", "caught", "sizes"]) expect(results[0]).not.toHaveProperty(key);
    expect(results[0]!.falseReject).toBeGreaterThanOrEqual(0);
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
    expect(withSupport.falseReject).not.toBe((await run([], [])).falseReject);
    expect((await run([], ["cutout"])).falseReject).toBe(1);
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

  it("leaves pictures of a photograph out together", async () => {
    // Three crops of each photograph, nearly alike: by itself a crop looks near to its class, by photograph it does not.
    const rng = createRng(4);
    const singles = gaussians(line(3, 6), 24, 8);
    const dataset: EmbeddedDataset = {
      ...singles,
      classes: singles.classes.map((one, c) => ({
        label: one.label,
        origins: one.origins.flatMap((_, i) => [0, 1, 2].map((crop) => `${c}-${i}/${crop}.png`)),
        embeddings: {
          n: 72,
          dim: 3,
          data: Float32Array.from(
            { length: 216 },
            (_, i) => one.embeddings.data[Math.floor(i / 9) * 3 + (i % 3)]! + 0.3 * rng.normal(),
          ),
        },
      })),
    };
    const decision = { ...defaultDecision, transform: euclidean.transform };
    const apart = { ...base, dataset, decision, way: 3, shots: [12], episodes: 20 };
    const groups = (origin: string) => origin.split("/")[0]!;
    const row = (await evaluate({ ...apart, groups })).results[0]!;
    expect(row.sharedGroups).toBe(0);
    // What a recognizer that knows nothing of photographs makes of the same tasks.
    const plan = planEpisodes(
      dataset.classes.map(({ label, origins }, c) => ({
        label,
        rows: origins.map((_, i) => 72 * c + i),
        groups: origins.map(groups),
      })),
      { way: 3, shot: 12, query: 10 },
      7,
    );
    const all = {
      dim: 3,
      n: 216,
      data: Float32Array.from(dataset.classes.flatMap((c) => [...c.embeddings.data])),
    };
    const unaware = Array.from({ length: 20 }, (_, i) => {
      const { supportSet, querySet } = plan.episode(i);
      const support = { embeddings: take(all, supportSet.rows), labels: supportSet.labels };
      const fitted = fitDecision(support, decision, defaultPriors);
      const kinds = querySet.rows.map((at) => fitted.decide(take(all, [at])).kind);
      return kinds.filter((kind) => kind === "unknown").length / kinds.length;
    });
    expect(row.falseReject).toBeLessThan(unaware.reduce((a, b) => a + b) / 20);
  });

  it.each([
    [{ shots: [51] }, "EPISODE_IMPOSSIBLE", /class 0/],
    [{ shots: [1, 51] }, "EPISODE_IMPOSSIBLE", /class 0/],
    [{ way: 5 }, "EPISODE_IMPOSSIBLE", /5 classes/],
    [{ openSet: 3 }, "EPISODE_IMPOSSIBLE", /5 classes/],
    [{ way: 0 }, "INVALID_ARGUMENT", /way/],
    [{ queries: 0 }, "INVALID_ARGUMENT", /query/],
    [{ shots: [] }, "INVALID_ARGUMENT", /shots/],
    [{ sizes: [5, 2] }, "INVALID_ARGUMENT", /beside sizes, got 5:2/],
    [{ way: undefined, shots: undefined, sizes: [5] }, "INVALID_ARGUMENT", /two sizes/],
    [{ way: undefined, shots: undefined, sizes: [5, 0] }, "INVALID_ARGUMENT", /size/],
    [{ way: undefined, shots: undefined, sizes: [5, 2], unbalanced: true }, "INVALID_ARGUMENT", /unbalanced/],
    [{ way: undefined, shots: undefined, sizes: [51, 2] }, "EPISODE_IMPOSSIBLE", /1 class of 61 images/],
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
