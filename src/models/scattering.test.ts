import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../core/index.ts";
import { type Encoder, openEncoder, scatteringBundle } from "./index.ts";

const side = 128;
type Picture = (x: number, y: number) => number;
const picture = (value: Picture): Float32Array =>
  Float32Array.from({ length: side * side }, (_, i) => value(i % side, Math.floor(i / side)));
const stripes =
  (degrees: number, period: number): Picture =>
  (x, y) => {
    const turn = (degrees * Math.PI) / 180;
    return 0.5 + 0.3 * Math.sin((2 * Math.PI * (x * Math.cos(turn) + y * Math.sin(turn))) / period);
  };

let encoder: Encoder;
beforeAll(async () => {
  encoder = await openEncoder("scattering");
});
afterAll(() => encoder.close());

async function embed(...values: Picture[]): Promise<Float32Array[]> {
  const { data, dim } = await encoder.embed(values.map(picture));
  return values.map((_, i) => data.slice(i * dim, (i + 1) * dim));
}
const distance = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0));

describe("scattering", () => {
  it("is the same bytes on every machine and in every release: galleries hang on its hash", () => {
    const { model, manifest } = scatteringBundle();
    expect(Buffer.from(scatteringBundle().model).equals(model)).toBe(true);
    expect(manifest.model.sha256).toBe("36587775dd349eccdfbd056e3a287441955b4626a65865d8ebeb6b2ad1a594ef");
    expect(model.length).toBeLessThan(30_000);
  });

  it("gives 834 finite numbers, of flat pictures and of noise too", async () => {
    const rng = createRng(1);
    for (const embedding of await embed(
      () => 0,
      () => 1,
      () => rng.next(),
    )) {
      expect(embedding.length).toBe(834);
      expect(embedding.every(Number.isFinite)).toBe(true);
    }
  });

  it("hardly moves when the picture is shifted, and far when the stripes are turned or widened", async () => {
    const [a, shifted, turned, wider] = await embed(
      stripes(20, 9),
      (x, y) => stripes(20, 9)(x + 3, y + 2),
      stripes(65, 9),
      stripes(20, 18),
    );
    const moved = distance(a!, shifted!);
    expect(distance(a!, turned!)).toBeGreaterThan(5 * moved);
    expect(distance(a!, wider!)).toBeGreaterThan(5 * moved);
  });

  it("permutes its directions when the picture is turned by 90 degrees", async () => {
    const rng = createRng(2);
    const waves = Array.from({ length: 6 }, () => stripes(rng.int(180), 5 + rng.int(30)));
    const mixed: Picture = (x, y) => waves.reduce((sum, wave) => sum + wave(x, y), 0) / waves.length;
    const [a, b] = await embed(mixed, (x, y) => mixed(side - 1 - y, x));
    // The first-order maps of the finest scale come first: 8 directions, 22.5 degrees apart, so 90 are 4 steps.
    for (let direction = 0; direction < 8; direction++)
      expect(b![(direction + 4) % 8]).toBeCloseTo(a![direction]!, 1);
    expect(Math.abs(a![0]! - a![4]!)).toBeGreaterThan(0.05);
  });

  it("does not see a change of brightness beyond the average, nor of contrast beyond one shift", async () => {
    const [a, brighter, stronger] = await embed(
      stripes(30, 8),
      (x, y) => stripes(30, 8)(x, y) + 0.15,
      (x, y) => 0.5 + 1.5 * (stripes(30, 8)(x, y) - 0.5),
    );
    // First order: |x ⋆ ψ| scales with contrast, so its logarithm shifts by log 1.5 where it is above the floor.
    const strongest = a!.subarray(0, 8).indexOf(Math.max(...a!.subarray(0, 8)));
    expect(brighter![strongest]).toBeCloseTo(a![strongest]!, 2);
    expect(stronger![strongest]! - a![strongest]!).toBeCloseTo(Math.log(1.5), 2);
  });
});
