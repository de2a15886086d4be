import type { Graph, Node } from "../graph/index.ts";
import type { Range } from "./histogram.ts";
import { readers, weightsOf } from "./lookup.ts";

/** How a node takes part in a quantised graph. */
export type Part =
  /** Multiplies by weights, in whole numbers. */
  | "weights"
  /** Joins values that are whole numbers already: it is worth it only there. */
  | "join"
  /** Moves or picks numbers: what comes out has the codes of what went in. */
  | "move";

const joins: ReadonlySet<string> = new Set(["Add", "Mul", "Concat", "AveragePool"]);
const moves: ReadonlySet<string> = new Set([
  "MaxPool",
  "Reshape",
  "Flatten",
  "Transpose",
  "Squeeze",
  "Unsqueeze",
]);

export const isJoin = ({ op, domain }: Node): boolean => domain === "" && joins.has(op);

/** A node by its name, or by its first output where it has none or for brevity. */
export const isCalled = (node: Node, names: readonly string[]): boolean =>
  names.includes(node.outputs[0]!) || (node.name !== "" && names.includes(node.name));

/** Axis of the output channels in a node's weights; `undefined` where they cannot be quantised. */
export function channelAxis(graph: Graph, { op, inputs, attributes }: Node): number | undefined {
  const weights = weightsOf(graph, inputs[1]);
  if (!weights) return undefined;
  const bias = inputs[2] ? weightsOf(graph, inputs[2]) : null;
  if (bias === undefined) return undefined;
  if (op === "Conv") return 0;
  const whole = (key: string, standard: number): boolean => (attributes[key]?.value ?? standard) === standard;
  if (op === "Gemm" && whole("alpha", 1) && whole("beta", 1) && whole("transA", 0)) {
    const axis = attributes.transB?.value ? 0 : 1;
    return !bias || (bias.dims.length === 1 && bias.dims[0] === weights.dims[axis]) ? axis : undefined;
  }
  return op === "MatMul" && weights.dims.length === 2 ? 1 : undefined;
}

/** Which nodes are quantised, by first output. */
export function planOf(graph: Graph, keepFloat: readonly string[] = []): ReadonlyMap<string, Part> {
  const parts = new Map<string, Part>();
  const ends = new Set(graph.outputs.map(({ name }) => name));
  for (const node of graph.nodes) {
    const [output] = node.outputs as [string];
    if (isCalled(node, keepFloat)) continue;
    if (channelAxis(graph, node) !== undefined) parts.set(output, "weights");
    // The embedding itself is not rounded.
    else if (ends.has(output)) continue;
    else if (isJoin(node) && node.inputs.every((name) => parts.has(name))) parts.set(output, "join");
    else if (moves.has(node.op) && node.outputs.length === 1 && parts.has(node.inputs[0]!))
      parts.set(output, "move");
  }
  return parts;
}

/**
 * A graph without the rectifiers that quantisation does anyway: where the codes of what comes out of a `Relu` or `Clip`
 * cannot say what it would cut off, the node before writes them at once.
 *
 * @param codes the numbers that the codes of a value can say.
 */
export function dropRectifiers(
  graph: Graph,
  parts: ReadonlyMap<string, Part>,
  codes: (value: string) => Range | undefined,
): Graph {
  const counts = readers(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const renamed = new Map<string, string>();
  const nodes = graph.nodes.filter((node) => {
    const [x, y] = [node.inputs[0]!, node.outputs[0]!];
    const bounds = boundsOf(graph, node);
    const said = codes(y);
    if (!bounds || !said || outputs.has(y) || counts.get(x) !== 1) return true;
    if (parts.get(x) !== "weights" && parts.get(x) !== "join") return true;
    const slack = 1e-5 * (said.high - said.low);
    if (said.low < bounds.low - slack || said.high > bounds.high + slack) return true;
    renamed.set(x, y);
    return false;
  });
  return {
    ...graph,
    nodes: nodes.map((node) => ({ ...node, outputs: node.outputs.map((name) => renamed.get(name) ?? name) })),
  };
}

/** Between what a rectifier lets through; `undefined` for every other node. */
export function boundsOf(graph: Graph, { op, inputs }: Node): Range | undefined {
  if (op === "Relu") return { low: 0, high: Number.POSITIVE_INFINITY };
  if (op !== "Clip") return undefined;
  const bound = (name: string | undefined, none: number): number | undefined =>
    name ? weightsOf(graph, name)?.data[0] : none;
  const [low, high] = [
    bound(inputs[1], Number.NEGATIVE_INFINITY),
    bound(inputs[2], Number.POSITIVE_INFINITY),
  ];
  return low === undefined || high === undefined ? undefined : { low, high };
}
