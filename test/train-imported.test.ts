import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { float16Weights, rebundle } from "../src/compress/index.ts";
import { createRng } from "../src/core/index.ts";
import { createBuilder, type Graph, tensor, weightLayers } from "../src/graph/index.ts";
import { encoderOf, writeBundle } from "../src/models/index.ts";
import type { ImportedModel } from "../src/nn/index.ts";
import { modelOf, readModel, writeModel } from "../src/onnx/index.ts";
import { openSession, Tensor } from "../src/runtime/index.ts";
import { exportBundle, readImported, type TrainConfig, train, trainingStep } from "../src/train/index.ts";
import { descent } from "./train/descent.ts";
import { toyConfig, toySet } from "./train/toy.ts";

const rng = createRng(5);
const random = (dims: readonly number[], scale = 1) =>
  tensor(
    "float32",
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => scale * rng.normal()),
    dims,
  );
const positive = (n: number) =>
  tensor(
    "float32",
    Array.from({ length: n }, () => 0.5 + rng.next()),
  );

/** As PyTorch's exporter names the weights that it has merged with others. */
const w1 = "onnx::Conv_1";
/** Name of the parameter that begins as a constant of the model. */
const own = (constant: string): string => `imported/${constant.replaceAll(":", "%3A")}`;

/** A model as one finds it: two convolutions with batch norm in its form for inference, a depthwise one, a product. */
function foreign(): Graph {
  const g = createBuilder("foreign");
  const x = g.input("image", "float32", ["N", 1, 16, 16]);
  const pads = [1, 1, 1, 1];
  const first = g.Conv(x, g.constant(random([8, 1, 3, 3], 0.4), w1), undefined, { pads, strides: [2, 2] });
  const normed = g.BatchNormalization(
    first,
    g.constant(positive(8), "gamma"),
    g.constant(random([8], 0.3), "beta"),
    g.constant(random([8], 0.3), "mean"),
    g.constant(positive(8), "variance"),
  );
  const depthwise = g.Conv(
    g.Relu(normed),
    g.constant(random([8, 1, 3, 3], 0.4), "w2"),
    g.constant(random([8], 0.1), "b2"),
    {
      pads,
      group: 8,
    },
  );
  const maps = g.Clip(
    depthwise,
    g.constant(tensor("float32", [0], []), "low"),
    g.constant(tensor("float32", [6], []), "high"),
  );
  const pooled = g.Flatten(g.GlobalAveragePool(maps), { axis: 1 });
  const embedding = g.Gemm(
    pooled,
    g.constant(random([12, 8], 0.5), "w3"),
    g.constant(random([12], 0.1), "b3"),
    { transB: 1 },
  );
  return g.build({ embedding, unused: g.Exp(embedding) });
}
const graph = foreign();
const model: ImportedModel = { graph, input: "image", output: "embedding" };

const config = (backbone: object = {}, changes: object = {}): TrainConfig =>
  toyConfig({
    data: { dataset: "toy", validation: null, size: 16, channels: "gray", mean: [128], std: [64] },
    backbone: { kind: "imported", model: "foreign", ...backbone },
    optimizer: { kind: "sgd", momentum: 0 },
    schedule: { kind: "constant" },
    rate: 0.05,
    episodes: 3,
    ...changes,
  });
const set = toySet(6, 10, 3);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-imported-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const episode = { way: 3, shot: 2, query: 2 };
const namesOf = (backbone: object): string[] =>
  [
    ...trainingStep({ ...config(backbone), imported: model }, episode)
      .start(1)
      .keys(),
  ].filter((name) => !name.includes(":"));

describe("an imported model as a backbone", () => {
  it("has its weights, biases, gains and shifts as parameters, and its statistics not", () => {
    expect(namesOf({}).sort()).toEqual(
      ["b2", "b3", "beta", "gamma", w1, "w2", "w3"].map((name) => own(name)),
    );
  });

  it("keeps its first layers as they are, by share", () => {
    expect(namesOf({ freeze: 0.5 }).sort()).toEqual(["b2", "b3", "w2", "w3"].map((name) => own(name)));
    expect(namesOf({ freeze: 0.99 }).sort()).toEqual(["b3", "w3"].map((name) => own(name)));
  });

  it("falls along its gradient as fast as the gradient says", async () => {
    const step = trainingStep(
      {
        ...config({}, { rate: 1, method: { kind: "protonet", metric: "cosine", scale: 4 } }),
        imported: model,
      },
      episode,
    );
    const { ratio, norm } = await descent(step, [12, 1, 16, 16]);
    expect(norm).toBeGreaterThan(0);
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.1);
  });

  it("embeds before training as the model does", async () => {
    const start = trainingStep({ ...config(), imported: model }, episode).start(1);
    const bundle = exportBundle({
      config: config(),
      imported: model,
      weights: start,
      pixels: { interpolation: "bilinear", invert: false },
      provenance: { origin: "a test", license: "Apache-2.0", trainedOn: "nothing" },
    });
    const images = random([2, 1, 16, 16]).data;
    const session = await openSession(writeModel(modelOf(graph)));
    const { embedding } = await session.run({ image: new Tensor("float32", images, [2, 1, 16, 16]) }, [
      "embedding",
    ]);
    await session.close();
    const encoder = await encoderOf(bundle);
    const { data } = await encoder.embed([images.subarray(0, 256), images.subarray(256)]);
    await encoder.close();
    data.forEach((value, i) => {
      expect(value).toBeCloseTo((embedding!.data as Float32Array)[i]!, 4);
    });
  });

  it("moves early layers less, each by the decay of the one after it", async () => {
    const moved = async (backbone: object, name: string): Promise<Map<string, number>> => {
      const { weights } = await train({
        config: config(backbone, { episodes: 1 }),
        train: set,
        imported: model,
        out: join(folder, name),
      });
      return new Map(
        [w1, "gamma", "w2", "w3"].map((constant) => {
          const before = graph.initializers.get(constant)!.data as Float32Array;
          const after = weights.get(own(constant))!.data;
          return [constant, Math.hypot(...after.map((value, i) => value - before[i]!))];
        }),
      );
    };
    const even = await moved({}, "even");
    const decayed = await moved({ decay: 0.5 }, "decayed");
    const ratios = ["w3", "w2", "gamma", w1].map((name) => decayed.get(name)! / even.get(name)!);
    for (const [i, expected] of [1, 0.5, 0.25, 0.125].entries()) expect(ratios[i]).toBeCloseTo(expected, 2);
  });

  it("is read from a bundle, whose pictures the config must ask for", async () => {
    const bytes = writeModel(modelOf(graph));
    const bundle = exportBundle({
      config: config(),
      imported: model,
      weights: trainingStep({ ...config(), imported: model }, episode).start(1),
      pixels: { interpolation: "bilinear", invert: false },
      provenance: { origin: "a test", license: "Apache-2.0", trainedOn: "nothing" },
    });
    expect(bytes.length).toBeGreaterThan(0);
    const path = join(folder, "foreign.onnx");
    await writeBundle(bundle, path);
    const read = await readImported(config({ model: path }));
    expect(read).toMatchObject({ input: "images", output: "embedding" });
    expect(read!.graph.nodes.map(({ op }) => op)).toContain("Gemm");
    // Weights in half precision are weights all the same.
    const half = join(folder, "half.onnx");
    await writeBundle(
      rebundle(bundle, float16Weights(readModel(bundle.model).graph), "fp16", "halved"),
      half,
    );
    const fromHalf = await readImported(config({ model: half }));
    expect([...weightLayers(fromHalf!.graph)]).toEqual([...weightLayers(read!.graph)]);
    expect(weightLayers(fromHalf!.graph).size).toBe(7);
    await expect(
      readImported(
        config(
          { model: path },
          { data: { dataset: "toy", size: 16, channels: "gray", mean: [100], std: [64] } },
        ),
      ),
    ).rejects.toThrow(/\[128\] in field "data\.mean"/);
    expect(await readImported(toyConfig())).toBeUndefined();
  });

  it("is refused without its model", async () => {
    await expect(train({ config: config(), train: set, out: join(folder, "none") })).rejects.toThrow(
      /the model "foreign"/,
    );
  });
});
