import { createRng } from "../../src/core/index.ts";
import type { PixelSet } from "../../src/data/index.ts";
import { parseTrainConfig, type TrainConfig } from "../../src/train/index.ts";

/**
 * Classes that are told by 4x4 patches of grey, under stripes and noise that differ from image to image and that a
 * network has to learn to look past: `classes` of `each` grey images of 16 px.
 */
export function toySet(classes: number, each: number, seed: number): PixelSet {
  const rng = createRng(seed);
  const size = 16;
  const pixels = new Uint8ClampedArray(classes * each * size * size);
  const labels: string[] = [];
  let at = 0;
  for (let c = 0; c < classes; c++) {
    const patches = Array.from({ length: 16 }, () => 35 * rng.normal());
    for (let i = 0; i < each; i++) {
      labels.push(`class ${c}`);
      const stripes = Array.from({ length: size }, () => 45 * rng.normal());
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++)
          pixels[at++] = 128 + patches[4 * (y >> 2) + (x >> 2)]! + stripes[x]! + 20 * rng.normal();
    }
  }
  return { channels: 1, height: size, width: size, pixels: new Uint8Array(pixels.buffer), labels };
}

export const toyConfig = (changes: Readonly<Record<string, unknown>> = {}): TrainConfig =>
  parseTrainConfig({
    name: "toy",
    data: { dataset: "toy", size: 16, channels: "gray", mean: [128], std: [64] },
    backbone: { kind: "conv4", width: 16 },
    method: { kind: "protonet" },
    episode: { way: 5, shot: 2, query: 3 },
    episodes: 30,
    optimizer: { kind: "adam" },
    rate: 2e-3,
    schedule: { kind: "step", every: 10, factor: 0.7 },
    validation: { every: 10, episodes: 10, way: 5, shot: 2, query: 3 },
    checkpointEvery: 4,
    seed: 7,
    threads: 1,
    ...changes,
  });
