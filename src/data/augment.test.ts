import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AugmentKind, augment, dihedral, viewsPerKind } from "./augment.ts";
import type { Picture } from "./types.ts";

const anyPicture = fc
  .record({ width: fc.integer({ min: 1, max: 12 }), height: fc.integer({ min: 1, max: 12 }) })
  .chain(({ width, height }) =>
    fc
      .uint8Array({ minLength: width * height * 3, maxLength: width * height * 3 })
      .map((data): Picture => ({ width, height, data })),
  );
const kinds: readonly AugmentKind[] = ["dihedral", "crop", "color", "cutout"];

describe("dihedral", () => {
  // One letter a pixel: the result of each element, row by row, of  abc
  //                                                                def
  it.each([
    [0, "abc/def"],
    [1, "da/eb/fc"],
    [2, "fed/cba"],
    [3, "cf/be/ad"],
    [4, "cba/fed"],
    [5, "fc/eb/da"],
    [6, "def/abc"],
    [7, "ad/be/cf"],
  ])("element %i", (element, expected) => {
    const data = Uint8Array.from([..."abcdef"].flatMap((c) => [c.charCodeAt(0), 1, 2]));
    const out = dihedral({ width: 3, height: 2, data }, element);
    const rows = Array.from({ length: out.height }, (_, y) =>
      Array.from({ length: out.width }, (_, x) =>
        String.fromCharCode(out.data[(y * out.width + x) * 3]!),
      ).join(""),
    );
    expect(rows.join("/")).toBe(expected);
    expect([out.data[1], out.data[2]]).toEqual([1, 2]);
  });

  it("is a group: four quarter turns and two mirrorings lead back", () => {
    fc.assert(
      fc.property(anyPicture, fc.integer({ min: 4, max: 7 }), (picture, mirror) => {
        const turn = (p: Picture) => dihedral(p, 1);
        expect(turn(turn(turn(turn(picture))))).toEqual(picture);
        expect(turn(turn(picture))).toEqual(dihedral(picture, 2));
        expect(dihedral(dihedral(picture, 1), 3)).toEqual(picture);
        expect(dihedral(dihedral(picture, mirror), mirror)).toEqual(picture);
      }),
    );
  });
});

describe("augment", () => {
  it("repeats from its seed, leaves the picture alone, and keeps the kinds apart", () => {
    fc.assert(
      fc.property(anyPicture, fc.shuffledSubarray([...kinds]), fc.integer(), (picture, some, seed) => {
        const before = picture.data.slice();
        const views = augment(picture, some, seed);
        expect(views).toEqual(augment(picture, some, seed));
        expect(views).toEqual(some.flatMap((kind) => augment(picture, [kind], seed)));
        expect(views).toHaveLength(some.reduce((sum, kind) => sum + viewsPerKind[kind], 0));
        expect(picture.data).toEqual(before);
        for (const view of views) expect(view.data).toHaveLength(view.width * view.height * 3);
      }),
    );
  });

  const texture: Picture = {
    width: 60,
    height: 40,
    data: Uint8Array.from({ length: 60 * 40 * 3 }, (_, i) => (i * 31 + (i >> 4) * 17) % 256),
  };

  it("draws another picture from another seed", () => {
    for (const kind of ["crop", "color", "cutout"] as const)
      expect(augment(texture, [kind], 1)).not.toEqual(augment(texture, [kind], 2));
  });

  it("crops 60 to 100 % of the area", () => {
    for (let seed = 0; seed < 50; seed++)
      for (const { width, height } of augment(texture, ["crop"], seed)) {
        const share = (width * height) / (60 * 40);
        // The rim can take more than was drawn when the shape is long; rounding adds a little.
        expect(share).toBeGreaterThan(0.5);
        expect(share).toBeLessThanOrEqual(1);
        expect(width).toBeLessThanOrEqual(60);
        expect(height).toBeLessThanOrEqual(40);
      }
  });

  it("changes brightness by at most 30 % and keeps grey grey", () => {
    const grey: Picture = { width: 8, height: 8, data: new Uint8Array(192).fill(100) };
    const seen = new Set<number>();
    for (let seed = 0; seed < 40; seed++)
      for (const { data } of augment(grey, ["color"], seed)) {
        expect(data[0]).toBeGreaterThanOrEqual(70);
        expect(data[0]).toBeLessThanOrEqual(130);
        expect(new Set(data).size).toBe(1);
        seen.add(data[0]!);
      }
    expect(seen.size).toBeGreaterThan(30);
  });

  it("cuts out one grey square and nothing else", () => {
    for (const { data } of augment(texture, ["cutout"], 5)) {
      const changed: number[] = [];
      for (let i = 0; i < 60 * 40; i++)
        if ([0, 1, 2].some((c) => data[i * 3 + c] !== texture.data[i * 3 + c])) changed.push(i);
      const xs = changed.map((i) => i % 60);
      const ys = changed.map((i) => Math.floor(i / 60));
      expect(changed.length).toBeGreaterThan(0);
      expect(Math.max(...xs) - Math.min(...xs)).toBeLessThan(20);
      expect(Math.max(...ys) - Math.min(...ys)).toBeLessThan(20);
      for (const i of changed) expect([...data.subarray(i * 3, i * 3 + 3)]).toEqual([128, 128, 128]);
    }
  });
});
