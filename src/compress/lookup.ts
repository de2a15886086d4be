import type { Graph, Tensor } from "../graph/index.ts";

/** How often each value is read; a graph output counts as a reader. */
export function readers(graph: Graph): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const names = [...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)];
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** A constant in float32, or `undefined` for everything else. */
export function weightsOf(graph: Graph, name: string | undefined): Tensor<"float32"> | undefined {
  const found = graph.initializers.get(name ?? "");
  return found?.dtype === "float32" ? (found as Tensor<"float32">) : undefined;
}
