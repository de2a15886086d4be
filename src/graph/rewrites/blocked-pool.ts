import type { Graph } from "../graph.ts";
import { rewriteBlocked } from "./each.ts";
import { interleave, isHalving, padTo, pooled, spreadGradient } from "./pool-gradient.ts";

/**
 * R2 for a 2x2 max-pooling on its own, with its gradient: in the blocked layout, without indices.
 *
 * Condition: windows of two that do not overlap, no padding, the image comes out of the blocked layout, sizes known.
 */
export const blockedPools = (graph: Graph, block: number): Graph =>
  rewriteBlocked(graph, block, ({ g, layout, index, node, replace }) => {
    if (!isHalving(index, node)) return;
    const x = g.value(node.inputs[0]!);
    if (!x.shape.every((dim) => typeof dim === "number") || Number(x.shape[1]) % block !== 0) return;
    const gradient = index.gradient(node, 0);
    if (node.outputs[1] && !gradient) return;
    const whole = layout.toBlocked(x);
    const { p, lower } = pooled(layout, whole);
    replace(node.outputs[0]!, layout.toPlain(p));
    if (!gradient) return;
    const { phases } = spreadGradient(g, layout.toBlocked(g.value(gradient.dy)), lower);
    replace(gradient.value, layout.toPlain(padTo(g, layout, interleave(g, layout, phases), whole)));
  });
