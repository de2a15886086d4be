import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isProtolineError } from "../core/index.ts";
import {
  createBuilder,
  evaluate,
  fromHalf,
  type Graph,
  print,
  removeDead,
  simplify,
  tensor,
  toHalf,
  verify,
} from "./index.ts";

const messageOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (isProtolineError(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no error";
};

function linear(): Graph {
  const g = createBuilder("linear");
  const x = g.input("x", "float32", ["N", 2]);
  const w = g.constant(tensor("float32", [1, 2, 3, 4], [2, 2]), "w");
  return g.scope("layer", () => g.build({ y: g.Relu(g.Sub(g.MatMul(x, w), 1)) }));
}

describe("half precision", () => {
  it("keeps every number that it can hold, and rounds the rest to the nearest", () => {
    const lost: number[] = [];
    for (let bits = 0; bits < 1 << 16; bits++) {
      const value = fromHalf(bits);
      if (!Number.isNaN(value) && toHalf(value) !== bits) lost.push(bits);
    }
    expect(lost).toEqual([]);
    fc.assert(
      fc.property(fc.double({ min: -65504, max: 65504, noNaN: true }), (value) => {
        const error = Math.abs(fromHalf(toHalf(value)) - value);
        expect(error).toBeLessThanOrEqual(Math.max(Math.abs(value) * 2 ** -11, 2 ** -25) * (1 + 1e-6));
      }),
    );
    expect(toHalf(1e6)).toBe(0x7c00);
  });
});

describe("builder", () => {
  it("writes a graph that evaluates, with plain numbers as constants and scoped names", () => {
    const graph = linear();
    expect(graph.nodes.map(({ name }) => name)).toEqual(["layer/MatMul_0", "layer/Sub_2", "layer/Relu_3"]);
    const { y } = evaluate(graph, { x: tensor("float32", [1, 0, 0, 1], [2, 2]) });
    expect([...y!.data]).toEqual([0, 1, 2, 3]);
  });

  it("refuses at once what does not fit, naming node, expected and got", () => {
    const g = createBuilder();
    const x = g.input("x", "float32", ["N", 3, 8, 8]);
    const w = g.constant(tensor("float32", new Float32Array(4 * 5 * 9), [4, 5, 3, 3]));
    expect(messageOf(() => g.Conv(x, w))).toMatch(/GRAPH_INVALID.*Conv "Conv_\d+".*\[N,3,8,8\]/);
    expect(messageOf(() => g.Add(x, tensor("float32", [1, 2])))).toMatch(/broadcast.*\[N,3,8,8\] and \[2\]/);
    expect(messageOf(() => g.Add(x, tensor("int64", [1])))).toMatch(/float32.*int64/);
    expect(messageOf(() => g.Reshape(x, g.ints([0, 7, -1])))).toMatch(/Reshape/);
    expect(messageOf(() => g.Gemm(x))).toMatch(/2 to 3 inputs/);
  });

  it("follows shapes through symbols and through arithmetic on shapes", () => {
    const g = createBuilder();
    const x = g.input("x", "float32", ["N", 64, 5, 5]);
    expect(g.Reshape(x, g.ints([0, -1])).shape).toEqual(["N", 1600]);
    expect(g.Reshape(x, g.ints([-1, 5, 5])).shape).toEqual(["?", 5, 5]);
    const n = g.Gather(g.Shape(x), g.ints([0]));
    expect(g.Reshape(x, g.Concat(n, g.ints([8, -1]), { axis: 0 })).shape).toEqual(["N", 8, 200]);
    expect(g.Expand(g.constant(tensor("float32", [1], [])), g.Shape(x)).shape).toEqual(["N", 64, 5, 5]);
    expect(g.Flatten(x).shape).toEqual(["N", 1600]);
    expect(g.Size(g.constant(tensor("float32", [1, 2, 3]))).known).toEqual([3]);
  });
});

describe("verify", () => {
  const graph = linear();
  const edit = (change: Partial<Graph>): string => messageOf(() => verify({ ...graph, ...change }));
  it("accepts what the builder made and names what is wrong in what it did not", () => {
    expect(verify(graph).get("y")).toMatchObject({ dtype: "float32", shape: ["N", 2] });
    const [matMul, sub, relu] = graph.nodes as [Graph["nodes"][0], Graph["nodes"][0], Graph["nodes"][0]];
    expect(edit({ nodes: [sub, matMul, relu] })).toMatch(/made before at Sub "layer\/Sub_2"/);
    expect(edit({ nodes: [matMul, sub, { ...relu, op: "Rellu" }] })).toMatch(/got Rellu/);
    expect(edit({ nodes: [matMul, matMul, sub, relu] })).toMatch(/a second time/);
    expect(
      edit({ nodes: [matMul, sub, { ...relu, attributes: { alpha: { type: "float", value: 1 } } }] }),
    ).toMatch(/attributes none.*alpha/);
    expect(edit({ outputs: [{ name: "y", dtype: "float32", shape: ["N", 3] }] })).toMatch(
      /float32 \[N,3\].*got float32 \[N,2\]/,
    );
  });
});

describe("print", () => {
  it("shows a line a value", () => {
    expect(print(linear())).toBe(
      [
        "graph linear (onnx 20), 3 nodes",
        "  input x                                       float32 [N,2]",
        "  constant w = [1,2,3,4]                        float32 [2,2]",
        "  constant layer/c_1 = [1]                      float32 []",
        "  layer/MatMul_0 = MatMul(x, w)                 float32 [N,2]",
        "  layer/Sub_2 = Sub(layer/MatMul_0, layer/c_1)  float32 [N,2]",
        "  y = Relu(layer/Sub_2)                         float32 [N,2]",
        "  output y                                      float32 [N,2]",
      ].join("\n"),
    );
  });
});

describe("simplify", () => {
  it("folds constants and known shapes, shares twins, drops the dead, and keeps the function", () => {
    const g = createBuilder();
    const x = g.input("x", "float32", [3, 4]);
    g.Log(x);
    const scale = g.Exp(g.Mul(g.constant(tensor("float32", [1, 2, 3, 4])), 0.5));
    const a = g.Mul(g.Identity(x), scale);
    const b = g.Mul(x, scale);
    const y = g.Reshape(g.Add(a, b), g.Concat(g.Shape(x, { start: 1 }), g.ints([-1]), { axis: 0 }));
    const graph = g.build({ y });
    const small = simplify(graph);
    expect(graph.nodes.some(({ op }) => op === "Log")).toBe(false);
    expect(small.nodes.map(({ op }) => op)).toEqual(["Mul", "Add", "Reshape"]);
    expect(removeDead(graph).nodes).toHaveLength(graph.nodes.length);
    verify(small);
    const feeds = { x: { dims: [3, 4], data: Float64Array.from({ length: 12 }, (_, i) => i - 5) } };
    const [before, after] = [evaluate(graph, feeds).y!, evaluate(small, feeds).y!];
    expect(after.dims).toEqual([4, 3]);
    before.data.forEach((v, i) => {
      expect(after.data[i]).toBeCloseTo(v, 5);
    });
  });
});
