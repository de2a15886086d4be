import { type Graph, type Node, numbersOf, renameMark, renameNode, sizeOf, tensor } from "./graph.ts";
import { attributesOf, verify } from "./infer.ts";
import { type Kernel, kernels, type NdArray } from "./kernels.ts";
import type { OpName } from "./operators.ts";

/** Without the nodes, constants and spare outputs that no output of the graph needs. Inputs stay: they are its signature. */
export function removeDead(graph: Graph, kept: readonly string[] = []): Graph {
  const needed = new Set([...graph.outputs.map(({ name }) => name), ...kept]);
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    const last = node.outputs.findLastIndex((output) => needed.has(output));
    // The runtime computes every output that has a name. Some operators must keep all of theirs.
    const whole = node.op === "Split" || node.op === "BatchNormalization";
    const spare = !whole && last + 1 < node.outputs.length;
    nodes.push(spare ? { ...node, outputs: node.outputs.slice(0, last + 1) } : node);
    for (const input of node.inputs) needed.add(input);
  }
  return {
    ...graph,
    nodes: nodes.reverse(),
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
  };
}

/** Larger results than this many elements are left to the runtime. */
const FOLD_LIMIT = 1 << 16;

/** Computes what depends on constants alone, shapes that are known among it. */
export function foldConstants(graph: Graph): Graph {
  const initializers = new Map(graph.initializers);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const types = verify(graph);
  const cache = new Map<string, NdArray>();
  const read = (name: string): NdArray | undefined => {
    if (name === "") return undefined;
    const held = cache.get(name);
    if (held) return held;
    const value = initializers.get(name)!;
    const array = { dims: value.dims, data: numbersOf(value), type: value.dtype };
    cache.set(name, array);
    return array;
  };
  const nodes = graph.nodes.filter((node) => {
    const made = node.outputs.map((name) => types.get(name)!);
    if (node.outputs.some((name) => outputs.has(name)) || node.op === "Dropout") return true;
    const sizes = made.map(({ shape }) =>
      shape.every((d) => typeof d === "number") ? sizeOf(shape) : FOLD_LIMIT,
    );
    if (Math.max(...sizes) >= FOLD_LIMIT) return true;
    const [first] = made;
    if (made.length === 1 && first!.known?.every((d) => typeof d === "number")) {
      initializers.set(
        node.outputs[0]!,
        tensor(first!.dtype, first!.known as number[], first!.shape as number[]),
      );
      return false;
    }
    if (!node.inputs.every((name) => name === "" || initializers.has(name))) return true;
    const kernel = kernels[node.op as OpName] as Kernel<OpName>;
    const results = kernel(node.inputs.map(read) as never, attributesOf(node) as never, node.outputs.length);
    node.outputs.forEach((name, i) => {
      initializers.set(name, tensor(made[i]!.dtype, results[i]!.data, results[i]!.dims));
    });
    return false;
  });
  return removeDead({ ...graph, nodes, initializers });
}

/** Keeps one of several nodes that compute the same, and bypasses `Identity`. */
export function shareCommon(graph: Graph): Graph {
  const alias = new Map<string, string>();
  const follow = (name: string): string => alias.get(name) ?? name;
  const seen = new Map<string, Node>();
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    const node = renameNode(original, follow, (name) => name);
    const isOutput = node.outputs.some((name) => outputs.has(name));
    if (node.op === "Identity" && !isOutput) {
      alias.set(node.outputs[0]!, node.inputs[0]!);
      continue;
    }
    const key = JSON.stringify(
      [node.op, node.domain, node.inputs, node.attributes, node.outputs.length],
      (_, v) => (typeof v === "bigint" ? `${v}` : v),
    );
    const twin = node.op === "Dropout" ? undefined : seen.get(key);
    if (twin && !isOutput)
      node.outputs.forEach((name, i) => {
        alias.set(name, twin.outputs[i]!);
      });
    else {
      seen.set(key, node);
      nodes.push(node);
    }
  }
  const marks = graph.marks?.map((mark) => renameMark(mark, follow));
  return { ...graph, nodes, marks };
}

/** The same function with less work: constants folded, common nodes shared, dead ones removed. */
export const simplify = (graph: Graph): Graph => removeDead(shareCommon(foldConstants(graph)));
