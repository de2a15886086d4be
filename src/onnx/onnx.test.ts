import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { createRng, isProtolineError } from "../core/index.ts";
import { type Graph, type Tensor, tensor } from "../graph/index.ts";
import { modelOf, readModel, summarize, writeModel } from "./index.ts";
import { decode, encode } from "./schema.ts";

const models = new URL("../../../shared/models/", import.meta.url);
const backbones = [
  { file: "mobilenet-v1-224.onnx", parameters: 3e6 },
  { file: "mobilenet-v2-224.onnx", parameters: 2e6 },
  { file: "mobilenet-v3-small-224.onnx", parameters: 9e5 },
];

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return isProtolineError(error) ? error.code : String(error);
  }
  return "no error";
};

/** y = x·w + b with every element type among the constants. */
const small: Graph = {
  name: "small",
  opsets: { "": 17 },
  inputs: [{ name: "x", dtype: "float32", shape: ["N", 2] }],
  outputs: [{ name: "y", dtype: "float32", shape: ["N", 3] }],
  nodes: [
    {
      name: "gemm",
      op: "Gemm",
      domain: "",
      inputs: ["x", "w", "b"],
      outputs: ["y"],
      attributes: { alpha: { type: "float", value: 1 }, transB: { type: "int", value: 0 } },
    },
  ],
  initializers: new Map<string, Tensor>([
    ["w", tensor("float32", [1, 2, 3, 4, 5, 6], [2, 3])],
    ["b", tensor("float32", [0.5, -0.5, 0])],
    ["half", tensor("float16", [1, -2, 65504, 6e-8])],
    ["double", tensor("float64", [Math.PI])],
    ["bytes", tensor("uint8", [0, 255])],
    ["signed", tensor("int8", [-128, 127])],
    ["ints", tensor("int32", [-(2 ** 31), 2 ** 31 - 1])],
    ["longs", { dtype: "int64", dims: [2], data: new BigInt64Array([2n ** 63n - 1n, -1n]) }],
    ["flags", tensor("bool", [1, 0])],
    ["scalar", tensor("float32", [7], [])],
  ]),
};

describe("model files", () => {
  it("come back as they were written, metadata and every element type included", () => {
    const model = modelOf(small, { "protoline.manifest": '{"name":"é"}' });
    expect(readModel(writeModel(model))).toEqual(model);
  });

  it("are read where numbers stand in typed fields instead of raw bytes", () => {
    const message = decode("Model", writeModel(modelOf(small)));
    const numbers: Record<string, object> = {
      w: { floatData: [1, 2, 3, 4, 5, 6] },
      half: { int32Data: [0x3c00, 0xc000, 0x7bff, 1] },
      double: { doubleData: [Math.PI] },
      signed: { int32Data: [-128, 127] },
      longs: { int64Data: [2n ** 63n - 1n, -1n] },
      flags: { int32Data: [1, 0] },
    };
    for (const entry of message.graph?.initializers ?? []) {
      const typed = numbers[entry.name ?? ""];
      if (typed) Object.assign(entry, typed, { rawData: undefined });
    }
    expect(readModel(encode("Model", message))).toEqual(modelOf(small));
  });

  it("are refused with a code where they are broken or need what is not supported", () => {
    expect(codeOf(() => readModel(new Uint8Array()))).toBe("MODEL_BROKEN");
    expect(codeOf(() => readModel(new TextEncoder().encode("this is a text file, no model")))).toBe(
      "MODEL_BROKEN",
    );
    const change = (edit: (message: ReturnType<typeof decode<"Model">>) => void): Uint8Array => {
      const message = decode("Model", writeModel(modelOf(small)));
      edit(message);
      return encode("Model", message);
    };
    const first = (bytes: Uint8Array): string => codeOf(() => readModel(bytes));
    expect(first(change(({ graph }) => Object.assign(graph!.initializers[0]!, { dataLocation: 1 })))).toBe(
      "MODEL_UNSUPPORTED",
    );
    expect(first(change(({ graph }) => Object.assign(graph!.initializers[0]!, { dataType: 16 })))).toBe(
      "MODEL_UNSUPPORTED",
    );
    expect(first(change(({ graph }) => Object.assign(graph!.nodes[0]!.attributes[0]!, { type: 5 })))).toBe(
      "MODEL_UNSUPPORTED",
    );
    expect(first(change(({ graph }) => Object.assign(graph!.initializers[0]!, { dims: [2n, 4n] })))).toBe(
      "MODEL_BROKEN",
    );
    expect(first(change((message) => Object.assign(message, { functions: [new Uint8Array(1)] })))).toBe(
      "MODEL_UNSUPPORTED",
    );
  });

  it("cut off or damaged anywhere, never fail without a code", () => {
    const bytes = writeModel(modelOf(small));
    const known = ["MODEL_BROKEN", "MODEL_UNSUPPORTED", "no error"];
    for (let end = 0; end < bytes.length; end++)
      expect(known).toContain(codeOf(() => readModel(bytes.subarray(0, end))));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = bytes.slice();
        damaged[at] = damaged[at]! ^ change;
        expect(known).toContain(codeOf(() => readModel(damaged)));
      }),
    );
  });

  for (const { file, parameters } of backbones) {
    const url = new URL(file, models);
    it.skipIf(!existsSync(url))(`${file} written again runs to the same bits`, async () => {
      const bytes = readFileSync(url);
      const model = readModel(bytes);
      const again = writeModel(model);
      expect(Buffer.compare(writeModel(readModel(again)), again)).toBe(0);
      const rng = createRng(1);
      const image = Float32Array.from({ length: 3 * 224 * 224 }, () => rng.normal());
      const run = async (file: Uint8Array): Promise<unknown> => {
        const session = await InferenceSession.create(file);
        const fed = { [session.inputNames[0]!]: new OrtTensor("float32", image, [1, 3, 224, 224]) };
        const result = (await session.run(fed))[session.outputNames[0]!]!;
        await session.release();
        return result.data;
      };
      expect(await run(again)).toEqual(await run(bytes));
      const summary = summarize(model);
      expect(summary.parameters).toBeGreaterThan(parameters);
      expect(summary.operators.reduce((sum, { count }) => sum + count, 0)).toBe(model.graph.nodes.length);
    });
  }
});
