import { describe, expect, it } from "vitest";
import { batchOf, bundleOf, normals, pictures, shape, tinyNet } from "../../test/compress/nets.ts";
import { createRng, isProtolineError } from "../core/index.ts";
import { createBuilder, evaluate, type Graph, numbersOf, tensor } from "../graph/index.ts";
import { modelOf, readModel, writeModel } from "../onnx/index.ts";
import { openSession, Tensor } from "../runtime/index.ts";
import { affineOf } from "./affine.ts";
import { halveBundle, quantizeBundle } from "./bundles.ts";
import { calibrate } from "./calibrate.ts";
import { foldNorms } from "./fold-norms.ts";
import { prepare } from "./prepare.ts";
import { quantize, quantizedValues } from "./quantize.ts";

const inputs = { pictures: pictures(24), shape };
const batch = batchOf(inputs.pictures.slice(0, 4));
const net = prepare(bundleOf(tinyNet()));

async function runOrt(
  graph: Graph,
  x: { dims: readonly number[]; data: Float64Array },
): Promise<Float32Array> {
  const session = await openSession(writeModel(modelOf(graph)), { threads: 1 });
  const results = await session.run({
    [graph.inputs[0]!.name]: new Tensor("float32", Float32Array.from(x.data), x.dims),
  });
  await session.close();
  return results[graph.outputs[0]!.name]!.data as Float32Array;
}

function relativeError(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let [error, size] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    error += (got[i]! - wanted[i]!) ** 2;
    size += wanted[i]! ** 2;
  }
  return Math.sqrt(error / size);
}

const messageOf = async (run: () => unknown): Promise<string> => {
  try {
    await run();
  } catch (error) {
    if (isProtolineError(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no error";
};

describe("foldNorms", () => {
  it("leaves no normalisation behind a convolution, and the same numbers", () => {
    const whole = tinyNet();
    const folded = foldNorms(whole);
    expect(whole.nodes.some(({ op }) => op === "BatchNormalization")).toBe(true);
    expect(folded.nodes.some(({ op }) => op === "BatchNormalization")).toBe(false);
    const [a, b] = [whole, folded].map((graph) => evaluate(graph, { images: batch }).embedding!.data);
    expect(relativeError(b!, a!)).toBeLessThan(1e-6);
  });

  it("leaves a normalisation whose convolution somebody else reads", () => {
    const g = createBuilder();
    const y = g.Conv(g.input("x", "float32", ["N", 3, 4, 4]), normals(createRng(1), [2, 3, 1, 1]));
    const vector = (v: number) => tensor("float32", [v, v]);
    const [normal] = g.emit("BatchNormalization", [y, vector(2), vector(1), vector(0), vector(1)], {}, 1);
    const graph = g.build({ z: g.Add(normal, y) });
    expect(foldNorms(graph).nodes.map(({ op }) => op)).toEqual(["Conv", "BatchNormalization", "Add"]);
  });
});

describe("quantize", () => {
  it("computes what whole numbers compute: codes, an int32 sum, one rescaling", async () => {
    const rng = createRng(5);
    const g = createBuilder("one");
    const [w, b] = [normals(rng, [4, 3, 1, 1]), normals(rng, [4])];
    const conv = g.Conv(g.input("x", "float32", ["N", 3, 2, 2]), w, b);
    const next = g.Conv(g.Relu(conv), tensor("float32", [1, 0, 0, 0], [1, 4, 1, 1]));
    const graph = g.build({ y: next });
    const x = { dims: [2, 3, 2, 2], data: Float64Array.from({ length: 24 }, () => rng.normal()) };
    const middle = graph.nodes.find(({ op }) => op === "Relu")!.outputs[0]!;
    const ranges = new Map([
      ["x", { low: -2, high: 2.5 }],
      [middle, { low: 0, high: 3 }],
    ]);
    const quantised = quantize(graph, { ranges, weightBits: 8 });
    expect(quantised.nodes.some(({ op }) => op === "Relu")).toBe(false);

    // By hand, in whole numbers. The second convolution passes channel 0 on, with code 127 of scale 1/127.
    const [ax, ay] = [affineOf(ranges.get("x")!, "uint8"), affineOf(ranges.get(middle)!, "uint8")];
    const expected = Array.from({ length: 8 }, (_, at) => {
      const [n, place] = [Math.floor(at / 4), at % 4];
      const weights = [0, 1, 2].map((i) => w.data[i]!);
      const step = Math.max(...weights.map(Math.abs)) / 127;
      const sum = weights.reduce(
        (total, v, i) => {
          const real = x.data[(n * 3 + i) * 4 + place]!;
          const code = Math.min(255, Math.max(0, Math.round(real / ax.scale) + ax.zero));
          return total + Math.round(v / step) * (code - ax.zero);
        },
        Math.round(b.data[0]! / (step * ax.scale)),
      );
      const code = Math.round((sum * step * ax.scale) / ay.scale) + ay.zero;
      return (Math.min(255, Math.max(0, code)) - ay.zero) * ay.scale;
    });
    const [reference, runtime] = [evaluate(quantised, { x }).y!.data, await runOrt(quantised, x)];
    for (const [i, value] of expected.entries()) {
      expect(reference[i]).toBeCloseTo(value, 5);
      // A sum next to a half may round the other way in float32.
      expect(Math.abs(runtime[i]! - value)).toBeLessThanOrEqual(ay.scale * 1.001);
    }
  });

  it.each(["minmax", "percentile", "entropy"] as const)(
    "stays near the float embedding with %s, in ONNX Runtime as in the reference",
    async (method) => {
      const seen = await calibrate(net, quantizedValues(net), inputs, { threads: 1 });
      const float = evaluate(net, { images: batch }).embedding!.data;
      const graph = quantize(net, { ranges: seen.ranges(method), means: seen.means });
      const reference = evaluate(graph, { images: batch }).embedding!.data;
      expect(relativeError(reference, float)).toBeLessThan(0.12);
      expect(relativeError(await runOrt(graph, batch), reference)).toBeLessThan(0.05);
    },
  );

  it("drops rectifiers that the codes say anyway, and keeps those that they do not", async () => {
    const seen = await calibrate(net, quantizedValues(net), inputs, { threads: 1 });
    const ops = (graph: Graph): string[] => graph.nodes.map(({ op }) => op);
    const rectifiers = (graph: Graph): number =>
      ops(graph).filter((op) => op === "Relu" || op === "Clip").length;
    expect(rectifiers(net)).toBe(8);
    expect(rectifiers(quantize(net, { ranges: seen.ranges("minmax") }))).toBe(0);
    const symmetric = quantize(net, { ranges: seen.ranges("minmax"), activations: "int8" });
    expect(rectifiers(symmetric)).toBe(8);
    const float = evaluate(net, { images: batch }).embedding!.data;
    expect(relativeError(evaluate(symmetric, { images: batch }).embedding!.data, float)).toBeLessThan(0.12);
  });

  it("leaves named nodes in floating point", async () => {
    const ranges = (await calibrate(net, quantizedValues(net), inputs, { threads: 1 })).ranges("minmax");
    const stem = net.nodes[0]!.outputs[0]!;
    const kept = quantize(net, { ranges, keepFloat: [stem] });
    expect(kept.initializers.get("stem/w")?.dtype).toBe("float32");
    const { nodes } = quantize(net, { ranges });
    expect(nodes.filter(({ op }) => op === "Conv")).toHaveLength(10);
    expect(
      [...quantize(net, { ranges }).initializers.values()].filter(({ dtype }) => dtype === "int8").length,
    ).toBeGreaterThan(10);
  });

  it("takes out of the bias what rounded weights make of the mean", () => {
    const rng = createRng(8);
    const g = createBuilder();
    const w = normals(rng, [6, 3, 3, 3]);
    const conv = g.Conv(g.input("x", "float32", ["N", 3, 12, 12]), w, normals(rng, [6]));
    const graph = g.build({ y: g.GlobalAveragePool(conv) });
    const value = graph.nodes[0]!.outputs[0]!;
    const means = new Map([["x", Float64Array.of(2, 2, 2)]]);
    const flat = { x: { dims: [1, 3, 12, 12], data: new Float64Array(432).fill(2) } };
    const ranges = new Map([
      ["x", { low: 0, high: 2 }],
      [value, { low: -60, high: 60 }],
    ]);
    const float = evaluate(graph, flat).y!.data;
    // In floating point behind the weights: the rounding of the output is not what is looked at.
    const error = (of: Graph): number => {
      const nodes = of.nodes.map((node) => ({
        ...node,
        inputs: node.inputs.map((name) => (name === `${value}/dq` ? value : name)),
      }));
      return relativeError(evaluate({ ...of, nodes }, flat).y!.data, float);
    };
    expect(error(quantize(graph, { ranges, means }))).toBeLessThan(1e-4);
    expect(error(quantize(graph, { ranges }))).toBeGreaterThan(1e-3);
  });

  it("keeps a bias that dwarfs its filter within 32 bits", () => {
    const g = createBuilder();
    const w = tensor("float32", [1e-12, 0, 0, 1], [2, 2, 1, 1]);
    const conv = g.Conv(g.input("x", "float32", ["N", 2, 3, 3]), w, tensor("float32", [5, 5]));
    const graph = g.build({ y: g.MaxPool(conv, { kernel_shape: [3, 3] }) });
    const value = graph.nodes[0]!.outputs[0]!;
    const ranges = new Map(["x", value].map((name) => [name, { low: -1, high: 6 }]));
    const { y } = evaluate(quantize(graph, { ranges }), {
      x: tensor("float32", new Float32Array(18), [1, 2, 3, 3]),
    });
    for (const v of y!.data) expect(v).toBeCloseTo(5, 1);
  });

  it("refuses a model without weights, no pictures, and what is quantised already", async () => {
    const g = createBuilder();
    const bare = g.build({ y: g.Relu(g.input("x", "float32", ["N", 3, 4, 4])) });
    expect(await messageOf(() => quantize(bare, { ranges: new Map() }))).toMatch(
      /^MODEL_UNSUPPORTED.*got Relu/,
    );
    expect(await messageOf(() => calibrate(net, [], { pictures: [], shape }))).toMatch(/^FOLDER_EMPTY/);
    const once = await quantizeBundle(bundleOf(tinyNet()), inputs, { threads: 1 });
    expect(once).toMatchObject({ quantized: 11, quantizable: 11 });
    expect(once.bundle.manifest).toMatchObject({ name: "tiny-int8", embeddingDim: 10 });
    expect(await messageOf(() => prepare(once.bundle))).toMatch(/^MODEL_UNSUPPORTED.*QuantizeLinear/);
    const strange = quantizeBundle(bundleOf(tinyNet()), inputs, { keepFloat: ["nobody"] });
    expect(await messageOf(() => strange)).toMatch(/^INVALID_ARGUMENT.*"nobody"/);
  });

  it("finds the nodes that lose most, and leaves them in floating point", async () => {
    const { quantized, sensitivity } = await quantizeBundle(bundleOf(tinyNet()), inputs, {
      threads: 1,
      keepWorst: 2,
    });
    expect(quantized).toBe(9);
    const losses = sensitivity!.map(({ loss }) => loss);
    expect(losses).toHaveLength(11);
    expect(losses).toEqual([...losses].sort((a, b) => b - a));
    expect(losses[0]).toBeGreaterThan(0);
  });
});

describe("float16 weights", () => {
  it("halve the file and hardly move the embedding, and can be pruned or quantised afterwards", async () => {
    const bundle = bundleOf(tinyNet());
    const halved = halveBundle(bundle);
    expect(halved.model.length / bundle.model.length).toBeLessThan(0.75);
    const graph = readModel(halved.model).graph;
    const large = [...graph.initializers.values()].filter(({ data }) => data.length >= 64);
    expect(new Set(large.map(({ dtype }) => dtype))).toEqual(new Set(["float16"]));
    const [a, b] = [await runOrt(net, batch), await runOrt(graph, batch)];
    expect(relativeError(b, a)).toBeLessThan(2e-3);
    const widened = prepare(halved);
    expect(widened.nodes.some(({ op }) => op === "Cast")).toBe(false);
    expect(numbersOf(widened.initializers.get("stem/w")!)).toHaveLength(16 * 27);
  });
});
