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

/** Which inputs of an operator are weights that training may move. */
const weightInputs: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [1, 2],
  MatMul: [1],
  PRelu: [1],
  // The statistics stay what they are.
  BatchNormalization: [1, 2],
};

/** Constants that training may move. */
export function weightNames({ nodes, initializers }: Graph): ReadonlySet<string> {
  return new Set(
    nodes.flatMap(({ op, inputs }) =>
      (weightInputs[op] ?? []).flatMap((i) =>
        initializers.get(inputs[i] ?? "")?.dtype === "float32" ? [inputs[i]!] : [],
      ),
    ),
  );
}
