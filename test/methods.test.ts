import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../src/core/index.ts";
import { createBuilder, tensor, type Value } from "../src/graph/index.ts";
import {
  type EpisodeMethod,
  fineTune,
  inverseOfPositive,
  matching,
  protoNet,
  ridge,
} from "../src/methods/index.ts";
import { createFrame } from "../src/nn/index.ts";
import { modelOf, writeModel } from "../src/onnx/index.ts";
import { openSession, Tensor } from "../src/runtime/index.ts";
import { readCheckpoint, type TrainConfig, testEpisodes, train, trainingStep } from "../src/train/index.ts";
import { descent } from "./train/descent.ts";
import { toyConfig, toySet } from "./train/toy.ts";

const shape = { way: 3, shot: 2, query: 4 };
const dim = 5;
const rows = 3 * (2 + 4);
const rng = createRng(11);
const embeddings = Float32Array.from({ length: rows * dim }, () => rng.normal());
const rowOf = (i: number): number[] => [...embeddings.subarray(i * dim, (i + 1) * dim)];

/** Logits of a method whose encoder leaves the embeddings as they are. */
async function logitsOf(method: EpisodeMethod): Promise<number[][]> {
  const g = createBuilder("method");
  const f = createFrame(g, "train", ({ name, shape, init }) =>
    g.constant(tensor("float32", init(shape, rng), shape), name),
  );
  const images = g.input("images", "float32", [rows, dim, 1, 1]);
  const flat = (_: unknown, x: Value): Value => g.Flatten(x, { axis: 1 });
  const session = await openSession(writeModel(modelOf(g.build({ y: method(f, flat, images, shape) }))), {
    threads: 1,
  });
  const { y } = await session.run({ images: new Tensor("float32", embeddings, [rows, dim, 1, 1]) });
  await session.close();
  expect(y!.dims).toEqual([12, 3]);
  return Array.from({ length: 12 }, (_, i) => [...(y!.data as Float32Array).subarray(3 * i, 3 * i + 3)]);
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + v * b[i]!, 0);
const cosine = (a: readonly number[], b: readonly number[]): number =>
  dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
const supportOf = (c: number): number[][] => [rowOf(2 * c), rowOf(2 * c + 1)];
const meanOf = (c: number): number[] => supportOf(c)[0]!.map((v, d) => (v + supportOf(c)[1]![d]!) / 2);

const expectLogits = (got: number[][], expected: (query: number[], c: number) => number): void => {
  got.forEach((line, i) => {
    line.forEach((value, c) => {
      expect(value).toBeCloseTo(expected(rowOf(6 + i), c), 4);
    });
  });
};

describe("logits", () => {
  it("ProtoNet: minus the squared distance to the mean, summed and not divided", async () => {
    expectLogits(
      await logitsOf(protoNet()),
      (q, c) => -q.reduce((sum, v, d) => sum + (v - meanOf(c)[d]!) ** 2, 0),
    );
  });

  it("ProtoNet: the squared distance times a scale", async () => {
    expectLogits(
      await logitsOf(protoNet({ scale: 0.3 })),
      (q, c) => -0.3 * q.reduce((sum, v, d) => sum + (v - meanOf(c)[d]!) ** 2, 0),
    );
  });

  it("ProtoNet: the cosine to the mean times a scale", async () => {
    expectLogits(
      await logitsOf(protoNet({ metric: "cosine", scale: 7 })),
      (q, c) => 7 * cosine(q, meanOf(c)),
    );
  });

  it("Matching networks: softmax of them is the attention summed by class", async () => {
    const attention = (q: number[], c: number) =>
      supportOf(c).reduce((sum, s) => sum + Math.exp(4 * cosine(q, s)), 0);
    const got = (await logitsOf(matching({ scale: 4 }))).map((line) => {
      const exp = line.map(Math.exp);
      return exp.map((v) => v / exp.reduce((a, b) => a + b));
    });
    expectLogits(got, (q, c) => attention(q, c) / [0, 1, 2].reduce((sum, k) => sum + attention(q, k), 0));
  });

  it("ridge: the closed form in the other, primal form", async () => {
    const lambda = 0.7;
    const x = Array.from({ length: 6 }, (_, i) => rowOf(i));
    // (XᵀX + λI) W = XᵀY by elimination.
    const a = Array.from({ length: dim }, (_, i) => [
      ...Array.from({ length: dim }, (_, j) =>
        x.reduce((sum, r) => sum + r[i]! * r[j]!, i === j ? lambda : 0),
      ),
      ...[0, 1, 2].map((c) => x[2 * c]![i]! + x[2 * c + 1]![i]!),
    ]);
    for (let k = 0; k < dim; k++)
      for (let i = 0; i < dim; i++) {
        if (i === k) continue;
        const factor = a[i]![k]! / a[k]![k]!;
        a[i] = a[i]!.map((v, j) => v - factor * a[k]![j]!);
      }
    const w = a.map((line, i) => line.slice(dim).map((v) => v / line[i]!));
    expectLogits(await logitsOf(ridge({ lambda })), (q, c) =>
      dot(
        q,
        w.map((line) => line[c]!),
      ),
    );
  });

  /** 40 steps of descent by hand on the cross-entropy; `slope` is ∂logit/∂w of one row for one class. */
  const descended = (
    w: number[][],
    logit: (q: number[], w: number[]) => number,
    slope: (q: number[], w: number[]) => number[],
  ): number[][] => {
    for (let step = 0; step < 40; step++) {
      const slopes = w.map((line) => line.map(() => 0));
      for (let i = 0; i < 6; i++) {
        const exp = w.map((line) => Math.exp(logit(rowOf(i), line)));
        const sum = exp.reduce((a, b) => a + b);
        w.forEach((line, c) => {
          const wrong = exp[c]! / sum - Number(c === Math.floor(i / 2));
          slope(rowOf(i), line).forEach((v, d) => {
            slopes[c]![d]! += (wrong * v) / 6;
          });
        });
      }
      w = w.map((line, c) => line.map((v, d) => v - 0.1 * slopes[c]![d]!));
    }
    return w;
  };

  it("Baseline: a linear head that descends on the support", async () => {
    const padded = (q: number[]): number[] => (q.length === dim ? [...q, 1] : q);
    const w = descended(
      [0, 1, 2].map(() => new Array<number>(dim + 1).fill(0)),
      (q, line) => dot(padded(q), line),
      (q) => padded(q),
    );
    expectLogits(await logitsOf(fineTune("linear", { steps: 40, rate: 0.1 })), (q, c) =>
      dot(padded(q), w[c]!),
    );
  });

  it("Baseline++: a cosine head that descends from the means", async () => {
    const w = descended(
      [0, 1, 2].map(meanOf),
      (q, line) => 2 * cosine(q, line),
      (q, line) => {
        const [ofQ, ofLine] = [Math.sqrt(dot(q, q)), Math.sqrt(dot(line, line))];
        return line.map((v, d) => (2 * (q[d]! / ofQ - (cosine(q, line) * v) / ofLine)) / ofLine);
      },
    );
    expectLogits(
      await logitsOf(fineTune("cosine", { steps: 40, rate: 0.1 })),
      (q, c) => 2 * cosine(q, w[c]!),
    );
  });

  it("inverts what is positive definite", async () => {
    const n = 12;
    const b = Array.from({ length: n }, () => Array.from({ length: n }, () => rng.normal()));
    const a = b.map((r, i) => b.map((s, j) => dot(r, s) / n + (i === j ? 0.1 : 0)));
    const g = createBuilder("inverse");
    const x = g.input("x", "float32", [n, n]);
    const session = await openSession(
      writeModel(modelOf(g.build({ y: g.MatMul(inverseOfPositive(g, x), x) }))),
    );
    const { y } = await session.run({ x: new Tensor("float32", a.flat(), [n, n]) });
    await session.close();
    (y!.data as Float32Array).forEach((value, i) => {
      expect(value).toBeCloseTo(i % (n + 1) === 0 ? 1 : 0, 3);
    });
  });
});

const methods: readonly TrainConfig["method"][] = [
  { kind: "protonet" },
  { kind: "protonet", scale: 0.1 },
  { kind: "protonet", metric: "cosine" },
  { kind: "matching" },
  { kind: "ridge", lambda: 5 },
  { kind: "maml", rate: 0.1 },
  { kind: "maml", rate: 0.05, steps: 2 },
  { kind: "protonet", metric: "mahalanobis" },
];

describe("gradients", () => {
  const sgd = { optimizer: { kind: "sgd", momentum: 0 }, backbone: { kind: "conv4", width: 6 } };

  it.each(methods)("%o falls as fast as its gradient says", async (method) => {
    const episode = { way: 3, shot: 2, query: 3 };
    const { ratio, norm } = await descent(
      trainingStep(toyConfig({ ...sgd, method, episode }), episode),
      [15, 1, 16, 16],
    );
    expect(norm).toBeGreaterThan(0);
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.1);
  });

  it.each(["linear", "cosine"])("a classifier with a %s head does too", async (head) => {
    const config = toyConfig({ ...sgd, method: { kind: "classifier", head }, episode: null, batch: 8 });
    const step = trainingStep(config, { images: 8, classes: 4 });
    const targets = Float32Array.from({ length: 32 }, (_, i) => (i % 4 === Math.floor(i / 4) % 4 ? 1 : 0));
    const { ratio } = await descent(step, [8, 1, 16, 16], new Tensor("float32", targets, [8, 4]));
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.1);
  });

  it("first-order MAML leaves the second order out, and is cheaper for it", async () => {
    const episode = { way: 3, shot: 2, query: 3 };
    const of = (firstOrder: boolean) =>
      trainingStep(toyConfig({ ...sgd, method: { kind: "maml", rate: 0.4, firstOrder }, episode }), episode);
    const [second, first] = [of(false), of(true)];
    expect(first.graph.nodes.length).toBeLessThan(0.8 * second.graph.nodes.length);
    const [exact, approximate] = [
      await descent(second, [15, 1, 16, 16]),
      await descent(first, [15, 1, 16, 16]),
    ];
    expect(Math.abs(approximate.norm - exact.norm)).toBeGreaterThan(0.01 * exact.norm);
  });
});

describe("training by each method", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "protoline-methods-"));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const set = toySet(24, 8, 1);
  const unseen = toySet(8, 8, 2);
  const spec = { way: 5, shot: 2, query: 3, episodes: 40, seed: 3, threads: 1 };

  it.each([
    ...methods.slice(1, 4).map((method) => ({ method })),
    { method: { kind: "protonet", metric: "mahalanobis", beta: 0.5 } },
    { method: { kind: "maml", rate: 0.4 }, episodes: 50 },
    { method: { kind: "classifier" }, episode: null, batch: 32, augment: { crop: { padding: 1 } } },
    {
      method: { kind: "classifier", head: "cosine" },
      episode: null,
      batch: 32,
      labelSmoothing: 0.1,
      average: 0.9,
    },
  ])("%o answers unseen classes better than before", async (changes) => {
    const config = toyConfig({ episodes: 100, rate: 4e-3, schedule: { kind: "cosine" }, ...changes });
    const out = join(folder, JSON.stringify(changes).replace(/\W+/g, "-"));
    const { weights } = await train({ config, train: set, out });
    const started = trainingStep(config, config.episode ?? { images: 32, classes: 24 }).start(config.seed);
    const before = await testEpisodes(config, started, unseen, spec);
    const after = await testEpisodes(config, weights, unseen, spec);
    expect(after.accuracy).toBeGreaterThan(before.accuracy + 0.05);
  });

  it("goes on from a classifier to Meta-Baseline", async () => {
    const out = join(folder, "-method-kind-classifier-episode-null-batch-32-augment-crop-padding-1-");
    const { states } = (await readCheckpoint(join(out, "last.ckpt")))!;
    const config = toyConfig({
      method: { kind: "protonet", metric: "cosine" },
      optimizer: { kind: "sgd" },
      rate: 1e-3,
      episodes: 1,
      initial: out,
    });
    const result = await train({ config, train: set, initial: states, out: join(folder, "meta") });
    const name = "encoder/block1/conv/weight";
    const [from, to] = [states.get(name)!.data, result.weights.get(name)!.data];
    expect(Math.max(...from.map((v, i) => Math.abs(v - to[i]!)))).toBeLessThan(0.05);
    expect(to).not.toEqual(from);
  });
});
