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
    "center:running",
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
        fc.constantFrom("none", "base", "gallery"),
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
    expect(parseHead("gaussian")).toEqual({ kind: "gaussian" });
    expect(parseHead("prototype")).toEqual({ kind: "prototype", metric: "cosine" });
    expect(parseHead("prototype:euclidean")).toEqual({ kind: "prototype", metric: "euclidean" });
    expect(parseHead("ridge")).toEqual({ kind: "ridge", lambda: 1 });
    expect(parseHead("ridge:0.5")).toEqual({ kind: "ridge", lambda: 0.5 });
    expect(parseHead("ridge:1e-2")).toEqual({ kind: "ridge", lambda: 0.01 });
  });

  it.each([
    "",
    "ridges",
    "gaussian:1",
    "mahalanobis",
    "prototype:manhattan",
    "prototype:mahalanobis",
    "prototype:cosine:2",
    "ridge:0",
    "ridge:-1",
    "ridge:one",
    "ridge:1:512",
    "ridge:",
  ])("refuses %j and says what there is", (text) => {
    expect(() => parseHead(text)).toThrow(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        todo: expect.stringMatching(/gaussian.*prototype:euclidean.*ridge:LAMBDA/),
      }),
    );
  });

  it("reads back what formatHead writes", () => {
    for (const name of ["gaussian", "prototype", "prototype:euclidean", "ridge:0.5"])
      expect(formatHead(parseHead(name))).toBe(name);
  });
});
