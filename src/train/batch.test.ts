import { describe, expect, it } from "vitest";
import { toyConfig, toySet } from "../../test/train/toy.ts";
import { createSampler } from "./batch.ts";

const set = toySet(6, 8, 1);
const classifier = { method: { kind: "classifier" }, episode: null, batch: 16 };

describe("mixup", () => {
  const plain = createSampler(toyConfig(classifier), set);
  const mixed = createSampler(toyConfig({ ...classifier, augment: { mixup: { alpha: 1 } } }), set);
  const rowsOf = ({ images, targets }: Awaited<ReturnType<typeof plain.feeds>>) =>
    Array.from({ length: 16 }, (_, i) => ({
      picture: [...(images!.data as Float32Array).subarray(256 * i, 256 * (i + 1))],
      target: [...(targets!.data as Float32Array).subarray(6 * i, 6 * (i + 1))],
    }));

  it("makes each picture and its target the same mean of two of the batch", async () => {
    const before = rowsOf(await plain.feeds(3));
    const weights = new Set<number>();
    rowsOf(await mixed.feeds(3)).forEach(({ picture, target }, i) => {
      const own = before[i]!;
      // The weight by least squares: picture − other = weight · (own − other).
      const fits = before.map((other) => {
        const along = own.picture.map((value, k) => value - other.picture[k]!);
        const square = along.reduce((sum, value) => sum + value ** 2, 0);
        const weight =
          square === 0
            ? 1
            : along.reduce((sum, value, k) => sum + value * (picture[k]! - other.picture[k]!), 0) / square;
        const of = (a: readonly number[], b: readonly number[]) =>
          a.map((value, k) => weight * value + (1 - weight) * b[k]!);
        const away = (a: readonly number[], b: readonly number[]) =>
          Math.max(...a.map((value, k) => Math.abs(value - b[k]!)));
        return {
          weight,
          away: Math.max(
            away(picture, of(own.picture, other.picture)),
            away(target, of(own.target, other.target)),
          ),
        };
      });
      const best = fits.sort((a, b) => a.away - b.away)[0]!;
      expect(best.away).toBeLessThan(1e-5);
      expect(best.weight).toBeGreaterThanOrEqual(0);
      expect(best.weight).toBeLessThanOrEqual(1 + 1e-6);
      expect(target.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
      weights.add(best.weight);
    });
    expect(weights.size).toBeGreaterThan(8);
  });

  it("repeats by seed and number", async () => {
    const again = createSampler(toyConfig({ ...classifier, augment: { mixup: { alpha: 1 } } }), set);
    expect(rowsOf(await again.feeds(3))).toEqual(rowsOf(await mixed.feeds(3)));
    expect(rowsOf(await again.feeds(4))).not.toEqual(rowsOf(await mixed.feeds(3)));
  });

  it("is for batches alone", () => {
    expect(() => toyConfig({ augment: { mixup: { alpha: 1 } } })).toThrow(/"augment\.mixup"/);
    expect(() => toyConfig({ ...classifier, augment: { mixup: { alpha: 0 } } })).toThrow(
      /"augment\.mixup\.alpha"/,
    );
  });
});
