import { describe, expect, it } from "vitest";
import { modelOf, writeModel } from "../onnx/index.ts";
import { openSession, Tensor } from "../runtime/index.ts";
import { createBuilder, evaluate, type Graph, simplify, tensor } from "./index.ts";

/** Ties, numbers beyond both ends, and a channel of each sign. */
const x = [-300, -1.25, -0.75, -0.25, 0, 0.25, 0.75, 1.25, 1.75, 63.4, 63.6, 300];

/** x `[2, 6]` → whole numbers and back, with one scale for all and with one a row. */
function graph(type: "int8" | "uint8"): Graph {
  const g = createBuilder("quantise");
  const input = g.input("x", "float32", [2, 6]);
  const zero = type === "int8" ? -3 : 7;
  const all = [tensor("float32", [0.5], []), tensor(type, [zero], [])] as const;
  const each = [tensor("float32", [0.5, 0.125], [2]), tensor(type, [zero, 0], [2])] as const;
  const whole = g.QuantizeLinear(input, ...all);
  const rows = g.QuantizeLinear(input, ...each, { axis: 0 });
  return g.build({
    whole: g.Cast(whole, { to: 1 }),
    back: g.DequantizeLinear(whole, ...all),
    rows: g.Cast(rows, { to: 1 }),
    rowsBack: g.DequantizeLinear(rows, ...each, { axis: 0 }),
    known: g.Cast(g.QuantizeLinear(tensor("float32", [-1, 200]), ...all), { to: 1 }),
  });
}

describe.each(["int8", "uint8"] as const)("QuantizeLinear and DequantizeLinear, %s", (type) => {
  it("round halves to even, saturate at the type's ends, and agree with ONNX Runtime", async () => {
    const made = graph(type);
    const ours = evaluate(made, { x: tensor("float32", x, [2, 6]) });
    const session = await openSession(writeModel(modelOf(made)));
    const results = await session.run({ x: new Tensor("float32", Float32Array.from(x), [2, 6]) });
    await session.close();
    for (const [name, { data }] of Object.entries(ours))
      expect([...data], name).toEqual(Array.from(results[name]!.data as Float32Array));
    const [low, high] = type === "int8" ? [-128, 127] : [0, 255];
    expect([ours.whole!.data[0], ours.whole!.data.at(-1)]).toEqual([low, high]);
    // −2.5 and −1.5 steps, to the even neighbour.
    const zero = type === "int8" ? -3 : 7;
    expect([...ours.whole!.data.slice(1, 3)]).toEqual([-2 + zero, -2 + zero]);
  });

  it("keep their numbers when constants are folded", () => {
    const made = graph(type);
    const feeds = { x: tensor("float32", x, [2, 6]) };
    expect(evaluate(simplify(made), feeds)).toEqual(evaluate(made, feeds));
  });
});

describe("QuantizeLinear", () => {
  it("refuses scales that fit no axis, and a zero point of another type", () => {
    const g = createBuilder();
    const input = g.input("x", "float32", [2, 6]);
    const scales = tensor("float32", [1, 1, 1]);
    expect(() => g.QuantizeLinear(input, scales)).toThrow(/one scale, or one for each element of an axis/);
    expect(() => g.QuantizeLinear(input, tensor("float32", [1], []), tensor("int32", [0], []))).toThrow(
      /zero point of int8 or uint8/,
    );
    const codes = g.QuantizeLinear(input, tensor("float32", [1], []));
    expect(() => g.DequantizeLinear(codes, tensor("float32", [1], []), tensor("int8", [0], []))).toThrow(
      /zero point of uint8/,
    );
  });
});
