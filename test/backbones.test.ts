import { describe, expect, it } from "vitest";
import { sizeOf } from "../src/graph/index.ts";
import { type BackboneSpec, createBackbone, parametersOf } from "../src/nn/index.ts";
import { modelOf, writeModel } from "../src/onnx/index.ts";
import { openSession, Tensor } from "../src/runtime/index.ts";
import { encoderGraph, parseTrainConfig, type TrainConfig, trainingStep } from "../src/train/index.ts";
import { descent } from "./train/descent.ts";

const configOf = (backbone: BackboneSpec, size: number): TrainConfig =>
  parseTrainConfig({
    name: "step",
    data: { dataset: "toy", size, channels: "rgb", mean: [0, 0, 0], std: [1, 1, 1] },
    backbone,
    method: { kind: "protonet", metric: "cosine", scale: 4 },
    episode: { way: 3, shot: 2, query: 2 },
    episodes: 1,
    optimizer: { kind: "sgd", momentum: 0 },
    rate: 1,
  });

const small: readonly (readonly [BackboneSpec, number, number])[] = [
  [{ kind: "conv4", width: 8 }, 21, 8],
  [{ kind: "conv-encoder", width: 8, embeddingDim: 24 }, 21, 24],
  [{ kind: "resnet12", widths: [8, 8, 12, 16], keep: 0.9 }, 20, 16],
  [{ kind: "resnet18", widths: [8, 8, 12, 16] }, 20, 16],
  [{ kind: "mobile", width: 0.5, embeddingDim: 24 }, 28, 24],
  [{ kind: "compact", widths: [8, 8, 16, 16], head: 24 }, 28, 128],
  [{ kind: "vit", patch: 7, dim: 16, depth: 2, heads: 2 }, 28, 16],
];

describe.each(small)("%o", (backbone, size, dim) => {
  const episode = { way: 3, shot: 2, query: 2 };
  const config = configOf(backbone, size);
  const step = trainingStep(config, episode);
  const states = step.start(2);

  it("falls along its gradient as fast as the gradient says", async () => {
    const { ratio, norm } = await descent(step, [12, 3, size, size]);
    expect(norm).toBeGreaterThan(0);
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.1);
  });

  it("gives an embedding for any number of images in inference", async () => {
    const session = await openSession(writeModel(modelOf(encoderGraph(config, states, false))));
    for (const n of [1, 3]) {
      const images = new Tensor("float32", new Float32Array(n * 3 * size * size).fill(0.5), [
        n,
        3,
        size,
        size,
      ]);
      const { embedding } = await session.run({ images });
      expect(embedding!.dims).toEqual([n, dim]);
      expect((embedding!.data as Float32Array).every(Number.isFinite)).toBe(true);
    }
    await session.close();
  });
});

describe("published sizes", () => {
  const trained = (backbone: BackboneSpec, size: number): number =>
    parametersOf(createBackbone(backbone), ["N", 3, size, size])
      .filter(({ role }) => role !== "statistic")
      .reduce((sum, { shape }) => sum + sizeOf(shape), 0);

  it("ResNet-12 has 12.4 million parameters wide and 8.0 million narrow", () => {
    expect(trained({ kind: "resnet12" }, 84) / 1e6).toBeCloseTo(12.42, 2);
    expect(trained({ kind: "resnet12", widths: [64, 128, 256, 512] }, 84) / 1e6).toBeCloseTo(8, 1);
  });

  it("ResNet-18 has 11.2 million without its classifier", () => {
    expect(trained({ kind: "resnet18" }, 84) / 1e6).toBeCloseTo(11.17, 2);
  });

  it("the linear layer of the ConvEncoder fits any input", () => {
    const linear = (size: number) =>
      parametersOf(createBackbone({ kind: "conv-encoder" }), ["N", 3, size, size]).find(
        ({ name }) => name === "embed/weight",
      )!.shape;
    expect([linear(28), linear(84), linear(45)]).toEqual([
      [64, 576],
      [64, 6400],
      [64, 1600],
    ]);
  });
});
