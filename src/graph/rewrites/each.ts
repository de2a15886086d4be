import { type Builder, createBuilder, type Value } from "../builder.ts";
import type { Graph, Node } from "../graph.ts";
import { createLayout, type Layout } from "./layout.ts";
import { type Index, indexOf, substitute } from "./match.ts";

/** What a rule for single nodes works with. */
export interface Site {
  readonly g: Builder;
  readonly index: Index;
  readonly node: Node;
  /** Everybody who reads `name` shall read `value`. */
  replace(name: string, value: Value): void;
}

/** Asks a rule at every node of the graph that there was, and puts what it replaces in place. */
export function rewriteEach(graph: Graph, rule: (site: Site) => void): Graph {
  const g = createBuilder(graph.name, graph);
  const index = indexOf(graph);
  const replaced = new Map<string, string>();
  const replace = (name: string, value: Value): void => void replaced.set(name, value.name);
  for (const node of graph.nodes) g.scope(`${node.name}/rewritten`, () => rule({ g, index, node, replace }));
  if (replaced.size === 0) return graph;
  const outputs = Object.fromEntries(graph.outputs.map(({ name }) => [name, g.value(name)]));
  return substitute(g.build(outputs, [...replaced.values()]), replaced);
}

/** The same for a rule that uses the blocked layout. */
export function rewriteBlocked(
  graph: Graph,
  block: number,
  rule: (site: Site & { readonly layout: Layout }) => void,
): Graph {
  let layout: Layout | undefined;
  return rewriteEach(graph, (site) => {
    layout ??= createLayout(site.g, block);
    rule({ ...site, layout });
  });
}
