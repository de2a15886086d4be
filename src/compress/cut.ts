import { type Graph, type Node, removeDead, sizeOf, type Tensor, tensor, verify } from "../graph/index.ts";
import type { Channels } from "./channels.ts";

/**
 * The graph without channels: every constant without their parts, depthwise convolutions with as many groups as are
 * left, and shapes of what comes out counted anew.
 *
 * @param gone whether a group, by its root, is cut.
 */
export function cut(graph: Graph, { slots, root, values }: Channels, gone: (root: number) => boolean): Graph {
  const initializers = new Map(graph.initializers);
  const keep = (ids: readonly number[]): number[] => ids.flatMap((id, i) => (gone(root(id)) ? [] : [i]));
  for (const { constant, axis, ids } of slots)
    initializers.set(constant, pick(initializers.get(constant)!, axis, keep(ids)));
  const nodes = graph.nodes.map((node): Node => {
    const perGroup = graph.initializers.get(node.inputs[1] ?? "")?.dims[1];
    const group = node.attributes.group;
    if (node.op !== "Conv" || group?.type !== "int" || group.value === 1 || perGroup !== 1) return node;
    const inputs = values.get(node.inputs[0]!);
    return inputs
      ? { ...node, attributes: { ...node.attributes, group: { type: "int", value: keep(inputs).length } } }
      : node;
  });
  const smaller = removeDead({ ...graph, nodes, initializers });
  const types = verify(smaller);
  return {
    ...smaller,
    outputs: smaller.outputs.map((output) => ({ ...output, shape: types.get(output.name)!.shape })),
  };
}

/** The elements `kept` of an axis, in that order. */
export function pick(value: Tensor, axis: number, kept: readonly number[]): Tensor {
  const [before, after] = [sizeOf(value.dims.slice(0, axis)), sizeOf(value.dims.slice(axis + 1))];
  const size = value.dims[axis]!;
  const dims = value.dims.map((dim, i) => (i === axis ? kept.length : dim));
  const { data } = tensor(value.dtype, new Float64Array(sizeOf(dims)), dims);
  let to = 0;
  for (let b = 0; b < before; b++)
    for (const i of kept)
      for (let a = 0; a < after; a++) data[to++] = value.data[(b * size + i) * after + a]!;
  return { ...value, dims, data };
}
