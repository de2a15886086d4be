import { createRng } from "../../src/core/index.ts";
import type { PixelSet } from "../../src/data/index.ts";
import { parseTrainConfig, type TrainConfig } from "../../src/train/index.ts";

/** Classes that are told by a faint pattern under strong noise: `classes` of `each` grey images of 16 px. */
export function toySet(classes: number, each: number, seed: number): PixelSet {
  const rng = createRng(seed);
  const size = 16;
  const pixels = new Uint8ClampedArray(classes * each * size * size);
  const labels: string[] = [];
  let at = 0;
  for (let c = 0; c < classes; c++) {
    const pattern = Array.from({ length: size * size }, () => 128 + 45 * rng.normal());
    for (let i = 0; i < each; i++) {
      labels.push(`class ${c}`);
      for (const mean of pattern) pixels[at++] = mean + 45 * rng.normal();
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
