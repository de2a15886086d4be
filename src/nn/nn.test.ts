import { describe, expect, it } from "vitest";
import { createRng } from "../core/index.ts";
import { createBuilder, sizeOf, type Value } from "../graph/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { openSession, Tensor } from "../runtime/index.ts";
import {
  batchNorm,
  createBackbone,
  createFrame,
  type DropBlockOptions,
  dropBlock,
  type Frame,
  type FrameRecord,
  heNormal,
  initialize,
  lecunUniform,
  type NoiseSpec,
  parametersOf,
  stepInput,
  truncatedNormal,
} from "./index.ts";

const floats = ({ data }: Tensor): number[] => [...(data as Float32Array)];

/** Runs one layer on the runtime; parameters come from `values`, in the order in which the layer asks. */
async function runLayer(
  mode: "train" | "infer",
  layer: (f: Frame, x: Value) => Value,
  x: Tensor,
  values: readonly number[][],
): Promise<Record<string, number[]>> {
  const g = createBuilder("layer");
  const f: Frame & FrameRecord = createFrame(g, mode, ({ name, shape }) => g.input(name, "float32", shape));
  const y = layer(f, g.input("x", "float32", x.dims));
  const updates = Object.fromEntries([...f.updates].map(([name, value]) => [`next/${name}`, value]));
  const session = await openSession(writeModel(modelOf(g.build({ y, ...updates }))));
  const feeds = Object.fromEntries(
    f.specs.map(({ name, shape }, i) => [name, new Tensor("float32", values[i]!, shape)]),
  );
  const results = await session.run({ x, ...feeds });
  await session.close();
  return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, floats(value)]));
}

describe("batchNorm", () => {
  const rng = createRng(4);
  const [n, c, h, w] = [3, 2, 5, 4];
  const data = Float32Array.from({ length: n * c * h * w }, () => 3 + 2 * rng.normal());
  const x = new Tensor("float32", data, [n, c, h, w]);
  const parameters = [
    [1.5, -0.5],
    [0.25, 1],
    [0.1, 0.2],
    [2, 3],
  ];
  const [gamma, beta, mean, variance] = parameters as [number[], number[], number[], number[]];
  const channel = (i: number): number => Math.floor(i / (h * w)) % c;
  const moments = [0, 1].map((k) => {
    const own = [...data].filter((_, i) => channel(i) === k);
    const m = own.reduce((a, b) => a + b) / own.length;
    return { m, v: own.reduce((a, b) => a + (b - m) ** 2, 0) / own.length };
  });
  const normal = (i: number, m: number, v: number): number =>
    (gamma[channel(i)]! * (data[i]! - m)) / Math.sqrt(v + 1e-5) + beta[channel(i)]!;

  it("normalises by the batch in training and keeps a tenth of it in the running statistics", async () => {
    const got = await runLayer("train", (f, v) => batchNorm(f, "bn", v), x, parameters);
    got.y!.forEach((y, i) => {
      expect(y).toBeCloseTo(normal(i, moments[channel(i)]!.m, moments[channel(i)]!.v), 4);
    });
    moments.forEach(({ m, v }, k) => {
      expect(got["next/bn/mean"]![k]).toBeCloseTo(0.9 * mean[k]! + 0.1 * m, 5);
      expect(got["next/bn/variance"]![k]).toBeCloseTo(0.9 * variance[k]! + 0.1 * v, 5);
    });
  });

  it("normalises by the running statistics in inference, and changes nothing", async () => {
    const got = await runLayer("infer", (f, v) => batchNorm(f, "bn", v), x, parameters);
    expect(Object.keys(got)).toEqual(["y"]);
    got.y!.forEach((y, i) => {
      expect(y).toBeCloseTo(normal(i, mean[channel(i)]!, variance[channel(i)]!), 4);
    });
  });
});

describe("dropBlock", () => {
  const [n, c, h, w] = [4, 6, 9, 8];
  const map = new Tensor("float32", new Float32Array(n * c * h * w).fill(2), [n, c, h, w]);

  /** What is left of a map of twos at a step, and the noise that decided it. */
  async function drop(options: DropBlockOptions, step: number) {
    const g = createBuilder("layer");
    const f = createFrame(g, "train", ({ name, shape }) => g.input(name, "float32", shape));
    const graph = g.build({ y: dropBlock(f, g.input("x", "float32", map.dims), options) });
    const session = await openSession(writeModel(modelOf(graph)));
    const rng = createRng(8);
    const [{ name, shape }] = f.noise as [NoiseSpec];
    const data = Float32Array.from({ length: sizeOf(shape as number[]) }, rng.next);
    const feeds = { x: map, [name]: new Tensor("float32", data, shape as number[]) };
    const steps: Record<string, Tensor> =
      options.keepAfter === undefined ? {} : { [stepInput]: new Tensor("float32", [step], []) };
    const { y } = await session.run({ ...feeds, ...steps });
    await session.close();
    return { y: floats(y!), noise: { data, shape: shape as number[] } };
  }

  it("sets whole squares to 0 and keeps the sum", async () => {
    const { y, noise } = await drop({ keep: 0.8, block: 3 }, 1);
    const gamma = ((0.2 / 9) * (h * w)) / ((h - 2) * (w - 2));
    const [rows, columns] = [h - 2, w - 2];
    expect(noise.shape).toEqual([n, c, rows, columns]);
    const gone = new Set<number>();
    noise.data.forEach((value, i) => {
      if (value >= gamma) return;
      const [plane, row, column] = [
        Math.floor(i / (rows * columns)),
        Math.floor(i / columns) % rows,
        i % columns,
      ];
      for (let a = 0; a < 3; a++)
        for (let b = 0; b < 3; b++) gone.add((plane * h + row + a) * w + column + b);
    });
    expect(gone.size).toBeGreaterThan(0.1 * y.length);
    const kept = (2 * y.length) / (y.length - gone.size);
    y.forEach((value, i) => {
      expect(value).toBeCloseTo(gone.has(i) ? 0 : kept, 4);
    });
  });

  it("begins with nothing dropped and falls to its share in even parts", async () => {
    const zeros = async (options: DropBlockOptions, step: number) =>
      (await drop(options, step)).y.filter((value) => value === 0).length;
    const schedule = { keep: 0.7, keepAfter: 40, block: 3 };
    expect(await zeros(schedule, 0)).toBe(0);
    expect(await zeros(schedule, 20)).toBe(await zeros({ keep: 0.85, block: 3 }, 1));
    for (const step of [40, 41, 9000])
      expect(await zeros(schedule, step)).toBe(await zeros({ keep: 0.7, block: 3 }, 1));
    expect(await zeros(schedule, 20)).toBeLessThan(await zeros(schedule, 40));
  });
});

describe("initialisation", () => {
  it("has the spread that each rule promises", () => {
    const shape = [64, 32, 3, 3];
    const fan = 32 * 9;
    const spread = (values: Float32Array): number =>
      Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
    expect(spread(heNormal(shape, createRng(1)))).toBeCloseTo(Math.sqrt(2 / fan), 2);
    const uniform = lecunUniform(shape, createRng(1));
    expect(Math.max(...uniform)).toBeLessThanOrEqual(1 / Math.sqrt(fan));
    expect(spread(uniform)).toBeCloseTo(1 / Math.sqrt(3 * fan), 3);
    const cut = truncatedNormal(0.02)(shape, createRng(1));
    expect(Math.max(...cut.map(Math.abs))).toBeLessThanOrEqual(0.0400001);
  });

  it("repeats by seed, and differs between seeds and parameters", () => {
    const specs = parametersOf(createBackbone({ kind: "conv4", width: 8 }), ["N", 3, 28, 28]);
    const weights = (seed: number) =>
      [...initialize(specs, seed)].map(([name, { data }]) => [name, [...data]]);
    expect(weights(5)).toEqual(weights(5));
    const [a, b] = [initialize(specs, 5), initialize(specs, 6)];
    expect(a.get("block2/conv/weight")!.data).not.toEqual(b.get("block2/conv/weight")!.data);
    expect(a.get("block2/conv/weight")!.data).not.toEqual(a.get("block3/conv/weight")!.data);
  });
});

describe("conv4", () => {
  it("has the published numbers of parameters and embedding sizes", () => {
    const forward = createBackbone({ kind: "conv4" });
    const count = (channels: number): number =>
      parametersOf(forward, ["N", channels, 28, 28])
        .filter(({ role }) => role !== "statistic")
        .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    // Without the biases before batch norm, which it would take away: Snell's 111,936 and 113,088 less 4 · 64.
    expect([count(1), count(3)]).toEqual([111_680, 112_832]);
    const dim = (size: number) => {
      const g = createBuilder("d");
      const f = createFrame(g, "infer", ({ name, shape }) => g.input(name, "float32", shape));
      return forward(f, g.input("x", "float32", ["N", 3, size, size])).shape;
    };
    expect([dim(28), dim(84)]).toEqual([
      ["N", 64],
      ["N", 1600],
    ]);
  });
});
