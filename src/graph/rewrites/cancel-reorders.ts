import { BLOCKED } from "../blocked-operators.ts";
import type { Graph } from "../graph.ts";
import { indexOf, substitute } from "./match.ts";

/**
 * R0, between two blocks: what is made plain and then blocked again stays blocked.
 *
 * Condition: a `ReorderInput` that reads a `ReorderOutput` of the same channels.
 */
export function cancelReorders(graph: Graph): Graph {
  const index = indexOf(graph);
  const replaced = new Map<string, string>();
  for (const node of graph.nodes) {
    if (node.domain !== BLOCKED || node.op !== "ReorderInput") continue;
    const before = index.producer(node.inputs[0]!);
    if (before?.domain === BLOCKED && before.op === "ReorderOutput")
      replaced.set(node.outputs[0]!, before.inputs[0]!);
  }
  return replaced.size > 0 ? substitute(graph, replaced) : graph;
}
