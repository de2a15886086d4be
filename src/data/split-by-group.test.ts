import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitByGroup } from "./split-by-group.ts";
import { readSplit, writeSplits } from "./split-files.ts";

const sides = ["train", "val", "test"] as const;
const shares = { train: 0.6, val: 0.2, test: 0.2 };

describe("splitByGroup", () => {
  const rows = fc.array(fc.record({ label: fc.integer({ min: 0, max: 4 }), group: fc.nat(12) }), {
    minLength: 1,
    maxLength: 80,
  });

  it("gives every row to one side and no group to two, and repeats from its seed", () => {
    fc.assert(
      fc.property(rows, fc.integer(), fc.nat(9), fc.nat(9), (list, seed, val, test) => {
        const labels = list.map(({ label }) => `c${label}`);
        const groups = list.map(({ group }) => `g${group}`);
        const some = { train: 1, val, test };
        const split = splitByGroup(labels, groups, some, seed);
        expect(splitByGroup(labels, groups, some, seed)).toEqual(split);
        expect(sides.flatMap((side) => split[side]).sort((a, b) => a - b)).toEqual(list.map((_, row) => row));
        const sideOf = new Map<string, string>();
        for (const side of sides)
          for (const row of split[side]) {
            expect(some[side]).toBeGreaterThan(0);
            expect(sideOf.get(groups[row]!) ?? side).toBe(side);
            sideOf.set(groups[row]!, side);
          }
      }),
    );
  });

  it("has every class on every side where its groups suffice and are its own", () => {
    fc.assert(
      fc.property(rows, fc.integer(), (list, seed) => {
        const labels = list.map(({ label }) => `c${label}`);
        const groups = list.map(({ label, group }) => `c${label} g${group}`);
        const split = splitByGroup(labels, groups, shares, seed);
        for (const label of new Set(labels)) {
          const own = new Set(groups.filter((_, row) => labels[row] === label)).size;
          const on = sides.filter((side) => split[side].some((row) => labels[row] === label)).length;
          if (own >= 3) expect(on).toBe(3);
        }
      }),
    );
  });

  it("keeps the shares in all and in every class, within a group or two", () => {
    // 10 classes of 20 serials of 5 frames.
    const labels = Array.from({ length: 1000 }, (_, i) => `c${Math.floor(i / 100)}`);
    const groups = Array.from({ length: 1000 }, (_, i) => `s${Math.floor(i / 5)}`);
    const split = splitByGroup(labels, groups, shares, 3);
    for (const side of sides) {
      expect(Math.abs(split[side].length - 1000 * shares[side])).toBeLessThanOrEqual(10);
      for (const label of new Set(labels)) {
        const own = split[side].filter((row) => labels[row] === label).length;
        expect(Math.abs(own - 100 * shares[side])).toBeLessThanOrEqual(10);
      }
    }
    expect(splitByGroup(labels, groups, shares, 4)).not.toEqual(split);
    expect(Math.abs(splitByGroup(labels, null, shares, 4).val.length - 200)).toBeLessThanOrEqual(2);
  });

  it("splits the classes themselves with the labels for groups", () => {
    const labels = Array.from({ length: 500 }, (_, i) => `c${i % 50}`);
    const split = splitByGroup(labels, labels, shares, 1);
    expect(sides.map((side) => new Set(split[side].map((row) => labels[row])).size)).toEqual([30, 10, 10]);
  });

  it("refuses shares and groups that are none", () => {
    for (const wrong of [{ train: -1 }, { train: Number.NaN }, { train: 0, val: 0, test: 0 }])
      expect(() => splitByGroup(["a"], null, { ...shares, ...wrong }, 1)).toThrow(/shares of at least 0/);
    expect(() => splitByGroup(["a", "b"], ["g"], shares, 1)).toThrow(/2 groups, one a row, got 1/);
  });
});

describe("split files", () => {
  it("come back as they were written, with train and val together", async () => {
    const folder = mkdtempSync(join(tmpdir(), "protoline-splits-"));
    try {
      const lists = { train: ["螺栓 M4", "b/1.png"], val: ["c"], test: ["d"] };
      await writeSplits(join(folder, "new"), lists);
      expect(await readSplit(join(folder, "new"), "train")).toEqual(lists.train);
      expect(await readSplit(join(folder, "new"), "trainval")).toEqual(["螺栓 M4", "b/1.png", "c"]);
      expect(await readSplit(join(folder, "new"), "all")).toHaveLength(4);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
