import type { Graph } from "../graph/index.ts";

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
