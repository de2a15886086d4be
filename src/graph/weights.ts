import { dtypeCodes, type Graph, numbersOf, tensor } from "./graph.ts";

/** Which inputs of an operator are weights that training may move; the statistics of a normalisation are not. */
const weightInputs: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [1, 2],
  MatMul: [0, 1],
  PRelu: [1],
  BatchNormalization: [1, 2],
  LayerNormalization: [1, 2],
};

/** The float32 constants that training may move, by name, with the layer that each belongs to: 0, 1, … in the graph's order. */
export function weightLayers({ nodes, initializers }: Graph): ReadonlyMap<string, number> {
  const layers = new Map<string, number>();
  let layer = 0;
  for (const { op, inputs } of nodes) {
    const own = (weightInputs[op] ?? []).flatMap((i) => {
      const name = inputs[i] ?? "";
      return initializers.get(name)?.dtype === "float32" && !layers.has(name) ? [name] : [];
    });
    for (const name of own) layers.set(name, layer);
    if (own.length > 0) layer++;
  }
  return layers;
}

/** The graph with weights that are kept in half precision and widened by a Cast as float32 constants. */
export function widenWeights(graph: Graph): Graph {
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.filter(({ op, inputs, outputs, attributes }) => {
    const half = initializers.get(inputs[0] ?? "");
    if (op !== "Cast" || half?.dtype !== "float16" || attributes.to?.value !== dtypeCodes.float32)
      return true;
    initializers.set(outputs[0]!, tensor("float32", numbersOf(half), half.dims));
    return false;
  });
  return { ...graph, nodes, initializers };
}
