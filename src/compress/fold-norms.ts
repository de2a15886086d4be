import { type Graph, type Node, numbersOf, removeDead, tensor } from "../graph/index.ts";
import { readers } from "./lookup.ts";

/**
 * The same function without batch normalisation behind convolutions: with k = γ/√(σ² + ε), a channel's filter becomes
 * k·w and its bias k·(b − μ) + β (Jacob et al. 2018, arXiv:1712.05877, section 3.2). What stands elsewhere stays.
 */
export function foldNorms(graph: Graph): Graph {
  const initializers = new Map(graph.initializers);
  const read = (name: string | undefined): Float64Array | undefined => {
    const found = initializers.get(name ?? "");
    return found && numbersOf(found);
  };
  const counts = readers(graph);
  const nodes: Node[] = [];
  const places = new Map<string, number>();
  for (const node of graph.nodes) {
    const [x, ...statistics] = node.inputs;
    const place = places.get(x ?? "");
    const conv = place === undefined ? undefined : nodes[place];
    const [scale, shift, mean, variance] = statistics.map(read);
    const weight = conv && initializers.get(conv.inputs[1]!);
    const bias = conv?.inputs[2] ? read(conv.inputs[2]) : new Float64Array(weight?.dims[0] ?? 0);
    const known = scale && shift && mean && variance && weight && bias;
    if (node.op !== "BatchNormalization" || conv?.op !== "Conv" || counts.get(x!) !== 1 || !known) {
      for (const output of node.outputs) places.set(output, nodes.length);
      nodes.push(node);
      continue;
    }
    // The float32 nearest to 1e-5 is what the file holds.
    const epsilon = Number(node.attributes.epsilon?.value ?? 1e-5);
    const factors = scale.map((gamma, c) => gamma / Math.sqrt(variance[c]! + epsilon));
    const each = weight.data.length / factors.length;
    const output = node.outputs[0]!;
    const names = [`${output}/weight`, `${output}/bias`] as const;
    initializers.set(
      names[0],
      tensor(
        "float32",
        numbersOf(weight).map((w, i) => w * factors[Math.floor(i / each)]!),
        weight.dims,
      ),
    );
    initializers.set(
      names[1],
      tensor(
        "float32",
        factors.map((k, c) => k * (bias[c]! - mean[c]!) + shift[c]!),
      ),
    );
    nodes[place!] = { ...conv, inputs: [conv.inputs[0]!, ...names], outputs: [output] };
    places.set(output, place!);
  }
  return removeDead({ ...graph, nodes, initializers });
}
