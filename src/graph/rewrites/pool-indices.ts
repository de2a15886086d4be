import { createBuilder } from "../builder.ts";
import type { Graph } from "../graph.ts";
import { substitute } from "./match.ts";

const [float32, float64] = [1, 11];

/**
 * Where the places of the largest are asked of a max-pooling, they are found in float64. ONNX Runtime's WebGPU provider
 * takes a pooling in float32 and then refuses the places; float64 it leaves to the CPU.
 */
export function poolIndicesOnCpu(graph: Graph): Graph {
  const g = createBuilder(graph.name, graph);
  const replaced = new Map<string, string>();
  for (const node of graph.nodes) {
    const [y, places] = node.outputs;
    if (node.op !== "MaxPool" || !places) continue;
    const attributes = Object.fromEntries(
      Object.entries(node.attributes).map(([key, { value }]) => [key, value]),
    );
    g.scope(`${node.name}/places`, () => {
      const x = g.Cast(g.value(node.inputs[0]!), { to: float64 });
      const [largest, found] = g.emit("MaxPool", [x], attributes, 2);
      replaced.set(y!, g.Cast(largest!, { to: float32 }).name);
      replaced.set(places, found!.name);
    });
  }
  if (replaced.size === 0) return graph;
  const outputs = Object.fromEntries(graph.outputs.map(({ name }) => [name, g.value(name)]));
  return substitute(g.build(outputs, [...replaced.values()]), replaced);
}
