import { describe, expect, it } from "vitest";
import { bytesText, createPaint, displayWidth, fitTo, oneLine, shorten, table } from "./text.ts";

const plain = createPaint(false);

describe("text", () => {
  it("counts the columns of a terminal, not the characters", () => {
    expect(displayWidth("bolt")).toBe(4);
    expect(displayWidth("电机外壳")).toBe(8);
    expect(displayWidth("🔩")).toBe(2);
    expect(displayWidth("e\u0301")).toBe(1);
    expect(displayWidth(createPaint(true).red("bolt"))).toBe(4);
  });

  it("shortens to the width, at the end or at the start, and leaves what fits", () => {
    expect(shorten("frames/0001.jpg", 9)).toBe("frames/0…");
    expect(shorten("frames/0001.jpg", 9, "start")).toBe("…0001.jpg");
    expect(shorten("电机外壳", 6)).toBe("电机…");
    expect(shorten("bolt", 4)).toBe("bolt");
    expect(displayWidth(fitTo("电机外壳", 4))).toBe(4);
  });

  it("aligns columns, numbers to the right, wide characters by their width", () => {
    const text = table(
      ["class", "n"],
      [
        ["电机", 5],
        ["bolt", 10],
      ],
      plain,
    );
    expect(text.split("\n")).toEqual(["class   n", "电机    5", "bolt   10"]);
  });

  it("lets no control character through to the terminal", () => {
    expect(oneLine("a\u001b[31mb\nc")).toBe("a?[31mb?c");
  });

  it("says bytes in the nearest unit", () => {
    expect([12, 2048, 12_790_607].map(bytesText)).toEqual(["12 B", "2.0 KiB", "12 MiB"]);
  });
});
