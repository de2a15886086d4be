import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../core/index.ts";
import {
  type EpisodeClass,
  episodeClasses,
  groupByFileName,
  planEpisodes,
  sampleEpisode,
} from "./episodes.ts";
import { listClasses } from "./folders.ts";
import { canSplit, splitGroups } from "./groups.ts";

/** Classes `c0`, `c1`, … whose rows follow each other; `sizes` are rows a class, or rows a group of each class. */
function classesOf(sizes: readonly (number | readonly number[])[]): EpisodeClass[] {
  let row = 0;
  return sizes.map((size, c) => {
    const groups =
      typeof size === "number" ? undefined : size.flatMap((n, g) => Array<string>(n).fill(`g${g}`));
    const count = typeof size === "number" ? size : groups!.length;
    return { label: `c${c}`, rows: Array.from({ length: count }, () => row++), groups };
  });
}

const anySpec = fc.record({
  way: fc.integer({ min: 1, max: 4 }),
  shot: fc.integer({ min: 1, max: 5 }),
  query: fc.integer({ min: 1, max: 6 }),
  open: fc.integer({ min: 0, max: 2 }),
});

describe("planEpisodes", () => {
  it("draws the right counts, without repetition, of the right classes", () => {
    fc.assert(
      fc.property(anySpec, fc.integer(), fc.nat(1000), fc.nat(9), (spec, seed, i, more) => {
        const classes = classesOf(
          Array.from(
            { length: spec.way + spec.open + (more % 3) },
            (_, c) => spec.shot + spec.query + (c % (more + 1)),
          ),
        );
        const labelOf = new Map(
          classes.flatMap(({ label, rows }) => rows.map((row) => [row, label] as const)),
        );
        const { supportSet, querySet, unknownSet } = planEpisodes(classes, spec, seed).episode(i);

        const known = new Set(supportSet.labels);
        const unknown = new Set(unknownSet.labels);
        expect(known.size).toBe(spec.way);
        expect(unknown.size).toBe(spec.open);
        expect([...unknown].some((label) => known.has(label))).toBe(false);
        expect(new Set(querySet.labels)).toEqual(known);
        const all = [supportSet, querySet, unknownSet];
        expect(all.map(({ rows }) => rows.length)).toEqual([
          spec.way * spec.shot,
          spec.way * spec.query,
          spec.open * spec.query,
        ]);
        expect(new Set(all.flatMap(({ rows }) => rows)).size).toBe(all.flatMap(({ rows }) => rows).length);
        for (const { rows, labels } of all) expect(rows.map((row) => labelOf.get(row))).toEqual(labels);
        for (const label of known) {
          expect(supportSet.labels.filter((l) => l === label)).toHaveLength(spec.shot);
          expect(querySet.labels.filter((l) => l === label)).toHaveLength(spec.query);
        }
      }),
    );
  });

  it("keeps groups apart wherever the sizes of the groups allow it", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        sizes.filter((s) => s.reduce((a, b) => a + b) >= 2),
        fc.integer({ min: 1, max: 8 }),
        fc.integer(),
        (groups, wanted, seed) => {
          const total = groups.reduce((a, b) => a + b);
          const shot = Math.min(wanted, total - 1);
          const query = total - shot > 2 ? total - shot - 2 : 1;
          // Every way to deal the groups, by brute force.
          const possible = Array.from({ length: 2 ** groups.length }, (_, mask) =>
            groups.reduce((sum, n, g) => sum + (mask & (1 << g) ? n : 0), 0),
          ).some((support) => support >= shot && total - support >= query);
          const plan = planEpisodes(classesOf([groups]), { way: 1, shot, query }, seed);
          expect(plan.classes).toEqual([
            { label: "c0", rows: total, groups: groups.length, apart: possible },
          ]);
          const groupOf = groups.flatMap((n, g) => Array<number>(n).fill(g));
          const { supportSet, querySet } = plan.episode(0);
          expect(supportSet.rows).toHaveLength(shot);
          expect(querySet.rows).toHaveLength(query);
          const shared = supportSet.rows.some((s) => querySet.rows.some((q) => groupOf[s] === groupOf[q]));
          if (possible) expect(shared).toBe(false);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("finds a split that chance would hardly find", () => {
    // One group of 30 and 30 of one: twenty shots come from the large group, thirty queries from all the others.
    const groups = [
      Array.from({ length: 30 }, (_, i) => i),
      ...Array.from({ length: 30 }, (_, i) => [30 + i]),
    ];
    expect(canSplit(groups, 20, 30)).toBe(true);
    expect(canSplit(groups, 31, 30)).toBe(false);
    for (let seed = 0; seed < 20; seed++) {
      const { support, query } = splitGroups(createRng(seed), groups, 30, 30);
      expect([support.length, query.length]).toEqual([30, 30]);
    }
  });

  it("keeps a group that several classes share on one side", () => {
    // Photograph g shows a part of each class; 30 photographs leave chance a deal for all three classes.
    const classes = classesOf(Array.from({ length: 3 }, () => Array<number>(30).fill(1)));
    const plan = planEpisodes(classes, { way: 3, shot: 5, query: 15 }, 11);
    const groupOf = (row: number): number => row % 30;
    for (let i = 0; i < 50; i++) {
      const { supportSet, querySet } = plan.episode(i);
      const shown = new Set(supportSet.rows.map(groupOf));
      expect(querySet.rows.some((row) => shown.has(groupOf(row)))).toBe(false);
    }
  });

  it("gives every row its turn, as support and as query", () => {
    const plan = planEpisodes(
      classesOf([
        [3, 1, 5, 2, 4],
        [2, 2, 2, 2, 2, 5],
      ]),
      { way: 2, shot: 2, query: 4 },
      3,
    );
    const support = new Set<number>();
    const query = new Set<number>();
    for (let i = 0; i < 300; i++) {
      const { supportSet, querySet } = plan.episode(i);
      for (const row of supportSet.rows) support.add(row);
      for (const row of querySet.rows) query.add(row);
    }
    expect(support.size).toBe(30);
    expect(query.size).toBe(30);
  });

  it("varies way and shot within their bounds, and the shot class by class where asked", () => {
    const classes = classesOf([[9, 9, 9], 20, 25, [5, 5, 5, 5], 20, 20]);
    const spec = { way: 5, minWay: 2, shot: 4, minShot: 1, query: 6 };
    const seen = { ways: new Set<number>(), shots: new Set<number>(), mixed: 0 };
    for (const imbalanced of [false, true]) {
      const plan = planEpisodes(classes, { ...spec, imbalanced }, 5);
      for (let i = 0; i < 200; i++) {
        const { supportSet, querySet } = plan.episode(i);
        const labels = [...new Set(supportSet.labels)];
        const shots = labels.map((label) => supportSet.labels.filter((l) => l === label).length);
        expect(new Set(querySet.labels)).toEqual(new Set(labels));
        expect(querySet.rows).toHaveLength(6 * labels.length);
        expect(supportSet.rows.some((row) => querySet.rows.includes(row))).toBe(false);
        seen.ways.add(labels.length);
        for (const shot of shots) seen.shots.add(shot);
        const mixed = new Set(shots).size > 1;
        if (!imbalanced) expect(mixed).toBe(false);
        if (mixed) seen.mixed++;
      }
    }
    expect([...seen.ways].sort()).toEqual([2, 3, 4, 5]);
    expect([...seen.shots].sort()).toEqual([1, 2, 3, 4]);
    expect(seen.mixed).toBeGreaterThan(100);
    expect(() => planEpisodes(classes, { ...spec, minShot: 5 }, 1)).toThrow(
      /minShot to be a whole number from 1 to 4/,
    );
  });

  it("deals sizes to classes that have so many rows, and keeps support, queries and unknown classes apart", () => {
    const anySized = fc.record({
      sizes: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }),
      query: fc.integer({ min: 1, max: 8 }),
      open: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(
        anySized,
        fc.integer(),
        fc.nat(1000),
        fc.nat(20),
        fc.boolean(),
        (spec, seed, i, more, paired) => {
          const { sizes, query, open } = spec;
          // A class for each size, just as large, and small ones besides.
          const counts = [...sizes, ...Array.from({ length: open }, () => Math.min(...sizes))].map(
            (size, c) => size + query + (c % 2) * more,
          );
          const classes = classesOf(
            paired
              ? counts.map((n) => [...Array<number>(n >> 1).fill(2), ...Array<number>(n % 2).fill(1)])
              : counts,
          );
          const labelOf = new Map(
            classes.flatMap(({ label, rows }) => rows.map((row) => [row, label] as const)),
          );
          const plan = planEpisodes(classes, spec, seed);
          const episode = plan.episode(i);
          const { supportSet, querySet, unknownSet } = episode;
          const known = [...new Set(supportSet.labels)];
          const sizeOf = (label: string): number => supportSet.labels.filter((l) => l === label).length;
          const descending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => b - a);
          expect(known.map(sizeOf)).toEqual(descending(sizes));
          expect(new Set(querySet.labels)).toEqual(new Set(known));
          for (const label of known) expect(querySet.labels.filter((l) => l === label)).toHaveLength(query);
          const unknown = new Set(unknownSet.labels);
          expect(unknown.size).toBe(open);
          expect(known.some((label) => unknown.has(label))).toBe(false);
          expect(unknownSet.rows).toHaveLength(open * query);
          const all = [supportSet, querySet, unknownSet];
          expect(new Set(all.flatMap(({ rows }) => rows)).size).toBe(all.flatMap(({ rows }) => rows).length);
          for (const { rows, labels } of all) expect(rows.map((row) => labelOf.get(row))).toEqual(labels);
          expect(planEpisodes(classes, spec, seed).episode(i)).toEqual(episode);
        },
      ),
    );
  });

  it("gives every class that is large enough each size", () => {
    const plan = planEpisodes(classesOf([60, 55, 54, 20, 17]), { sizes: [2, 40], query: 15 }, 9);
    const seen = new Map<number, Set<string>>();
    for (let i = 0; i < 200; i++) {
      const { labels } = plan.episode(i).supportSet;
      for (const label of new Set(labels)) {
        const size = labels.filter((l) => l === label).length;
        seen.set(size, (seen.get(size) ?? new Set()).add(label));
      }
    }
    expect([...seen.get(40)!].sort()).toEqual(["c0", "c1"]);
    expect([...seen.get(2)!].sort()).toEqual(["c0", "c1", "c2", "c3", "c4"]);
  });

  it("keeps groups apart for each size that they allow", () => {
    // Pairs can be dealt for any size; of two groups of 25 each side takes one: never 40 and 10.
    const classes = classesOf([Array<number>(30).fill(2), Array<number>(30).fill(2), [25, 25]]);
    const groupOf = new Map(
      classes.flatMap(({ label, rows, groups }) =>
        rows.map((row, i) => [row, `${label} ${groups![i]}`] as const),
      ),
    );
    const plan = planEpisodes(classes, { sizes: [40, 5], query: 10 }, 2);
    expect(plan.classes.map(({ apart }) => apart)).toEqual([true, true, false]);
    for (let i = 0; i < 100; i++) {
      const { supportSet, querySet } = plan.episode(i);
      const shown = new Set(supportSet.rows.map((row) => groupOf.get(row)));
      const [large] = supportSet.labels;
      const shared = querySet.rows.filter((row) => shown.has(groupOf.get(row)));
      if (large === "c2") expect(shared.length).toBeGreaterThan(0);
      else expect(shared).toEqual([]);
    }
  });

  it("depends on seed and number alone", () => {
    const classes = classesOf([20, 20, 20, 20]);
    const spec = { way: 3, shot: 2, query: 5 };
    const plan = planEpisodes(classes, spec, 7);
    const seventh = plan.episode(7);
    plan.episode(3);
    expect(plan.episode(7)).toEqual(seventh);
    expect(planEpisodes(classes, spec, 7).episode(7)).toEqual(seventh);
    expect(plan.episode(8)).not.toEqual(seventh);
    expect(planEpisodes(classes, spec, 8).episode(7)).not.toEqual(seventh);
    expect(sampleEpisode(createRng(7).fork(7), classes, spec)).toEqual(seventh);
  });

  it("refuses at once what could not be drawn, and names the class", () => {
    const classes = classesOf([20, 9, 12, 20]);
    expect(() => planEpisodes(classes, { way: 2, shot: 5, query: 15 }, 1)).toThrow(
      'The data are too few for such an episode: expected at least 20 images in every class (5 support, 15 query), got 9 in class "c1", and too few in 1 more. Ask for fewer shots or queries, add images, or leave the class out.',
    );
    expect(() => planEpisodes(classes, { way: 3, shot: 1, query: 1, open: 2 }, 1)).toThrow(
      /expected at least 5 classes \(3 known, 2 unknown\), got 4\./,
    );
    expect(() => planEpisodes([], { way: 1, shot: 1, query: 1 }, 1)).toThrow(/expected at least 1 classes/);
    expect(() => planEpisodes(classes, { sizes: [6, 5, 2], query: 14 }, 1)).toThrow(
      /at least 16 images in every class \(2 support, 14 query\), got 9 in class "c1"/,
    );
    expect(() => planEpisodes(classes, { sizes: [2, 12, 11, 11], query: 6 }, 1)).toThrow(
      /expected at least 3 classes of 17 images or more \(11 support, 6 query\), got 2\. Ask for smaller sizes/,
    );
    expect(() => planEpisodes(classes, { sizes: [2, 2, 2], query: 2, open: 2 }, 1)).toThrow(
      /at least 5 classes \(3 known, 2 unknown\), got 4/,
    );
    for (const sizes of [[], [0], [2, 1.5]])
      expect(() => planEpisodes(classes, { sizes, query: 1 }, 1)).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
    for (const wrong of [{ way: 0 }, { shot: 1.5 }, { query: Number.NaN }, { open: -1 }])
      expect(() => planEpisodes(classes, { way: 2, shot: 1, query: 1, ...wrong }, 1)).toThrow(
        /to be a whole number from/,
      );
  });
});

describe("episodeClasses", () => {
  it("collects rows and groups by label", () => {
    expect(episodeClasses(["a", "b", "a"], ["x", "y", "z"])).toEqual([
      { label: "a", rows: [0, 2], groups: ["x", "z"] },
      { label: "b", rows: [1], groups: ["y"] },
    ]);
    expect(episodeClasses(["a"])[0]!.groups).toBeUndefined();
    expect(() => episodeClasses(["a"], [])).toThrow(/expected 1 groups, one a row, got 0/);
  });
});

describe("groupByFileName", () => {
  const photograph = /__(.+)_\d+\.\w+$/;

  it("takes the captured part, the match, or the path", () => {
    expect(groupByFileName("coins/10c/10c__IMG_4187_11.jpg", photograph)).toBe("IMG_4187");
    expect(groupByFileName("C:\\coins\\10c__IMG_4187_12.jpg", photograph)).toBe("IMG_4187");
    expect(groupByFileName("a/serial77-3.png", /serial\d+/)).toBe("serial77");
    expect(groupByFileName("a/other.png", photograph)).toBe("a/other.png");
    // A pattern that remembers its place gives the same answer twice.
    const global = /serial\d+/g;
    expect([1, 2].map(() => groupByFileName("serial1.png", global))).toEqual(["serial1", "serial1"]);
  });

  const coins = fileURLToPath(new URL("../../../shared/datasets/coins/images", import.meta.url));
  it.skipIf(!existsSync(coins))(
    "tells the photographs of the coins apart (needs the coins data set)",
    async () => {
      const { classes } = await listClasses(coins);
      const paths = classes.flatMap(({ images }) => images);
      const labels = classes.flatMap(({ label, images }) => images.map(() => label));
      const groups = paths.map((path) => groupByFileName(path, photograph));
      const plan = planEpisodes(episodeClasses(labels, groups), { way: 5, shot: 10, query: 15 }, 1);
      for (const { groups, rows } of plan.classes) expect(groups).toBeLessThan(rows);
      const apart = new Set(plan.classes.filter((c) => c.apart).map((c) => c.label));
      for (let i = 0; i < 50; i++) {
        const { supportSet, querySet } = plan.episode(i);
        const seen = new Set(supportSet.rows.map((row) => `${labels[row]} ${groups[row]}`));
        for (const row of querySet.rows)
          if (apart.has(labels[row]!)) expect(seen.has(`${labels[row]} ${groups[row]}`)).toBe(false);
        const photographs = new Set(supportSet.rows.map((row) => groups[row]));
        expect(querySet.rows.some((row) => photographs.has(groups[row]))).toBe(false);
      }
    },
  );
});
