import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { float16Weights } from "../src/compress/float16.ts";
import { createRng } from "../src/core/index.ts";
import { createBuilder, tensor, type Value } from "../src/graph/index.ts";
import { distill } from "../src/methods/index.ts";
import { type Encoder, writeBundle } from "../src/models/index.ts";
import { createFrame } from "../src/nn/index.ts";
import { modelOf, readModel, writeModel } from "../src/onnx/index.ts";
import { openSession, Tensor } from "../src/runtime/index.ts";
import {
  exportBundle,
  openTeacher,
  readCheckpoint,
  readInitial,
  type TrainConfig,
  train,
} from "../src/train/index.ts";
import { fakeEncoder } from "./support/fake-encoder.ts";
import { toyConfig, toySet } from "./train/toy.ts";

const config = (changes: Readonly<Record<string, unknown>> = {}): TrainConfig =>
  toyConfig({
    data: {
      dataset: "toy",
      validation: null,
      size: 16,
      channels: "gray",
      mean: [0],
      std: [1],
      standardize: "image",
    },
    backbone: { kind: "compact", widths: [8, 8, 16, 16], head: 16 },
    method: { kind: "distill", teachers: ["fake"], views: 48 },
    episode: null,
    batch: 16,
    episodes: 12,
    augment: { resizedCrop: { degrees: 10 }, noise: {} },
    schedule: { kind: "constant" },
    ...changes,
  });
const set = toySet(6, 10, 3);
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** A teacher that counts the pictures that it is asked for. */
function counted(): { readonly encoder: Encoder; readonly asked: () => number } {
  const inner = fakeEncoder();
  let asked = 0;
  const embed: Encoder["embed"] = (inputs) => {
    asked += inputs.length;
    return inner.embed(inputs);
  };
  return { encoder: { ...inner, embed }, asked: () => asked };
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-distill-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(name: string, options: { config?: TrainConfig; cache?: string; stopAt?: number } = {}) {
  const { encoder, asked } = counted();
  const of = options.config ?? config();
  const cacheDir = join(folder, options.cache ?? "cache");
  const teacher = await openTeacher({ config: of, train: set, encoders: [encoder], cacheDir });
  const centre = asked();
  const losses: number[] = [];
  const stop = new AbortController();
  try {
    const result = await train({
      config: of,
      train: set,
      teacher,
      out: join(folder, name),
      resume: true,
      signal: stop.signal,
      onProgress: ({ step, loss }) => {
        losses.push(loss);
        if (step === options.stopAt) stop.abort();
      },
    });
    return { result, losses, centre, viewsAsked: asked() - centre };
  } finally {
    await teacher.close();
  }
}

describe("the loss", () => {
  it("is what its formula says, in float64", async () => {
    const [n, d, dim] = [6, 4, 5];
    const rng = createRng(4);
    const unit = (row: number[]): number[] => row.map((v) => v / Math.hypot(...row));
    const embeddings = Array.from({ length: n }, () => Array.from({ length: d }, () => rng.normal()));
    const targets = Array.from({ length: n }, () => unit(Array.from({ length: dim }, () => rng.normal())));
    const weight = Array.from({ length: dim }, () => Array.from({ length: d }, () => rng.normal()));
    const bias = Array.from({ length: dim }, () => rng.normal());

    const g = createBuilder("distill");
    const f = createFrame(g, "train", ({ name, shape }) =>
      g.constant(tensor("float32", name.endsWith("bias") ? bias : weight.flat(), shape), name),
    );
    const flat = (_: unknown, x: Value): Value => g.Flatten(x, { axis: 1 });
    const y = distill({ relation: 0.7 })(
      f,
      flat,
      g.input("images", "float32", [n, d, 1, 1]),
      g.input("targets", "float32", [n, dim]),
    );
    const session = await openSession(writeModel(modelOf(g.build(y))), { threads: 1 });
    const got = await session.run({
      images: new Tensor("float32", Float32Array.from(embeddings.flat()), [n, d, 1, 1]),
      targets: new Tensor("float32", Float32Array.from(targets.flat()), [n, dim]),
    });
    await session.close();

    const dot = (a: number[], b: number[]): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
    const answers = embeddings.map((e) => unit(weight.map((w, k) => dot(w, e) + bias[k]!)));
    const mean = Array.from({ length: d }, (_, k) => embeddings.reduce((sum, e) => sum + e[k]! / n, 0));
    const centred = embeddings.map((e) => unit(e.map((v, k) => v - mean[k]!)));
    let expected = 0;
    for (let i = 0; i < n; i++) {
      expected += (1 - dot(answers[i]!, targets[i]!)) / n;
      for (let j = 0; j < n; j++) {
        const off = dot(centred[i]!, centred[j]!) - dot(targets[i]!, targets[j]!);
        expected += (0.7 * off * off) / (n * n);
        expect((got.cosines!.data as Float32Array)[i * n + j]).toBeCloseTo(dot(answers[i]!, targets[j]!), 5);
      }
    }
    expect(Number(got.loss!.data[0])).toBeCloseTo(expected, 5);
  });
});

describe("training by a teacher", () => {
  it("learns, and asks the teacher for each view once", async () => {
    const { losses, viewsAsked, result } = await run("learns", { config: config({ episodes: 60 }) });
    const mean = (some: number[]): number => some.reduce((a, b) => a + b) / some.length;
    expect(mean(losses.slice(-6))).toBeLessThan(0.75 * mean(losses.slice(0, 3)));
    expect(viewsAsked).toBe(48);
    expect(result.weights.has("encoder/head/weight")).toBe(true);
  });

  it("needs no teacher for views that an earlier run has seen, and more views only for the rest", async () => {
    expect((await run("first", { cache: "shared" })).viewsAsked).toBe(48);
    expect((await run("second", { cache: "shared" })).viewsAsked).toBe(0);
    const more = config({ method: { kind: "distill", teachers: ["fake"], views: 80 } });
    expect((await run("third", { cache: "shared", config: more })).viewsAsked).toBe(32);
    const other = config({ seed: 8 });
    expect((await run("fourth", { cache: "shared", config: other })).viewsAsked).toBe(48);
    const files = await readdir(join(folder, "shared"));
    expect(files).toHaveLength(2);
    const sizes = await Promise.all(
      files.map(async (name) => (await stat(join(folder, "shared", name))).size),
    );
    expect(sizes.sort((a, b) => a - b)).toEqual([48 * 108 * 4, 80 * 108 * 4]);
  });

  it("goes on after a stop as if there had been none", async () => {
    await run("whole");
    await run("parts", { stopAt: 5, cache: "parts" });
    await run("parts", { cache: "parts" });
    const [whole, parts] = await Promise.all(
      ["whole", "parts"].map((name) => readCheckpoint(join(folder, name, "last.ckpt"))),
    );
    expect(parts!.states).toEqual(whole!.states);
  });

  it("gives a bundle that standardises as the training did", async () => {
    const { result } = await run("bundle", { config: config({ episodes: 2 }) });
    const { manifest } = exportBundle({
      config: config(),
      weights: result.weights,
      pixels: { interpolation: "bilinear", invert: false },
      provenance: { origin: "a test", license: "Apache-2.0", trainedOn: "toys" },
    });
    expect(manifest.preprocess.standardize).toBe("image");
    expect(manifest.embeddingDim).toBe(2 * (8 + 16 + 16 + 16));
  });

  it("can be gone on with from its bundle, also in half precision", async () => {
    const { result } = await run("to-go-on", { config: config({ episodes: 2 }) });
    const bundle = exportBundle({
      config: config(),
      weights: result.weights,
      pixels: { interpolation: "bilinear", invert: false },
      provenance: { origin: "a test", license: "Apache-2.0", trainedOn: "toys" },
    });
    await writeBundle(bundle, join(folder, "plain.onnx"));
    const plain = await readInitial(join(folder, "plain.onnx"));
    for (const [name, { data }] of result.weights)
      if (name.startsWith("encoder/")) expect(plain.get(name)!.data).toEqual(data);
    const { graph } = readModel(bundle.model);
    const model = writeModel(modelOf(float16Weights(graph)));
    const half = {
      model,
      manifest: { ...bundle.manifest, model: { sha256: sha256(model), bytes: model.length } },
    };
    await writeBundle(half, join(folder, "half.onnx"));
    const read = await readInitial(join(folder, "half.onnx"));
    for (const [name, { data, dims }] of plain) {
      expect(read.get(name)!.dims).toEqual(dims);
      read.get(name)!.data.forEach((value, i) => {
        expect(Math.abs(value - data[i]!)).toBeLessThanOrEqual(1e-3 * Math.abs(data[i]!) + 1e-6);
      });
    }
    await expect(readInitial(join(folder, "nothing"))).rejects.toThrow(/neither a checkpoint nor a bundle/);
  });
});

describe("what is refused", () => {
  it("a distillation without a teacher", async () => {
    await expect(train({ config: config(), train: set, out: join(folder, "none") })).rejects.toThrow(
      /openTeacher/,
    );
  });

  it.each([
    [{ batch: null }, /"batch"/],
    [{ method: { kind: "distill", teachers: [], views: 48 } }, /"method\.teachers"/],
    [{ method: { kind: "distill", teachers: ["a"], views: 40 } }, /"method\.views"/],
    [{ episodesPerStep: 2 }, /"episodesPerStep"/],
    [{ augment: { mixup: { alpha: 1 } } }, /"augment\.mixup"/],
    [
      {
        method: { kind: "protonet", metric: "mahalanobis", scale: 2 },
        batch: null,
        episode: { way: 5, shot: 2, query: 3 },
      },
      /"method\.scale"/,
    ],
  ])("%o", (changes, message) => {
    expect(() => config(changes)).toThrow(message);
  });
});
