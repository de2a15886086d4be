import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { createRng, isProtolineError } from "../core/index.ts";
import { type Attribute, evaluate, type Graph, type Node, OPSET, tensor, verify } from "../graph/index.ts";
import { type Model, modelOf, upgrade, writeModel } from "./index.ts";

const ints = (...value: number[]): Attribute => ({ type: "ints", value });
const float = (value: number): Attribute => ({ type: "float", value });

/** One node of each form that changed, in a chain from x to y, as operator set 9 wrote them. */
const steps: [string, Record<string, Attribute>][] = [
  ["Clip", { min: float(-0.8), max: float(0.9) }],
  ["Pad", { pads: ints(0, 1, 0, 0, 0, 2), value: float(0.25) }],
  ["Slice", { starts: ints(0, 1), ends: ints(3, 6), axes: ints(1, 2) }],
  ["Dropout", { ratio: float(0.3) }],
  ["Softmax", {}],
  ["Unsqueeze", { axes: ints(0) }],
  ["Squeeze", { axes: ints(0) }],
  ["ReduceMean", { axes: ints(2), keepdims: { type: "int", value: 1 } }],
  ["ReduceSum", { axes: ints(1), keepdims: { type: "int", value: 0 } }],
];

function oldModel(version = 9): Model {
  const names = ["x", ...steps.map(([op], i) => `${op}_${i}`), "y"];
  const nodes: Node[] = steps.map(([op, attributes], i) => ({
    name: names[i + 1]!,
    op,
    domain: "",
    inputs: [names[i]!],
    outputs: [names[i + 1]!],
    attributes,
  }));
  const two = { type: "tensor", value: tensor("float32", [2], []) } as const;
  nodes.unshift({
    name: "",
    op: "Constant",
    domain: "",
    inputs: [],
    outputs: ["two"],
    attributes: { value: two },
  });
  nodes.push({
    name: "end",
    op: "Mul",
    domain: "",
    inputs: [names.at(-2)!, "two"],
    outputs: ["y"],
    attributes: {},
  });
  const graph: Graph = {
    name: "old",
    opsets: { "": version },
    inputs: [{ name: "x", dtype: "float32", shape: ["N", 3, 5] }],
    outputs: [{ name: "y", dtype: "float32", shape: ["N", 1] }],
    nodes,
    initializers: new Map(),
  };
  return { ...modelOf(graph), irVersion: 4 };
}

async function run(model: Model, x: Float32Array): Promise<number[]> {
  const session = await InferenceSession.create(writeModel(model), { logSeverityLevel: 3 });
  const { y } = await session.run({ x: new OrtTensor("float32", x, [2, 3, 5]) });
  await session.release();
  return Array.from(y!.data as Float32Array);
}

describe("upgrade", () => {
  it("brings a model of operator set 9 into the present form, with the same results", async () => {
    const rng = createRng(3);
    const x = Float32Array.from({ length: 30 }, () => rng.normal());
    const model = upgrade(oldModel());
    expect(model.graph.opsets).toEqual({ "": OPSET });
    verify(model.graph);
    const wanted = await run(oldModel(), x);
    const exact = evaluate(model.graph, { x: tensor("float32", x, [2, 3, 5]) }).y!.data;
    for (const got of [await run(model, x), exact])
      wanted.forEach((v, i) => {
        expect(got[i]).toBeCloseTo(v, 6);
      });
  });

  it("refuses what is older or newer than it knows", () => {
    for (const version of [6, 99])
      try {
        upgrade(oldModel(version));
        expect.unreachable();
      } catch (error) {
        expect(isProtolineError(error) && error.code).toBe("MODEL_UNSUPPORTED");
      }
  });
});
