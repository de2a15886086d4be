import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatHead, formatTransform, parseHead, parseTransform } from "./names.ts";

describe("parseTransform", () => {
  it("reads the names of the tables", () => {
    expect(parseTransform("none")).toEqual({ power: null, normalize: false, center: "none" });
    expect(parseTransform("l2")).toEqual({ power: null, normalize: true, center: "none" });
    expect(parseTransform("power")).toEqual({ power: 0.5, normalize: true, center: "none" });
    expect(parseTransform("center")).toEqual({ power: null, normalize: true, center: "gallery" });
    expect(parseTransform("power+center")).toEqual({ power: 0.5, normalize: true, center: "gallery" });
    expect(parseTransform("center:base+power:0.3")).toEqual({ power: 0.3, normalize: true, center: "base" });
  });

  it.each([
    "",
    "pwer",
    "power:0",
    "power:2",
    "power:-1",
    "power:0x1",
    "power:",
    "center:mars",
    "center:gallery:2",
    "power+power",
    "none+power",
    "l2:3",
    "power+",
  ])("refuses %j and says what there is", (text) => {
    expect(() => parseTransform(text)).toThrow(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        todo: expect.stringMatching(/l2, power, center, power\+center/),
      }),
    );
  });

  it("reads back what formatTransform writes", () => {
    fc.assert(
      fc.property(
        fc.option(fc.double({ min: 0.01, max: 1, noNaN: true })),
        fc.constantFrom("none", "base", "gallery", "running"),
        (power, center) => {
          const spec = { power, normalize: true, center } as const;
          expect(parseTransform(formatTransform(spec))).toEqual(spec);
        },
      ),
    );
    expect(parseTransform(formatTransform(parseTransform("none")))).toEqual(parseTransform("none"));
  });
});

describe("parseHead", () => {
  it("reads the names of the tables", () => {
    expect(parseHead("prototype")).toEqual({ kind: "prototype", metric: "cosine" });
    expect(parseHead("prototype:mahalanobis")).toEqual({ kind: "prototype", metric: "mahalanobis" });
    expect(parseHead("ridge")).toEqual({ kind: "ridge", lambda: 1, projection: null });
    expect(parseHead("ridge:0.5")).toEqual({ kind: "ridge", lambda: 0.5, projection: null });
    expect(parseHead("ridge:1e-2:2048")).toEqual({
      kind: "ridge",
      lambda: 0.01,
      projection: { dim: 2048, seed: 1 },
    });
  });

  it.each([
    "",
    "ridges",
    "prototype:manhattan",
    "prototype:cosine:2",
    "ridge:0",
    "ridge:-1",
    "ridge:one",
    "ridge:1:0.5",
    "ridge:1:2:3",
    "ridge:",
  ])("refuses %j and says what there is", (text) => {
    expect(() => parseHead(text)).toThrow(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        todo: expect.stringMatching(/prototype:euclidean.*ridge:LAMBDA/),
      }),
    );
  });

  it("reads back what formatHead writes", () => {
    for (const name of ["prototype", "prototype:euclidean", "ridge:0.5", "ridge:2:512"])
      expect(formatHead(parseHead(name))).toBe(name);
  });
});
