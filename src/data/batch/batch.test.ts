import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { augmentBatch, type BatchAugmentation } from "./augment-batch.ts";
import type { Batch, BatchData } from "./batch.ts";
import { randomBlur, randomGray, randomNoise } from "./camera.ts";
import { colorJitter } from "./color.ts";
import { cutout, randomErase } from "./erase.ts";
import { randomCrop, randomFlip, randomQuarterTurns, randomRotate } from "./geometry.ts";
import { mixup } from "./mixup.ts";
import { randomResizedCrop } from "./resized-crop.ts";

type Change = <T extends BatchData>(batch: Batch<T>, seed: number) => Batch<T>;

const changes: Readonly<Record<string, Change>> = {
  crop: (batch, seed) => randomCrop(batch, { padding: 2, fill: 7 }, seed),
  horizontal: (batch, seed) => randomFlip(batch, { axis: "horizontal" }, seed),
  vertical: (batch, seed) => randomFlip(batch, { axis: "vertical" }, seed),
  quarterTurns: randomQuarterTurns,
  rotate: (batch, seed) => randomRotate(batch, { degrees: 20 }, seed),
  color: (batch, seed) => colorJitter(batch, { brightness: 0.4, contrast: 0.4, saturation: 0.4 }, seed),
  resizedCrop: (batch, seed) => randomResizedCrop(batch, { degrees: 30 }, seed),
  gray: (batch, seed) => randomGray(batch, { probability: 0.5 }, seed),
  blur: (batch, seed) => randomBlur(batch, { probability: 0.5 }, seed),
  noise: (batch, seed) => randomNoise(batch, {}, seed),
  cutout: (batch, seed) => cutout(batch, { size: 3 }, seed),
  erase: (batch, seed) => randomErase(batch, {}, seed),
};

const anyBatch = fc
  .record({
    n: fc.integer({ min: 0, max: 4 }),
    channels: fc.constantFrom(1, 3),
    size: fc.integer({ min: 3, max: 8 }),
  })
  .chain(({ n, channels, size }) =>
    fc
      .uint8Array({ minLength: n * channels * size * size, maxLength: n * channels * size * size })
      .map((data): Batch<Uint8Array> => ({ channels, height: size, width: size, data })),
  );
const floats = (batch: Batch): Batch<Float32Array> => ({ ...batch, data: Float32Array.from(batch.data) });
const picture = <T extends BatchData>({ channels, height, width, data }: Batch<T>, i: number) => {
  const length = channels * height * width;
  return data.subarray(i * length, (i + 1) * length);
};
/** Rows of one plane, for a batch of one grey picture. */
const rows = ({ width, data }: Batch): number[][] =>
  Array.from({ length: data.length / width }, (_, y) => [...data.subarray(y * width, (y + 1) * width)]);
const grey = (...lines: readonly (readonly number[])[]): Batch<Uint8Array> => ({
  channels: 1,
  height: lines.length,
  width: lines[0]!.length,
  data: Uint8Array.from(lines.flat()),
});

describe.each(Object.entries(changes))("%s", (_, change) => {
  it("leaves the batch alone and repeats from its seed", () => {
    fc.assert(
      fc.property(anyBatch, fc.integer(), (batch, seed) => {
        const before = batch.data.slice();
        const out = change(batch, seed);
        expect(batch.data).toEqual(before);
        expect(out.data).not.toBe(batch.data);
        expect(out).toEqual(change(batch, seed));
        expect(out.data).toHaveLength(batch.data.length);
      }),
    );
  });

  it("changes picture i by seed and i alone", () => {
    fc.assert(
      fc.property(
        anyBatch.filter(({ data }) => data.length > 0),
        fc.integer(),
        (batch, seed) => {
          const length = batch.channels * batch.height * batch.width;
          const alone: Batch<Uint8Array> = { ...batch, data: batch.data.slice(0, length) };
          expect(picture(change(batch, seed), 0)).toEqual(change(alone, seed).data);
        },
      ),
    );
  });

  it("does something, and not the same to all", () => {
    const data = Uint8Array.from({ length: 40 * 3 * 64 }, (_v, i) => ((i % 192) * 37 + 11) % 251);
    const batch: Batch<Uint8Array> = { channels: 3, height: 8, width: 8, data };
    const out = change(batch, 5);
    expect(new Set(Array.from({ length: 40 }, (_v, i) => picture(out, i).join())).size).toBeGreaterThan(1);
  });
});

describe("bytes and floats", () => {
  it("agree within half a step where no noise is drawn", () => {
    fc.assert(
      fc.property(anyBatch, fc.integer(), (batch, seed) => {
        for (const [name, change] of Object.entries(changes)) {
          if (name === "erase" || name === "noise") continue;
          const bytes = change(batch, seed).data;
          const exact = change(floats(batch), seed).data;
          const errors = exact.map((value, i) => Math.abs(bytes[i]! - Math.min(255, Math.max(0, value))));
          expect(Math.max(0, ...errors)).toBeLessThanOrEqual(0.501);
        }
      }),
    );
  });
});

describe("camera", () => {
  const flat: Batch<Uint8Array> = { channels: 3, height: 9, width: 9, data: new Uint8Array(3 * 81).fill(90) };
  const always = { probability: 1 } as const;

  it("a resized crop, a blur and the loss of colour leave a flat grey picture as it is", () => {
    expect(randomResizedCrop(flat, { degrees: 180, area: [0.2, 3] }, 1).data).toEqual(flat.data);
    expect(randomBlur(flat, always, 2).data).toEqual(flat.data);
    expect(randomGray(flat, always, 3).data).toEqual(flat.data);
  });

  it("a resized crop of the whole is the picture, and a quarter of it is magnified twice", () => {
    const data = Float32Array.from({ length: 64 }, (_, i) => 3 * (i % 8) + 5 * (i >> 3));
    const ramp = { channels: 1, height: 8, width: 8, data };
    const whole = randomResizedCrop(ramp, { area: [1, 1], aspect: [1, 1] }, 4).data;
    whole.forEach((value, i) => {
      expect(value).toBeCloseTo(data[i]!, 4);
    });
    const part = randomResizedCrop(ramp, { area: [0.25, 0.25], aspect: [1, 1] }, 5).data;
    // All but the outermost, which may lie between the edge and its mirror image.
    for (let i = 1; i < 6; i++) {
      expect(part[24 + i + 1]! - part[24 + i]!).toBeCloseTo(1.5, 4);
      expect(part[8 * (i + 1) + 3]! - part[8 * i + 3]!).toBeCloseTo(2.5, 4);
    }
  });

  it("a blur keeps the mean away from the edges and spreads a point as a Gaussian", () => {
    const data = new Float32Array(21 * 21);
    data[10 * 21 + 10] = 1;
    const out = randomBlur(
      { channels: 1, height: 21, width: 21, data },
      { ...always, sigma: [1.5, 1.5] },
      6,
    ).data;
    expect(out.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    expect(out[10 * 21 + 12]! / out[10 * 21 + 10]!).toBeCloseTo(Math.exp(-4 / (2 * 1.5 ** 2)), 4);
  });

  it("noise has its deviation, and other values in each channel", () => {
    const data = new Float32Array(3 * 100 * 100);
    const out = randomNoise(
      { channels: 3, height: 100, width: 100, data },
      { ...always, deviation: [5, 5] },
      7,
    ).data;
    const deviation = Math.sqrt(out.reduce((sum, value) => sum + value * value, 0) / out.length);
    expect(deviation).toBeGreaterThan(4.9);
    expect(deviation).toBeLessThan(5.1);
    expect(out[0]).not.toBe(out[10_000]);
  });

  it("weighs the channels of a grey as the eye does", () => {
    const data = Float32Array.of(100, 10, 1);
    expect([...randomGray({ channels: 3, height: 1, width: 1, data }, always, 8).data]).toEqual([
      expect.closeTo(35.884, 3),
      expect.closeTo(35.884, 3),
      expect.closeTo(35.884, 3),
    ]);
  });

  it("refuses what makes no sense", () => {
    expect(() => randomResizedCrop(flat, { area: [0, 1] }, 1)).toThrow(/area/);
    expect(() => randomBlur(flat, { sigma: [0, 1] }, 1)).toThrow(/sigma/);
    expect(() => randomNoise(flat, { deviation: [3, 1] }, 1)).toThrow(/deviation/);
    expect(() => randomGray(flat, { probability: 2 }, 1)).toThrow(/probability/);
  });
});

describe("geometry", () => {
  const source = grey([1, 2, 3], [4, 5, 6], [7, 8, 9]);
  const seen = (make: (seed: number) => Batch): Set<string> =>
    new Set(Array.from({ length: 200 }, (_, seed) => rows(make(seed)).join("/")));

  it("crop reaches every shift, and fills", () => {
    const all = seen((seed) => randomCrop(source, { padding: 1, fill: 0 }, seed));
    expect(all.size).toBe(9);
    expect(all).toContain("5,6,0/8,9,0/0,0,0");
    expect(all).toContain("0,1,2/0,4,5/0,7,8");
  });

  it("flip mirrors half of the time, or as often as asked", () => {
    expect(rows(randomFlip(source, { axis: "horizontal", probability: 1 }, 1))).toEqual([
      [3, 2, 1],
      [6, 5, 4],
      [9, 8, 7],
    ]);
    expect(rows(randomFlip(source, { axis: "vertical", probability: 1 }, 1))[0]).toEqual([7, 8, 9]);
    expect(randomFlip(source, { axis: "vertical", probability: 0 }, 1)).toEqual(source);
    const flips = Array.from(
      { length: 400 },
      (_, seed) => randomFlip(source, { axis: "vertical" }, seed).data[0],
    );
    const share = flips.filter((value) => value === 7).length / 400;
    expect(Math.abs(share - 0.5)).toBeLessThan(0.1);
  });

  it("quarter turns give the four turns and no other", () => {
    expect(seen((seed) => randomQuarterTurns(source, seed))).toEqual(
      new Set(["1,2,3/4,5,6/7,8,9", "3,6,9/2,5,8/1,4,7", "9,8,7/6,5,4/3,2,1", "7,4,1/8,5,2/9,6,3"]),
    );
    expect(() => randomQuarterTurns(grey([1, 2]), 1)).toThrow(/square/);
  });

  it("rotation by nothing is the picture, and keeps the middle and what is flat", () => {
    expect(randomRotate(source, { degrees: 0 }, 3)).toEqual(source);
    for (let seed = 0; seed < 20; seed++) {
      expect(randomRotate(source, { degrees: 90 }, seed).data[4]).toBe(5);
      const flat = { ...source, data: new Uint8Array(9).fill(80) };
      expect(new Set(randomRotate(flat, { degrees: 180, fill: 80 }, seed).data)).toEqual(new Set([80]));
    }
  });
});

describe("colour", () => {
  it("keeps grey grey, and the mean under contrast alone", () => {
    const data = Float32Array.from({ length: 3 * 16 }, (_, i) => 50 + (i % 16));
    const batch = { channels: 3, height: 4, width: 4, data };
    const out = colorJitter(batch, { contrast: 0.5, saturation: 1 }, 9).data;
    const mean = (values: Float32Array) => values.reduce((a, b) => a + b) / values.length;
    expect(mean(out)).toBeCloseTo(mean(data), 3);
    for (let p = 0; p < 16; p++) expect(out[p]).toBeCloseTo(out[p + 32]!, 3);
  });

  it("stays within its range of brightness", () => {
    const batch = grey([100]);
    const values = Array.from(
      { length: 300 },
      (_, seed) => colorJitter(batch, { brightness: 0.3 }, seed).data[0]!,
    );
    expect(Math.min(...values)).toBeGreaterThanOrEqual(70);
    expect(Math.max(...values)).toBeLessThanOrEqual(130);
    expect(new Set(values).size).toBeGreaterThan(40);
  });
});

describe("covering", () => {
  const batch: Batch<Uint8Array> = { channels: 1, height: 20, width: 10, data: new Uint8Array(200).fill(9) };
  const covered = (out: Batch): number => out.data.filter((value) => value !== 9).length;

  it("cutout covers at most its square, and all of it when it lies inside", () => {
    const counts = Array.from({ length: 200 }, (_, seed) =>
      covered(cutout(batch, { size: 4, fill: 0 }, seed)),
    );
    expect(Math.max(...counts)).toBe(16);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(4);
  });

  it("erases between its shares of the area, as often as asked", () => {
    const options = { area: [0.1, 0.3], fill: 0 } as const;
    const counts = Array.from({ length: 400 }, (_, seed) => covered(randomErase(batch, options, seed)));
    const hit = counts.filter((count) => count > 0);
    expect(Math.abs(hit.length / 400 - 0.5)).toBeLessThan(0.1);
    // Rounded sides, and a rectangle longer than the picture is cut.
    expect(Math.min(...hit)).toBeGreaterThanOrEqual(12);
    expect(Math.max(...hit)).toBeLessThanOrEqual(72);
    const noise = randomErase(batch, { probability: 1, area: [1, 1], aspect: [2, 2] }, 1).data;
    expect(new Set(noise).size).toBeGreaterThan(50);
  });
});

describe("mixup", () => {
  it("is the weighted mean of each picture and its partner", () => {
    fc.assert(
      fc.property(
        anyBatch,
        fc.integer(),
        fc.double({ min: 0.05, max: 5, noNaN: true }),
        (batch, seed, alpha) => {
          const { batch: mixed, partner, weight } = mixup(batch, { alpha }, seed);
          expect(mixup(batch, { alpha }, seed).batch).toEqual(mixed);
          expect([...partner].sort((a, b) => a - b)).toEqual([...partner.keys()]);
          for (let i = 0; i < partner.length; i++) {
            expect(weight[i]).toBeGreaterThanOrEqual(0);
            expect(weight[i]).toBeLessThanOrEqual(1);
            const [own, other, out] = [picture(batch, i), picture(batch, partner[i]!), picture(mixed, i)];
            for (let k = 0; k < out.length; k++)
              expect(out[k]).toBeCloseTo(weight[i]! * own[k]! + (1 - weight[i]!) * other[k]!, 3);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it("draws Beta(alpha, alpha): mean 1/2, variance 1 / (4 (2 alpha + 1))", () => {
    const batch = { channels: 1, height: 1, width: 1, data: new Float32Array(20_000) };
    for (const alpha of [0.2, 1, 4]) {
      const weights = mixup(batch, { alpha }, 3).weight;
      const mean = weights.reduce((a, b) => a + b) / weights.length;
      const variance = weights.reduce((a, b) => a + (b - mean) ** 2, 0) / weights.length;
      expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
      expect(variance).toBeCloseTo(1 / (4 * (2 * alpha + 1)), 2);
    }
    expect(() => mixup(batch, { alpha: 0 }, 1)).toThrow(/alpha above 0/);
  });
});

describe("augmentBatch", () => {
  const all: BatchAugmentation = {
    crop: { padding: 1 },
    flip: { axis: "horizontal" },
    quarterTurns: true,
    rotate: { degrees: 10 },
    color: { brightness: 0.2, contrast: 0.2, saturation: 0.2 },
    cutout: { size: 2 },
    erase: { probability: 1 },
  };

  it("is all of its parts, pure and repeatable; of none it is the batch, copied", () => {
    fc.assert(
      fc.property(anyBatch, fc.integer(), (batch, seed) => {
        const before = batch.data.slice();
        expect(augmentBatch(batch, all, seed)).toEqual(augmentBatch(batch, all, seed));
        expect(batch.data).toEqual(before);
        const none = augmentBatch(batch, {}, seed);
        expect(none).toEqual(batch);
        expect(none.data).not.toBe(batch.data);
      }),
    );
  });

  it("refuses numbers that make no pictures, and options out of range", () => {
    const batch: Batch = { channels: 1, height: 2, width: 2, data: new Uint8Array(6) };
    expect(() => augmentBatch(batch, { crop: { padding: 1 } }, 1)).toThrow(/whole pictures of 1 × 2 × 2/);
    for (const wrong of [
      { crop: { padding: -1 } },
      { crop: { padding: 0.5 } },
      { flip: { axis: "vertical", probability: 2 } },
      { rotate: { degrees: 181 } },
      { color: { contrast: Number.NaN } },
      { cutout: { size: 0 } },
      { erase: { area: [0, 2] } },
      { erase: { aspect: [0, 1] } },
    ] satisfies BatchAugmentation[])
      expect(() => augmentBatch({ ...batch, data: new Uint8Array(8) }, wrong, 1)).toThrow(
        /Correct the augmentation/,
      );
  });
});
