import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { conv4Step, type EpisodeShape } from "../../../test/graph/step.ts";
import { createRng, type Rng } from "../../core/index.ts";
import { createBackbone, createFrame, initialize } from "../../nn/index.ts";
import { modelOf, writeModel } from "../../onnx/index.ts";
import {
  createBuilder,
  evaluate,
  type Graph,
  gradients,
  sizeOf,
  type Tensor,
  tensor,
  type Value,
  verify,
} from "../index.ts";
import { type Probe, probeGraph, probeResult, rewriteFor } from "./index.ts";

type Feeds = Readonly<Record<string, Tensor>>;

async function run(graph: Graph, feeds: Feeds): Promise<Record<string, OrtTensor>> {
  const session = await InferenceSession.create(writeModel(modelOf(graph)), { logSeverityLevel: 3 });
  const fed = Object.entries(feeds).map(
    ([name, { data, dims }]) => [name, new OrtTensor("float32", data as Float32Array, dims)] as const,
  );
  const results = await session.run(Object.fromEntries(fed));
  await session.release();
  return results as Record<string, OrtTensor>;
}

async function probe(): Promise<Probe> {
  try {
    const { y } = await run(probeGraph(), { x: tensor("float32", [1, 2, 3, 4], [1, 4, 1, 1]) });
    return probeResult(y!.dims);
  } catch {
    return probeResult(null);
  }
}

/** The largest error of an output, as a share of its largest number. */
function worst({ data: wanted }: { readonly data: Float64Array }, result: OrtTensor): number {
  const got = result.data as Float32Array;
  return Math.max(...wanted.map((v, i) => Math.abs(v - got[i]!))) / Math.max(...wanted.map(Math.abs));
}

/** The rewritten graph is as near to float64 as the portable one, but for a factor of 4. */
async function expectAlike(
  graph: Graph,
  fast: Graph,
  feeds: Feeds,
  asked: (output: string) => boolean = () => true,
): Promise<void> {
  const exact = evaluate(graph, feeds);
  const [portable, rewritten] = [await run(graph, feeds), await run(fast, feeds)];
  for (const name of Object.keys(exact).filter(asked)) {
    expect(rewritten[name]!.dims).toEqual(exact[name]!.dims);
    const bound = Math.max(2e-4, 4 * worst(exact[name]!, portable[name]!));
    expect(worst(exact[name]!, rewritten[name]!), name).toBeLessThan(bound);
  }
}

/** How the pixels of image `i` are drawn. */
const images: Record<string, (rng: Rng, i: number) => number> = {
  "standardised images": (rng) => rng.normal(),
  "exact ties: images of the integers 0 and 1": (rng) => rng.int(2),
  "every other image flat": (rng, i) => (i % 2 === 0 ? 1 : rng.normal()),
};

const way = 3;
const episodes: EpisodeShape[] = [
  // 102 images are two chunks of 51.
  { way, shot: 2, query: 32, size: 16, channels: 1 },
  { way, shot: 2, query: 2, size: 16, channels: 1 },
  { way, shot: 1, query: 2, size: 22, channels: 3 },
  { way, shot: 1, query: 1, size: 19, channels: 3 },
];

const found = await probe();

describe.skipIf(found.block === null)(
  "the rewritten Conv-4 step (skipped where ONNX Runtime has no blocked layout)",
  () => {
    const rewrite = rewriteFor("cpu", found);
    for (const episode of episodes)
      it.each(Object.keys(images).slice(0, episode.query > 2 ? 1 : 3))(
        `computes what the portable one does, ${episode.way * (episode.shot + episode.query)} images of ${episode.size} px, %s`,
        async (kind) => {
          const { graph, start } = conv4Step(episode, { width: 16, shown: true });
          const fast = rewrite(graph);
          verify(fast);
          expect(
            fast.nodes.filter(({ op, domain }) => !domain && ["BatchNormalization", "MaxPool"].includes(op)),
          ).toEqual([]);

          const { shot, query, size, channels } = episode;
          const rng = createRng(4);
          const dims = [way * (shot + query), channels, size, size];
          const area = channels * size * size;
          const pixels = Float32Array.from({ length: dims[0]! * area }, (_, i) =>
            images[kind]!(rng, Math.floor(i / area)),
          );
          const feeds: Record<string, Tensor> = {
            ...Object.fromEntries(start),
            x: { dtype: "float32", dims, data: pixels },
          };
          // Gains of both signs, so that the largest of a window may become the smallest.
          for (const name of Object.keys(feeds))
            if (name.endsWith("norm/gamma"))
              feeds[name] = tensor(
                "float32",
                Array.from({ length: 16 }, () => rng.normal()),
              );

          // Adam divides a gradient by its own size, which makes noise of what is nearly zero.
          await expectAlike(
            graph,
            fast,
            feeds,
            (name) => !name.startsWith("next/") || /norm\/(mean|variance)$/.test(name),
          );
        },
      );
  },
);

describe.skipIf(found.block === null)(
  "convolutions on their own (skipped without the blocked layout)",
  () => {
    it("compute the same forward and backward, strided, dilated and 1x1 too", async () => {
      const g = createBuilder();
      const rng = createRng(8);
      const feeds: Record<string, Tensor> = {};
      const input = (name: string, ...dims: number[]): Value => {
        const data = Float32Array.from({ length: sizeOf(dims) }, () => rng.normal());
        feeds[name] = { dtype: "float32", dims, data };
        return g.input(name, "float32", name === "x" ? ["N", ...dims.slice(1)] : dims);
      };
      const x = input("x", 2, 16, 9, 9);
      const [a, b, c] = [input("a", 32, 16, 3, 3), input("b", 16, 32, 1, 1), input("c", 16, 16, 3, 3)];
      const strided = g.Conv(x, a, input("bias", 32), { strides: [2, 2], pads: [1, 1, 1, 1] });
      const y = g.Add(g.Conv(g.Relu(strided), b), g.Conv(x, c, { dilations: [2, 2], pads: [0, 0, 0, 0] }));
      const loss = g.ReduceSum(g.Mul(y, y), undefined, { keepdims: 0 });
      const slopes = gradients(g, loss, [x, a, b, c]);
      const graph = g.build({ loss, ...Object.fromEntries(slopes.map((d, i) => [`d${i}`, d])) });
      const fast = rewriteFor("cpu", found)(graph);
      expect(fast.nodes.filter(({ op, domain }) => op === "Conv" && domain === "")).toEqual([]);
      const exact = evaluate(graph, feeds);
      const results = await run(fast, feeds);
      for (const [name, value] of Object.entries(exact))
        expect(worst(value, results[name]!), name).toBeLessThan(1e-5);
    });
  },
);

describe.skipIf(found.block === null)("a residual network (skipped without the blocked layout)", () => {
  it.each(["standardised images", "exact ties: images of the integers 0 and 1"])(
    "computes the same in the blocked layout from end to end, %s",
    async (kind) => {
      const g = createBuilder();
      const f = createFrame(g, "train", ({ name, shape }) => g.input(name, "float32", shape));
      const rng = createRng(5);
      const dims = [3, 3, 18, 18];
      const area = 3 * 18 * 18;
      const pixels = Float32Array.from({ length: sizeOf(dims) }, (_, i) =>
        images[kind]!(rng, Math.floor(i / area)),
      );
      const embedding = createBackbone({ kind: "resnet12", widths: [16, 16, 32, 80] })(
        f,
        g.input("x", "float32", dims),
      );
      const weighted = g.Mul(embedding, tensor("float32", Array.from({ length: 240 }, rng.normal), [3, 80]));
      const loss = g.ReduceSum(g.Mul(weighted, embedding), undefined, { keepdims: 0 });
      const trained = f.specs.filter(({ role }) => role !== "statistic");
      const slopes = gradients(
        g,
        loss,
        trained.map(({ name }) => g.value(name)),
      );
      const graph = g.build({
        loss,
        ...Object.fromEntries([...f.updates].map(([name, value]) => [`next/${name}`, value])),
        ...Object.fromEntries(trained.map(({ name }, i) => [`d/${name}`, slopes[i]!])),
      });
      const fast = rewriteFor("cpu", found)(graph);
      verify(fast);
      const count = (...ops: string[]): number => fast.nodes.filter(({ op }) => ops.includes(op)).length;
      expect(count("BatchNormalization", "ScatterElements")).toBe(0);
      expect(fast.nodes.filter(({ op, domain }) => op === "MaxPool" && domain === "")).toEqual([]);
      // Where the images enter there is nothing to reorder, and the gradient comes in at one place.
      expect(count("ReorderInput")).toBe(1);

      const feeds: Record<string, Tensor> = {
        ...Object.fromEntries(initialize(f.specs, 1)),
        x: { dtype: "float32", dims, data: pixels },
      };
      for (const name of Object.keys(feeds))
        if (name.endsWith("/gamma"))
          feeds[name] = tensor(
            "float32",
            Float32Array.from({ length: feeds[name]!.data.length }, rng.normal),
          );
      await expectAlike(graph, fast, feeds);
    },
  );
});

describe("rewriteFor", () => {
  it("leaves the portable graph, simplified, to every other provider and machine", () => {
    const { graph } = conv4Step(episodes[0]!, { width: 16 });
    for (const portable of [rewriteFor("webgpu", { block: 16 }), rewriteFor("cpu", { block: null })])
      expect(portable(graph).nodes.every(({ domain }) => domain === "")).toBe(true);
  });

  it("takes batch norms apart for WebGPU, and the numbers stay", async () => {
    const { graph, start } = conv4Step(episodes[1]!, { width: 4, shown: true });
    const plain = rewriteFor("webgpu", { block: null })(graph);
    expect(plain.nodes.filter(({ op }) => op === "BatchNormalization")).toEqual([]);
    expect(plain.outputs).toEqual(graph.outputs);
    const rng = createRng(2);
    const feeds: Record<string, Tensor> = Object.fromEntries(start);
    for (const { name, shape } of graph.inputs)
      feeds[name] ??= tensor(
        "float32",
        Float32Array.from({ length: sizeOf(shape as number[]) }, () => Math.abs(rng.normal())),
        shape as number[],
      );
    const [before, after] = [await run(graph, feeds), await run(plain, feeds)];
    for (const [name, { data }] of Object.entries(before)) {
      // Adam makes a step of the rounding of a gradient that is 0; the gradients themselves are here as well.
      if (/^next.(?!.*(mean|variance)$)/.test(name)) continue;
      const got = after[name]!.data as Float32Array;
      const size = Math.max(...(data as Float32Array).map(Math.abs));
      (data as Float32Array).forEach((value, i) => {
        expect(Math.abs(value - got[i]!), name).toBeLessThanOrEqual(1e-3 * size + 1e-5);
      });
    }
  });

  it("leaves a block alone that it does not fit", () => {
    // 24 channels are no multiple of 16.
    const { graph } = conv4Step(episodes[0]!, { width: 24 });
    const same = rewriteFor("cpu", { block: 16 })(graph);
    expect(same.nodes.every(({ domain }) => domain === "")).toBe(true);
    expect(same.nodes.filter(({ op }) => op === "MaxPool")).toHaveLength(4);
  });
});
