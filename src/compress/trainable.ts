import type { Graph } from "../graph/index.ts";

/** The graph with some constants as inputs, and its images in batches of one size, as gradients need them. */
export function trainable(graph: Graph, names: ReadonlySet<string>, batch: readonly number[]): Graph {
  const initializers = new Map(graph.initializers);
  const weights = [...names].map((name) => {
    const { dtype, dims } = initializers.get(name)!;
    initializers.delete(name);
    return { name, dtype, shape: dims };
  });
  return {
    ...graph,
    inputs: [{ ...graph.inputs[0]!, shape: batch }, ...weights],
    outputs: graph.outputs.map((output) => ({ ...output, shape: null })),
    initializers,
  };
}
