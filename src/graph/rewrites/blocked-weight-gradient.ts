import type { Graph } from "../graph.ts";
import { rewriteBlocked } from "./each.ts";
import { keepsSize } from "./match.ts";
import { blockedWeightGradient } from "./weight-gradient.ts";

/**
 * R4 for the weights of a convolution on its own.
 *
 * Condition: a kernel of 3x3 or 1x1 that keeps the size, one group, stride 1, no dilation, sizes known, channels that are
 * multiples of the block on both sides, and one gradient.
 */
export const blockedWeightGradients = (graph: Graph, block: number): Graph =>
  rewriteBlocked(graph, block, ({ g, layout, index, node, replace }) => {
    if (node.op !== "Conv" || node.domain !== "") return;
    const gradient = index.gradient(node, 1);
    if (!gradient) return;
    const [x, w] = node.inputs.map((name) => g.value(name));
    if (![...x!.shape, ...w!.shape].every((dim) => typeof dim === "number") || x!.shape.length !== 4) return;
    const [outer, inner, kh, kw] = w!.shape as readonly number[] as [number, number, number, number];
    if (kh !== kw || (kh !== 1 && kh !== 3) || outer % block !== 0 || inner % block !== 0) return;
    if (!keepsSize(index, node, kh)) return;
    const dy = layout.toBlocked(g.value(gradient.dy));
    replace(gradient.value, blockedWeightGradient(g, layout, layout.toBlocked(x!), dy, kh));
  });
