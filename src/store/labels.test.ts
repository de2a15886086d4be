import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProtolineError } from "../core/index.ts";
import { checkGalleryName, checkLabel, tidy } from "./labels.ts";

/** Any code units, halves of pairs among them. */
const anyText = fc.array(fc.nat(0xffff), { maxLength: 40 }).map((units) => String.fromCharCode(...units));

function reason(text: string): string {
  try {
    return `taken: ${checkLabel(text)}`;
  } catch (error) {
    expect((error as ProtolineError).code).toBe("LABEL_INVALID");
    return (error as ProtolineError).message;
  }
}

describe("a label", () => {
  it("is of any script, with slashes, as it was given", () => {
    for (const text of [
      "motor housing B",
      "零件 A",
      "M8/20",
      "C:\\x",
      "..",
      "👩‍🔧",
      "नट",
      "a".repeat(200),
      "🔩".repeat(200),
    ])
      expect(checkLabel(text)).toBe(text);
  });

  it("has one form whatever the keyboard, and no spaces at its ends", () => {
    expect(checkLabel(" Ku\u0308hler\u3000")).toBe("K\u00fchler");
  });

  it("is refused with what was wrong", () => {
    expect(reason("")).toContain("at least 1 character");
    expect(reason(" \t ")).toContain("at least 1 character");
    expect(reason("x".repeat(201))).toContain("at most 200 characters, got 201");
    expect(reason("x".repeat(10_000))).toContain("at most 200 characters, got 10000");
    expect(reason("x".repeat(10_000)).length).toBeLessThan(250);
    for (const text of ["a\nb", "a\0b", "\u202eabc", "a\u2028b", "\ud800"])
      expect(reason(text)).toContain("characters that can be printed");
    expect(reason(5 as unknown as string)).toContain("a text, got number");
  });

  it("stays as it is when it is checked again", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        if (reason(text).startsWith("taken")) expect(checkLabel(checkLabel(text))).toBe(checkLabel(text));
      }),
    );
  });
});

describe("a gallery's name", () => {
  it("is plain", () => {
    for (const name of ["default", "line-3", "A.b_c", "x".repeat(64)])
      expect(checkGalleryName(name)).toBe(name);
    for (const name of ["", ".x", "a b", "a/b", "a\n", "é", "x".repeat(65)])
      expect(() => checkGalleryName(name)).toThrow(ProtolineError);
  });
});

describe("a remark", () => {
  it("is made printable and cut", () => {
    expect(tidy("C:\\bilder\\a\u0007.jpg")).toBe("C:\\bilder\\a\ufffd.jpg");
    expect(tidy("🔩🔩", 3)).toBe("🔩\ufffd");
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tidy(tidy(text, 9), 9)).toBe(tidy(text, 9));
      }),
    );
  });
});
