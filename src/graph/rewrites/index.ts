import { createBuilder } from "../builder.ts";
import type { Graph } from "../graph.ts";
import { shareCommon, simplify } from "../simplify.ts";
import { blockedBlocks } from "./block.ts";
import { blockedConvs } from "./blocked-conv.ts";
import { blockedElementwise } from "./blocked-elementwise.ts";
import { blockedNorms } from "./blocked-norm.ts";
import { blockedPools } from "./blocked-pool.ts";
import { blockedWeightGradients } from "./blocked-weight-gradient.ts";
import { cancelReorders } from "./cancel-reorders.ts";
import { cancelChunks } from "./chunks.ts";
import { plainNorms } from "./plain-norm.ts";
import { poolIndicesOnCpu } from "./pool-indices.ts";

/** What a machine was found to have. */
export interface Probe {
  /** Channels in a block of the runtime's own layout: 16 with AVX-512, 8 with AVX2; `null` where there is none. */
  readonly block: number | null;
}

/**
 * A graph that shows the block size: fed `x` `[1, 4, 1, 1]`, it gives `y` of as many channels as a block has. Where the
 * runtime refuses the graph or gives back 4, there is no such layout.
 */
export function probeGraph(): Graph {
  const g = createBuilder("probe");
  const x = g.input("x", "float32", [1, 4, 1, 1]);
  const graph = g.build({ y: g.blocked("ReorderInput", [x]) });
  return { ...graph, outputs: [{ name: "y", dtype: "float32", shape: null }] };
}

/** The probe's result from the shape of its `y`; `null` for a runtime that refused it. */
export function probeResult(dims: readonly number[] | null): Probe {
  const block = dims?.[1];
  return { block: block === 8 || block === 16 ? block : null };
}

/**
 * The rewrite that pays on an execution provider: a graph that computes the same numbers, up to rounding, in less time.
 * Where no rule fits, it is the portable graph, simplified. For WebGPU, what that provider cannot run is taken apart.
 */
export function rewriteFor(provider: string, { block }: Probe): (graph: Graph) => Graph {
  if (provider === "webgpu") return (graph) => shareCommon(poolIndicesOnCpu(plainNorms(simplify(graph))));
  if (provider !== "cpu" || block === null) return simplify;
  // Whole blocks first, then what is left of them one by one, then what lies between.
  const rules = [
    blockedBlocks,
    blockedWeightGradients,
    blockedConvs,
    blockedNorms,
    blockedPools,
    blockedElementwise,
    cancelReorders,
    cancelChunks,
  ];
  return (graph) => shareCommon(rules.reduce((now, rule) => rule(now, block), simplify(graph)));
}
