import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { BATCH, type Case, cases } from "../../test/graph/cases.ts";
import { createRng } from "../core/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { gradientRules } from "./gradients.ts";
import { type Graph, sizeOf, type Tensor, tensor } from "./graph.ts";
import {
  type Builder,
  createBuilder,
  evaluate,
  gradients,
  type NdArray,
  simplify,
  type Value,
  verify,
} from "./index.ts";

type Feeds = Record<string, NdArray>;

/** Σ c·(y + y²/2) with fixed random weights c: a loss to which every element of y matters differently. */
function weighted(g: Builder, y: Value, seed: number): Value {
  const dims = y.shape.map((dim) => (typeof dim === "number" ? dim : 1));
  const rng = createRng(seed);
  const c = tensor(
    "float32",
    Float32Array.from({ length: sizeOf(dims) }, () => rng.normal()),
    dims,
  );
  const bent = g.Add(y, g.Mul(g.Mul(y, y), 0.5));
  return g.ReduceSum(g.Mul(bent, c), undefined, { keepdims: 0 });
}

/** The case's value, its gradients, and the gradients of a weighted sum of those. */
function graphOf(test: Case): { graph: Graph; feeds: Feeds; names: string[] } {
  const g = createBuilder(test.op);
  const rng = createRng(7);
  const feeds: Feeds = {};
  const x = test.inputs.map((shape, i) => {
    const dims = shape.map((dim) => (dim === "N" ? BATCH : dim));
    const data = Float64Array.from({ length: sizeOf(dims) }, () => {
      const v = Math.fround(rng.normal());
      return test.draw === "positive" ? Math.abs(v) + 0.5 : v;
    });
    feeds[`x${i}`] = { dims, data };
    return g.input(`x${i}`, "float32", shape);
  });
  const y = test.build(g, x);
  const loss = weighted(g, y, 3);
  const first = gradients(g, loss, x);
  const slope = first.map((d, i) => weighted(g, d, 11 + i)).reduce((a, b) => g.Add(a, b));
  const outputs: Record<string, Value> = { y, loss, slope };
  first.forEach((d, i) => {
    outputs[`d${i}`] = g.Identity(d);
  });
  gradients(g, slope, x).forEach((d, i) => {
    outputs[`dd${i}`] = g.Identity(d);
  });
  return { graph: g.build(outputs), feeds, names: x.map(({ name }) => name) };
}

/** ∂output/∂feeds[name] by central differences. */
function differences(graph: Graph, feeds: Feeds, name: string, output: string): number[] {
  const step = 1e-5;
  const at = feeds[name]!;
  // Only what this output needs.
  const part = simplify({ ...graph, outputs: graph.outputs.filter((o) => o.name === output) });
  return Array.from(at.data, (v, i) => {
    const value = (moved: number): number =>
      evaluate(part, { ...feeds, [name]: { ...at, data: at.data.with(i, moved) } })[output]!.data[0]!;
    return (value(v + step) - value(v - step)) / (2 * step);
  });
}

function expectClose(
  got: ArrayLike<number>,
  wanted: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  expect(got.length, what).toBe(wanted.length);
  const scale = Math.max(1, ...Array.from(wanted, Math.abs));
  const worst = Math.max(0, ...Array.from(wanted, (v, i) => Math.abs(v - got[i]!)));
  expect(worst / scale, what).toBeLessThan(tolerance);
}

async function runOrt(graph: Graph, feeds: Feeds): Promise<Record<string, Tensor["data"]>> {
  const session = await InferenceSession.create(writeModel(modelOf(graph)), { logSeverityLevel: 3 });
  const fed = Object.entries(feeds).map(
    ([name, { dims, data }]) => [name, new OrtTensor("float32", Float32Array.from(data), dims)] as const,
  );
  const results = await session.run(Object.fromEntries(fed));
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, { data }]) => [name, data as Tensor["data"]]),
  );
}

describe.each(cases.map((test) => [`${test.op} ${test.name}`, test] as const))("%s", (_, test) => {
  const { graph, feeds, names } = graphOf(test);
  const reference = evaluate(graph, feeds);

  it("has a graph that verifies, before and after simplification, with the same values", () => {
    verify(graph);
    const small = simplify(graph);
    verify(small);
    for (const [name, { data }] of Object.entries(evaluate(small, feeds)))
      expectClose(data, reference[name]!.data, 1e-6, name);
  });

  it("runs in ONNX Runtime to the reference's values, gradients included", async () => {
    for (const [name, data] of Object.entries(await runOrt(simplify(graph), feeds)))
      expectClose(Array.from(data as Float32Array), reference[name]!.data, 2e-5, name);
  });

  it("has the gradient of central differences, and so has its gradient", () => {
    names.forEach((name, i) => {
      expect(reference[`d${i}`]!.dims).toEqual(feeds[name]!.dims);
      expectClose(reference[`d${i}`]!.data, differences(graph, feeds, name, "loss"), 1e-6, `d${i}`);
      expectClose(reference[`dd${i}`]!.data, differences(graph, feeds, name, "slope"), 1e-5, `dd${i}`);
    });
  });
});

describe("gradient rules", () => {
  it("are tested wherever a gradient flows", () => {
    const tested = new Set(cases.map(({ op }) => op));
    const constant =
      "Sign Floor Equal Greater GreaterOrEqual Less LessOrEqual And Or Not ArgMax QuantizeLinear DequantizeLinear".split(
        " ",
      );
    const shapes = "Shape Size ConstantOfShape OneHot".split(" ");
    const untested = Object.keys(gradientRules).filter((op) => !tested.has(op as Case["op"]));
    expect(untested.sort()).toEqual([...constant, ...shapes].sort());
  });
});
