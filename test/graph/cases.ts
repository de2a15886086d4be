import type { Builder, OpName, Value } from "../../src/graph/index.ts";
import { tensor } from "../../src/graph/index.ts";

/**
 * One graph for each way in which an operator is used. Every rule is checked on them: the kernel against ONNX Runtime,
 * the gradient against central differences, the gradient's gradient too.
 */
export interface Case {
  readonly op: OpName;
  readonly name: string;
  /** Sizes of the differentiable inputs. A leading "N" stands for 2 and stays a symbol in the graph. */
  readonly inputs: readonly (readonly (number | "N")[])[];
  /** What numbers are drawn: normal ones, or their absolute values + 0.5. */
  readonly draw?: "normal" | "positive";
  readonly build: (g: Builder, x: readonly Value[]) => Value;
}

export const BATCH = 2;

const ints = (g: Builder, ...values: number[]): Value => g.ints(values);

function simple(op: OpName, draw: Case["draw"] = "normal", attributes: object = {}): Case {
  return {
    op,
    name: JSON.stringify(attributes),
    inputs: [[3, 5]],
    draw,
    build: (g, [x]) => g.emit(op, [x], attributes)[0]!,
  };
}

function broadcasting(op: OpName, draw: Case["draw"] = "normal"): Case[] {
  const shapes: Case["inputs"][] = [
    [
      [3, 4],
      [3, 4],
    ],
    [["N", 3, 4], [4]],
    [
      [1, 3, 1],
      ["N", 1, 5],
    ],
    [[], [2, 3]],
  ];
  return shapes.map((inputs) => ({
    op,
    name: JSON.stringify(inputs),
    inputs,
    draw,
    build: (g, x) => g.emit(op, x)[0]!,
  }));
}

function reductions(op: OpName): Case[] {
  const of = (name: string, build: Case["build"]): Case => ({ op, name, inputs: [["N", 3, 4]], build });
  return [
    of("all", (g, [x]) => g.emit(op, [x], { keepdims: 0 })[0]!),
    of("kept", (g, [x]) => g.emit(op, [x, ints(g, 0, 2)])[0]!),
    of("dropped", (g, [x]) => g.emit(op, [x, ints(g, -1)], { keepdims: 0 })[0]!),
  ];
}

const conv = (
  name: string,
  x: Case["inputs"][0],
  w: readonly number[],
  attributes: object = {},
  bias = false,
): Case => ({
  op: "Conv",
  name,
  inputs: bias ? [x, w, [w[0]!]] : [x, w],
  build: (g, v) => g.Conv(v[0], v[1], v[2], attributes),
});

const transposed = (
  name: string,
  x: Case["inputs"][0],
  w: readonly number[],
  attributes: object = {},
  bias?: number,
): Case => ({
  op: "ConvTranspose",
  name,
  inputs: bias ? [x, w, [bias]] : [x, w],
  build: (g, v) => g.ConvTranspose(v[0], v[1], v[2], attributes),
});

const pooling = (
  op: "MaxPool" | "AveragePool",
  name: string,
  x: Case["inputs"][0],
  attributes: object,
): Case => ({
  op,
  name,
  inputs: [x],
  build: (g, [v]) => g.emit(op, [v], attributes)[0]!,
});

const resize = (name: string, scales: readonly number[], attributes: object): Case => ({
  op: "Resize",
  name,
  inputs: [["N", 2, 3, 4]],
  build: (g, [x]) => g.Resize(x, undefined, tensor("float32", scales), attributes),
});

const of = (
  op: OpName,
  name: string,
  inputs: Case["inputs"],
  build: Case["build"],
  draw?: Case["draw"],
): Case => ({
  op,
  name,
  inputs,
  build,
  draw,
});

export const cases: readonly Case[] = [
  ...(
    ["Identity", "Neg", "Abs", "Relu", "Exp", "Sigmoid", "Tanh", "Erf", "Softplus", "HardSwish"] as const
  ).map((op) => simple(op)),
  ...(["Log", "Sqrt", "Reciprocal"] as const).map((op) => simple(op, "positive")),
  simple("Gelu"),
  simple("Gelu", "normal", { approximate: "tanh" }),
  simple("LeakyRelu", "normal", { alpha: 0.2 }),
  simple("HardSigmoid", "normal", { alpha: 0.7, beta: 0.4 }),
  of(
    "PRelu",
    "per channel",
    [
      ["N", 3, 4],
      [3, 1],
    ],
    (g, [x, slope]) => g.PRelu(x, slope),
  ),
  of("Clip", "both", [[4, 5], [], []], (g, [x, low, high]) => g.Clip(x, g.Sub(low, 2), g.Add(high, 2))),
  of("Clip", "high", [[4, 5]], (g, [x]) => g.Clip(x, undefined, 0.3)),
  ...broadcasting("Add"),
  ...broadcasting("Sub"),
  ...broadcasting("Mul"),
  ...broadcasting("Div", "positive"),
  ...broadcasting("Pow", "positive"),
  ...broadcasting("Min"),
  ...broadcasting("Max"),
  of("Max", "of three", [[3, 4], [4], [1]], (g, x) => g.Max(...x)),
  of("Where", "broadcast", [[3, 4], [4]], (g, [a, b]) => g.Where(g.Greater(a, 0.2), a, b)),
  of("Cast", "there and back", [[3]], (g, [x]) => g.Cast(g.Cast(x, { to: 11 }), { to: 1 })),
  of("Dropout", "at rest", [[3, 4]], (g, [x]) => g.Dropout(x, 0.4)),

  of(
    "MatMul",
    "matrices",
    [
      [3, 4],
      [4, 2],
    ],
    (g, [a, b]) => g.MatMul(a, b),
  ),
  of(
    "MatMul",
    "batched and broadcast",
    [
      ["N", 1, 3, 4],
      [3, 4, 2],
    ],
    (g, [a, b]) => g.MatMul(a, b),
  ),
  of("MatMul", "vector left", [[4], [2, 4, 3]], (g, [a, b]) => g.MatMul(a, b)),
  of("MatMul", "vector right", [[2, 3, 4], [4]], (g, [a, b]) => g.MatMul(a, b)),
  of("MatMul", "two vectors", [[4], [4]], (g, [a, b]) => g.MatMul(a, b)),
  of("Gemm", "plain", [["N", 3], [3, 4], [4]], (g, x) => g.Gemm(...x)),
  ...[0, 1, 2, 3].map((bits) =>
    of(
      "Gemm",
      `transposed ${bits}`,
      [bits & 1 ? [3, 2] : [2, 3], bits & 2 ? [4, 3] : [3, 4], [2, 1]],
      (g, x) => g.Gemm(...x, { transA: bits & 1, transB: bits >> 1, alpha: 0.5, beta: 2 }),
    ),
  ),
  of(
    "Einsum",
    "outer distances",
    [
      [3, 2],
      [4, 2],
    ],
    (g, x) => g.Einsum(...x, { equation: "id,jd->ij" }),
  ),
  of("Einsum", "a letter summed away", [[3, 2, 4], [2]], (g, x) => g.Einsum(...x, { equation: "iaj,a->i" })),

  conv("3x3 same", ["N", 4, 5, 7], [3, 4, 3, 3], { pads: [1, 1, 1, 1] }, true),
  conv("3x3 valid, few channels", ["N", 2, 5, 6], [3, 2, 3, 3]),
  conv(
    "strided, odd, few channels",
    ["N", 3, 8, 7],
    [2, 3, 3, 3],
    { strides: [2, 2], pads: [0, 0, 1, 1] },
    true,
  ),
  conv("strided, leftover input", ["N", 4, 8, 8], [2, 4, 3, 3], { strides: [2, 3] }),
  conv("dilated", ["N", 4, 7, 8], [2, 4, 3, 2], { dilations: [2, 3], pads: [2, 1, 1, 0] }),
  conv("grouped", ["N", 4, 5, 5], [6, 2, 3, 3], { group: 2, pads: [1, 1, 1, 1] }, true),
  conv(
    "depthwise, strided",
    ["N", 4, 7, 7],
    [4, 1, 3, 3],
    { group: 4, strides: [2, 2], pads: [1, 1, 1, 1] },
    true,
  ),
  conv("depthwise, multiplied", ["N", 3, 5, 5], [6, 1, 3, 3], { group: 3, pads: [1, 1, 1, 1] }),
  conv("1x1", ["N", 5, 3, 3], [4, 5, 1, 1]),
  conv("1x1 strided", ["N", 5, 5, 5], [4, 5, 1, 1], { strides: [2, 2] }),
  conv("padded beyond the kernel", ["N", 4, 3, 3], [2, 4, 2, 2], { pads: [2, 2, 2, 2] }),
  conv("auto_pad", ["N", 4, 6, 7], [2, 4, 3, 3], { auto_pad: "SAME_UPPER", strides: [2, 2] }),
  conv("1-D", ["N", 4, 9], [3, 4, 3], { strides: [2] }, true),

  transposed("plain", ["N", 3, 4, 5], [3, 2, 3, 3], {}, 2),
  transposed("strided", ["N", 4, 3, 4], [4, 2, 3, 3], {
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    output_padding: [1, 1],
  }),
  transposed("grouped, dilated", ["N", 4, 4, 4], [4, 2, 2, 2], { group: 2, dilations: [2, 2] }, 4),

  pooling("MaxPool", "2x2", ["N", 2, 4, 6], { kernel_shape: [2, 2], strides: [2, 2] }),
  pooling("MaxPool", "2x2, odd", ["N", 2, 5, 7], { kernel_shape: [2, 2], strides: [2, 2] }),
  pooling("MaxPool", "3x3 overlapping, padded", ["N", 2, 5, 7], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  }),
  pooling("MaxPool", "ceil", ["N", 2, 5, 5], { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }),
  pooling("AveragePool", "2x2", ["N", 2, 4, 7], { kernel_shape: [2, 2], strides: [2, 2] }),
  pooling("AveragePool", "3x3 padded", ["N", 2, 5, 6], {
    kernel_shape: [3, 3],
    strides: [2, 1],
    pads: [1, 1, 1, 1],
  }),
  pooling("AveragePool", "padding counts", ["N", 2, 5, 6], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    count_include_pad: 1,
  }),
  of("GlobalAveragePool", "", [["N", 3, 4, 5]], (g, [x]) => g.GlobalAveragePool(x)),

  of("BatchNormalization", "training", [["N", 3, 4, 5], [3], [3]], (g, [x, scale, bias]) => {
    const zero = tensor("float32", [0, 0, 0]);
    const one = tensor("float32", [1, 1, 1]);
    return g.emit("BatchNormalization", [x, scale, bias, zero, one], { training_mode: 1 }, 3)[0]!;
  }),
  of("BatchNormalization", "training, vectors", [[5, 3], [3], [3]], (g, [x, scale, bias]) => {
    const zero = tensor("float32", [0, 0, 0]);
    const one = tensor("float32", [1, 1, 1]);
    return g.emit("BatchNormalization", [x, scale, bias, zero, one], { training_mode: 1 }, 3)[0]!;
  }),
  of("BatchNormalization", "inference", [["N", 3, 4, 5], [3], [3], [3], [3]], (g, [x, s, b, m, v]) =>
    g.BatchNormalization(x, s, b, m, g.Add(g.Mul(v, v), 0.5)),
  ),
  of("LayerNormalization", "last", [["N", 3, 4], [4], [4]], (g, x) => g.LayerNormalization(...x)),
  of(
    "LayerNormalization",
    "last two",
    [
      ["N", 3, 4],
      [3, 4],
    ],
    (g, x) => g.LayerNormalization(...x, { axis: 1 }),
  ),
  ...([0, 1, -1] as const).flatMap((axis) => [
    of("Softmax", `axis ${axis}`, [[2, 3, 4]], (g, [x]) => g.Softmax(x, { axis })),
    of("LogSoftmax", `axis ${axis}`, [[2, 3, 4]], (g, [x]) => g.LogSoftmax(x, { axis })),
  ]),

  ...reductions("ReduceSum"),
  ...reductions("ReduceMean"),
  ...reductions("ReduceMax"),
  ...reductions("ReduceMin"),
  ...reductions("ReduceSumSquare"),
  ...reductions("ReduceL2"),

  of("Reshape", "", [["N", 3, 4]], (g, [x]) => g.Reshape(x, ints(g, 0, -1))),
  of("Flatten", "", [["N", 3, 4]], (g, [x]) => g.Flatten(x)),
  of("Transpose", "", [["N", 3, 4]], (g, [x]) => g.Transpose(x, { perm: [1, 2, 0] })),
  of("Transpose", "reversed", [["N", 3, 4]], (g, [x]) => g.Transpose(x)),
  of("Squeeze", "", [["N", 1, 4]], (g, [x]) => g.Squeeze(x, ints(g, 1))),
  of("Unsqueeze", "", [["N", 4]], (g, [x]) => g.Unsqueeze(x, ints(g, 0, -1))),
  of(
    "Concat",
    "",
    [
      ["N", 3],
      ["N", 1],
      ["N", 2],
    ],
    (g, x) => g.Concat(...x, { axis: 1 }),
  ),
  of("Slice", "front", [["N", 6, 5]], (g, [x]) => g.Slice(x, ints(g, 1), ints(g, -1), ints(g, 1))),
  of("Slice", "steps", [["N", 7, 6]], (g, [x]) =>
    g.Slice(x, ints(g, 1, 5), ints(g, 7, 0), ints(g, 1, 2), ints(g, 3, -2)),
  ),
  of("Slice", "flipped", [["N", 4, 3]], (g, [x]) =>
    g.Slice(x, ints(g, -1, -1), ints(g, -(2 ** 31 - 1), -(2 ** 31 - 1)), ints(g, 1, 2), ints(g, -1, -1)),
  ),
  of("Split", "", [["N", 7]], (g, [x]) => {
    const [a, , c] = g.emit("Split", [x, g.ints([2, 3, 2])], { axis: 1 }, 3);
    return g.Mul(a, c);
  }),
  of("Pad", "", [["N", 3, 4]], (g, [x]) => g.Pad(x, ints(g, 0, 1, 2, 0, 0, -1))),
  of("Pad", "axes", [["N", 3, 4]], (g, [x]) => g.Pad(x, ints(g, 2, 1), 0.5, ints(g, -1))),
  of("Expand", "", [[3, 1]], (g, [x]) => g.Expand(x, ints(g, 2, 1, 4))),
  of("Gather", "rows", [[5, 3]], (g, [x]) => g.Gather(x, ints(g, 4, 0, 4, -1))),
  of("Gather", "columns, two axes", [["N", 5, 3]], (g, [x]) =>
    g.Gather(x, tensor("int64", [1, 1, 0, 4], [2, 2]), { axis: 1 }),
  ),
  of("Gather", "one", [["N", 5, 3]], (g, [x]) => g.Gather(x, tensor("int64", [2], []), { axis: 1 })),
  of("GatherElements", "", [[3, 4]], (g, [x]) =>
    g.GatherElements(x, tensor("int64", [0, 0, 3, 1, 2, 2], [3, 2]), { axis: 1 }),
  ),
  of(
    "ScatterElements",
    "add",
    [
      [3, 4],
      [3, 2],
    ],
    (g, [x, u]) =>
      g.ScatterElements(x, tensor("int64", [0, 0, 3, 1, 2, 2], [3, 2]), u, { axis: 1, reduction: "add" }),
  ),
  of(
    "ScatterElements",
    "replace",
    [
      [3, 4],
      [3, 2],
    ],
    (g, [x, u]) => g.ScatterElements(x, tensor("int64", [0, 1, 3, 1, 2, 0], [3, 2]), u, { axis: 1 }),
  ),
  resize("nearest", [1, 1, 2, 2], {
    mode: "nearest",
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: "floor",
  }),
  resize("nearest, uneven", [1, 1, 1.7, 0.8], { mode: "nearest" }),
  resize("bilinear", [1, 1, 2, 3], { mode: "linear" }),
  resize("bilinear, aligned, smaller", [1, 1, 2, 0.5], {
    mode: "linear",
    coordinate_transformation_mode: "align_corners",
  }),
  of("Resize", "to sizes", [["N", 2, 3, 4]], (g, [x]) =>
    g.Resize(x, undefined, undefined, g.ints([5, 7]), { mode: "linear", axes: [2, 3] }),
  ),
];
