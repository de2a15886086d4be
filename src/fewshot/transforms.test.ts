import { describe, expect, it } from "vitest";
import { isProtolineError } from "../core/index.ts";
import { cosineDistance } from "./distances.ts";
import { applyTransform, checkFinite, l2, power } from "./transforms.ts";

describe("transforms", () => {
  it("power keeps the sign", () => {
    expect([...power(Float32Array.of(4, -9, 0), 0.5)]).toEqual([2, -3, 0]);
    expect([...power(Float32Array.of(2, -3), 2)]).toEqual([4, -9]);
  });

  it("l2 makes length 1 of anything but zero, however large or small", () => {
    for (const scale of [1, 1e30, 1e-30]) {
      const [x, y] = l2(Float32Array.of(3 * scale, 4 * scale));
      expect(x).toBeCloseTo(0.6, 6);
      expect(y).toBeCloseTo(0.8, 6);
    }
    expect([...l2(new Float32Array(3))]).toEqual([0, 0, 0]);
  });

  it("a zero vector is at cosine distance 1 from everything", () => {
    expect(cosineDistance(new Float32Array(2), Float32Array.of(1, 0))).toBe(1);
    expect(cosineDistance(Float32Array.of(1, 0), Float32Array.of(-1, 0))).toBe(2);
  });

  it("does power, L2, centre, L2 in this order", () => {
    const spec = { power: 0.5, normalize: true, center: "gallery" } as const;
    // (9, 16) → (3, 4) → (0.6, 0.8) → minus (0.6, 0) → (0, 0.8) → (0, 1).
    const out = applyTransform(Float32Array.of(9, 16), spec, Float32Array.of(0.6, 0));
    expect(out[0]).toBeCloseTo(0, 6);
    expect(out[1]).toBeCloseTo(1, 6);
    const plain = applyTransform(
      Float32Array.of(9, 16),
      { ...spec, normalize: false },
      Float32Array.of(1, 1),
    );
    expect([...plain]).toEqual([2, 3]);
  });

  it("names the row of a number that is none", () => {
    expect.assertions(2);
    try {
      checkFinite(Float32Array.of(1, Number.NaN), 7);
    } catch (error) {
      expect(isProtolineError(error) && error.code).toBe("NOT_FINITE");
      expect(String(error)).toContain("position 1 of row 7");
    }
  });
});
