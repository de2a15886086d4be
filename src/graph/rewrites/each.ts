import { type Builder, createBuilder, type Value } from "../builder.ts";
import type { Graph, Node } from "../graph.ts";
import { createLayout, type Layout } from "./layout.ts";
import { type Index, indexOf, substitute } from "./match.ts";

/** What a rule for single nodes works with. */
export interface Site {
  readonly g: Builder;
  readonly layout: Layout;
  readonly index: Index;
  readonly node: Node;
  /** Everybody who reads `name` shall read `value`. */
  replace(name: string, value: Value): void;
}

/** Asks a rule at every node of the graph that there was, and puts what it replaces in place. */
export function rewriteEach(graph: Graph, block: number, rule: (site: Site) => void): Graph {
  const g = createBuilder(graph.name, graph);
  const layout = createLayout(g, block);
  const index = indexOf(graph);
  const replaced = new Map<string, string>();
  const replace = (name: string, value: Value): void => void replaced.set(name, value.name);
  for (const node of graph.nodes)
    g.scope(`${node.name}/blocked`, () => rule({ g, layout, index, node, replace }));
  if (replaced.size === 0) return graph;
  const outputs = Object.fromEntries(graph.outputs.map(({ name }) => [name, g.value(name)]));
  return substitute(g.build(outputs, [...replaced.values()]), replaced);
}
