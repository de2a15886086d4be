import type { DType, Graph } from "../graph/index.ts";

/** A model file: its graph, and what the file says about itself. */
export interface Model {
  /** Version of the file format. */
  readonly irVersion: number;
  readonly producer: { readonly name: string; readonly version: string };
  readonly domain: string;
  readonly version: number;
  /** Free text by key, for example `protoline.manifest`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly graph: Graph;
}

/** TensorProto.DataType of each element type. */
export const dataTypes: Record<DType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
};

/** AttributeProto.AttributeType of each kind of attribute. */
export const attributeTypes = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  floats: 6,
  ints: 7,
  strings: 8,
} as const;
