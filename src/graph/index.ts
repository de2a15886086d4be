export { gradients } from "./autodiff.ts";
export { type Builder, createBuilder, type Operand, type Value } from "./builder.ts";
export { evaluate } from "./evaluate.ts";
export {
  type Attribute,
  arrayFromBytes,
  bytesOf,
  bytesOfTensor,
  type Dim,
  type DType,
  dtypeCodes,
  fromHalf,
  type GradientMark,
  type Graph,
  isFloat,
  type Node,
  numbersOf,
  type Shape,
  sizeOf,
  type Tensor,
  type TypedArrays,
  tensor,
  toHalf,
  UNKNOWN,
  type ValueInfo,
  type ValueType,
} from "./graph.ts";
export { verify } from "./infer.ts";
export type { NdArray } from "./kernels.ts";
export { type Attributes, OPSET, type OpName, type Typed } from "./operators.ts";
export { print } from "./print.ts";
export { type Probe, probeGraph, probeResult, rewriteFor } from "./rewrites/index.ts";
export { foldConstants, removeDead, shareCommon, simplify } from "./simplify.ts";
export { weightLayers, widenWeights } from "./weights.ts";
