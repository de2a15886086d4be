import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutRegion, pictureFromPixels } from "./pixels.ts";
import { toInput } from "./to-input.ts";
import type { Interpolation, Picture, Preprocess } from "./types.ts";

const plain: Preprocess = {
  size: [4, 5],
  fit: "stretch",
  interpolation: "bilinear",
  padding: 0,
  channels: "rgb",
  mean: [0, 0, 0],
  std: [1, 1, 1],
  standardize: "none",
};

function paint(
  width: number,
  height: number,
  color: (x: number, y: number) => readonly [number, number, number],
): Picture {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data.set(color(x, y), (y * width + x) * 3);
  return { width, height, data };
}

const grey = (value: number): readonly [number, number, number] => [value, value, value];
const pattern = paint(23, 17, (x, y) => grey((x * 37 + y * 59 + x * y * 7) % 256));

const anyPicture = fc
  .record({ width: fc.integer({ min: 1, max: 40 }), height: fc.integer({ min: 1, max: 40 }) })
  .chain(({ width, height }) =>
    fc
      .uint8Array({ minLength: width * height * 3, maxLength: width * height * 3 })
      .map((data): Picture => ({ width, height, data })),
  );
const anyInterpolation = fc.constantFrom<Interpolation>("nearest", "bilinear", "bicubic", "lanczos3");
const anyFit = fc.constantFrom<Preprocess["fit"]>("stretch", "crop", "fit");

describe("the resampler", () => {
  // Pillow 13.0.0, Image.fromarray(pattern, "F").resize((width, height), filter): pixels (x, y) of `at`.
  const pillow: readonly [Interpolation, number, number, readonly number[]][] = [
    ["nearest", 5, 4, [220, 199, 198, 198, 208]],
    ["nearest", 31, 20, [0, 103, 15, 126, 169]],
    ["bilinear", 5, 4, [125.53, 138.512, 148.315, 148.315, 126.813]],
    ["bilinear", 31, 20, [0, 103.204, 65.915, 126, 125.524]],
    ["bicubic", 5, 4, [124.368, 139.014, 150.72, 150.72, 122.278]],
    ["bicubic", 31, 20, [0, 100.176, 43.644, 118.368, 120.795]],
    ["lanczos3", 5, 4, [124.338, 137.24, 151.764, 151.764, 121.925]],
    ["lanczos3", 31, 20, [0, 96.064, 32.674, 112.365, 109.336]],
  ];
  it.each(pillow)("agrees with Pillow: %s to %i x %i", (interpolation, width, height, expected) => {
    const out = toInput(pattern, { ...plain, size: [height, width], interpolation });
    const at = (x: number, y: number) => out[y * width + x]!;
    const got = [at(0, 0), at(2, 1), at(4, 3), at(width - 1, height - 1), at(1, 2)];
    // Pillow's overshoot below 0 stays in mode F; here it is clamped, as it is in Pillow's mode RGB.
    got.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 2);
    });
  });

  it("keeps a constant picture constant, whatever the size, the fit and the filter", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 0, max: 255 }),
        anyInterpolation,
        anyFit,
        (width, height, side, value, interpolation, fit) => {
          const flat = paint(width, height, () => grey(value));
          const out = toInput(flat, { ...plain, size: [side, side], interpolation, fit, padding: value });
          for (const v of out) expect(Math.abs(v - value)).toBeLessThan(1e-3);
        },
      ),
    );
  });

  it("returns the pixels themselves when the size stays", () => {
    fc.assert(
      fc.property(anyPicture, anyInterpolation, anyFit, (picture, interpolation, fit) => {
        const { width, height, data } = picture;
        const out = toInput(picture, { ...plain, size: [height, width], interpolation, fit });
        for (let i = 0; i < width * height; i++)
          for (let c = 0; c < 3; c++) expect(out[c * width * height + i]).toBeCloseTo(data[i * 3 + c]!, 3);
      }),
    );
  });

  it("weighs every pixel when it shrinks, as worked out by hand", () => {
    // Bilinear from 4 to 2 with antialias: weights 3, 3, 1 of 7, a fourth pixel of weight 1 lies outside.
    const ramp = paint(4, 1, (x) => grey(x * 70));
    const out = toInput(ramp, { ...plain, size: [1, 2] });
    expect(out[0]).toBeCloseTo((3 * 0 + 3 * 70 + 1 * 140) / 7, 4);
    expect(out[1]).toBeCloseTo((1 * 70 + 3 * 140 + 3 * 210) / 7, 4);
  });
});

describe("region of interest", () => {
  it("gives the numbers of the region cut out first", () => {
    fc.assert(
      fc.property(
        anyPicture,
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        (picture, s) => {
          const draw = (n: number) => Math.floor(s.next().value! * n);
          const x = draw(picture.width);
          const y = draw(picture.height);
          const region = { x, y, width: 1 + draw(picture.width - x), height: 1 + draw(picture.height - y) };
          expect(toInput(picture, plain, region)).toEqual(toInput(cutRegion(picture, region), plain));
        },
      ),
    );
  });

  it("of the whole picture changes nothing", () => {
    const whole = { x: 0, y: 0, width: 23, height: 17 };
    expect(toInput(pattern, plain, whole)).toEqual(toInput(pattern, plain));
  });

  it.each([
    { x: -1, y: 0, width: 4, height: 4 },
    { x: 20, y: 0, width: 4, height: 4 },
    { x: 0, y: 0, width: 4, height: 18 },
    { x: 0, y: 0, width: 0, height: 4 },
  ])("outside the picture is refused: %o", (region) => {
    expect(() => toInput(pattern, plain, region)).toThrow(
      /^The region of interest lies outside the image: expected a region inside 23 x 17 pixels, got x/,
    );
  });

  it("in fractions of pixels is refused", () => {
    expect(() => toInput(pattern, plain, { x: 0.5, y: 0, width: 4, height: 4 })).toThrow(/whole pixels/);
  });
});

describe("fit", () => {
  const wide = paint(8, 4, (x, y) => [x * 30, y * 60, 7]);

  it("crop cuts the middle", () => {
    const out = toInput(wide, { ...plain, size: [4, 4], fit: "crop" });
    expect([...out.subarray(0, 4)].map(Math.round)).toEqual([60, 90, 120, 150]);
  });

  it("fit pads with the grey that is asked for, and the padding is normalised too", () => {
    const options = {
      ...plain,
      size: [8, 8],
      fit: "fit",
      padding: 100,
      mean: [50, 50, 50],
      std: [2, 2, 2],
    } as const;
    const out = toInput(wide, options);
    for (const y of [0, 1, 6, 7]) for (let x = 0; x < 8; x++) expect(out[y * 8 + x]).toBe(25);
    expect([...out.subarray(16, 24)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((x) => (x * 30 - 50) / 2));
  });

  it("stretch uses every pixel", () => {
    const out = toInput(wide, { ...plain, size: [1, 1] });
    expect(out[0]).toBeCloseTo(105, 0);
  });
});

describe("channels and normalisation", () => {
  const color = paint(2, 2, () => [200, 100, 50]);
  const size = [2, 2] as const;

  it("orders the planes", () => {
    const rgb = toInput(color, { ...plain, size, mean: [1, 2, 3], std: [2, 4, 8] });
    expect([rgb[0], rgb[4], rgb[8]]).toEqual([199 / 2, 98 / 4, 47 / 8]);
    const bgr = toInput(color, { ...plain, size, channels: "bgr", mean: [1, 2, 3], std: [2, 4, 8] });
    expect([bgr[0], bgr[4], bgr[8]]).toEqual([49 / 2, 98 / 4, 197 / 8]);
    const gray = toInput(color, { ...plain, size, channels: "gray", mean: [0], std: [1] });
    expect(gray).toHaveLength(4);
    expect(gray[0]).toBeCloseTo(0.299 * 200 + 0.587 * 100 + 0.114 * 50, 4);
  });

  it("standardises each picture", () => {
    const out = toInput(pattern, { ...plain, standardize: "image" });
    const mean = out.reduce((a, b) => a + b, 0) / out.length;
    const variance = out.reduce((a, b) => a + (b - mean) ** 2, 0) / out.length;
    expect(mean).toBeCloseTo(0, 5);
    expect(variance).toBeCloseTo(1, 5);
    const flat = toInput(
      paint(9, 9, () => grey(77)),
      { ...plain, standardize: "image" },
    );
    expect(flat.every((v) => v === 0)).toBe(true);
  });

  it("refuses means that are not one a channel", () => {
    expect(() => toInput(color, { ...plain, channels: "gray" })).toThrow(/expected 1 means and 1 deviations/);
    expect(() => toInput(color, { ...plain, std: [1, 0, 1] })).toThrow(/deviations above 0/);
  });
});

describe("pictureFromPixels", () => {
  it("takes rgb without a copy and reorders the rest", () => {
    const rgb = Uint8Array.of(1, 2, 3, 4, 5, 6);
    expect(pictureFromPixels(rgb, 2, 1).data).toBe(rgb);
    expect([...pictureFromPixels(rgb, 2, 1, "bgr").data]).toEqual([3, 2, 1, 6, 5, 4]);
    expect([...pictureFromPixels(Uint8Array.of(1, 2, 3, 9), 1, 1, "rgba").data]).toEqual([1, 2, 3]);
    expect([...pictureFromPixels(Uint8Array.of(1, 2, 3, 9), 1, 1, "bgra").data]).toEqual([3, 2, 1]);
    expect([...pictureFromPixels(Uint8Array.of(7, 8), 2, 1, "gray").data]).toEqual([7, 7, 7, 8, 8, 8]);
  });

  it("refuses a frame of another size", () => {
    expect(() => pictureFromPixels(new Uint8Array(5), 2, 1)).toThrow(
      /expected 2 x 1 pixels of 3 bytes each, got 5 bytes/,
    );
  });
});
