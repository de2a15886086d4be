import { sizeOf, type ValueInfo } from "../graph/index.ts";
import type { Model } from "./model.ts";

/** What a model is made of, for a person who chooses one. */
export interface ModelSummary {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** How often each operator occurs, most frequent first; names of other domains carry theirs: `com.microsoft.nchwc.Conv`. */
  readonly operators: readonly { readonly op: string; readonly count: number }[];
  /** Numbers among the constants that are floating point: the weights, and the few scalars beside them. */
  readonly parameters: number;
}

export function summarize({ graph }: Model): ModelSummary {
  const counts = new Map<string, number>();
  for (const { op, domain } of graph.nodes) {
    const name = domain ? `${domain}.${op}` : op;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  let parameters = 0;
  for (const { dtype, dims } of graph.initializers.values())
    if (dtype.startsWith("float") || dtype.endsWith("int8")) parameters += sizeOf(dims);
  return {
    inputs: graph.inputs,
    outputs: graph.outputs,
    operators: [...counts]
      .map(([op, count]) => ({ op, count }))
      .sort((a, b) => b.count - a.count || (a.op < b.op ? -1 : 1)),
    parameters,
  };
}
