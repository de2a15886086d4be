import { type GradientMark, type Graph, type Node, renameMark, renameNode } from "../graph.ts";
import { removeDead } from "../simplify.ts";

/** Who makes and who reads each value. */
export interface Index {
  producer(value: string): Node | undefined;
  /** The gradient that flows into input `input` of `node`, where it came about in one way only. */
  gradient(node: Node, input: number): { readonly dy: string; readonly value: string } | undefined;
  attribute<T>(node: Node, name: string, otherwise: T): T;
}

export function indexOf(graph: Graph): Index {
  const makers = new Map(
    graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)),
  );
  const marksOf = new Map<string, GradientMark[]>();
  for (const mark of graph.marks ?? []) marksOf.set(mark.output, [...(marksOf.get(mark.output) ?? []), mark]);
  return {
    producer: (value) => makers.get(value),
    gradient(node, input) {
      const marks = marksOf.get(node.outputs[0]!)?.filter((mark) => mark.input === input) ?? [];
      return marks.length === 1 && makers.has(marks[0]!.value) ? marks[0] : undefined;
    },
    attribute: <T>(node: Node, name: string, otherwise: T): T =>
      (node.attributes[name]?.value as T | undefined) ?? otherwise,
  };
}

/** A convolution with a square kernel of odd `side` that keeps the size: one group, stride 1, no dilation, padded to fit. */
export function keepsSize(index: Index, conv: Node, side: number): boolean {
  const ints = (name: string, otherwise: readonly number[]): string =>
    index.attribute(conv, name, otherwise).join();
  const pad = (side - 1) / 2;
  return (
    ints("pads", [0, 0, 0, 0]) === [pad, pad, pad, pad].join() &&
    ints("strides", [1, 1]) === "1,1" &&
    ints("dilations", [1, 1]) === "1,1" &&
    index.attribute<number>(conv, "group", 1) === 1 &&
    index.attribute(conv, "auto_pad", "NOTSET") === "NOTSET"
  );
}

/**
 * The graph with every reader of a key of `replaced` reading its value instead. What nobody needs any more is removed,
 * and nodes are brought into an order in which each comes after those that it reads.
 */
export function substitute(graph: Graph, replaced: ReadonlyMap<string, string>): Graph {
  const makers = new Map(
    graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)),
  );
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  // An output of the graph keeps its name: what made it before gets another.
  const rename = new Map<string, string>();
  for (const [from, to] of replaced) {
    if (!outputs.has(from)) continue;
    rename.set(to, from);
    rename.set(from, `${from}/before`);
  }
  const follow = (name: string): string => {
    const to = replaced.get(name) ?? name;
    return rename.get(to) ?? to;
  };
  const made = (name: string): string => rename.get(name) ?? name;
  const ordered: Node[] = [];
  const placed = new Set<Node>();
  const place = (node: Node): void => {
    if (placed.has(node)) return;
    placed.add(node);
    for (const name of node.inputs) {
      const maker = makers.get(replaced.get(name) ?? name);
      if (maker) place(maker);
    }
    ordered.push(renameNode(node, follow, made));
  };
  // From the outputs backwards: what was replaced is not reached, and so cannot close a circle.
  for (const { name } of graph.outputs) {
    const maker = makers.get(replaced.get(name) ?? name);
    if (maker) place(maker);
  }
  const marks = graph.marks?.map((mark) => renameMark(mark, follow));
  return removeDead({ ...graph, nodes: ordered, marks });
}
