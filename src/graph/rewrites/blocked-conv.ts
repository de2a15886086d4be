import type { Graph, Node } from "../graph.ts";
import { rewriteBlocked } from "./each.ts";

/**
 * R0 for a convolution on its own, forward or of a gradient: 247 to 322 GFLOP/s against 35 to 176 at 64 channels, which
 * outweighs the two changes of layout. The runtime does this itself where the weights are constants, so only weights
 * that are fed or computed are meant.
 *
 * Condition: two dimensions, one group, kernels up to 7, explicit padding, output channels a multiple of the block, and
 * input channels too or fewer than a block.
 */
export const blockedConvs = (graph: Graph, block: number): Graph =>
  rewriteBlocked(graph, block, ({ g, layout, node, replace }) => {
    if (node.op !== "Conv" || node.domain !== "" || graph.initializers.has(node.inputs[1]!)) return;
    const [x, w, bias] = node.inputs.map((name) => (name ? g.value(name) : undefined));
    const [outer, inner, kh, kw] = w!.shape.map(Number) as [number, number, number, number];
    const small = w!.shape.length === 4 && kh <= 7 && kw <= 7;
    const plain = inner < block;
    const fits = small && inner === x!.shape[1] && (plain || inner % block === 0) && outer % block === 0;
    if (!fits || (node.attributes.auto_pad?.value ?? "NOTSET") !== "NOTSET") return;
    const y = layout.conv(plain ? x! : layout.toBlocked(x!), layout.weights(w!), {
      kernel: [kh, kw],
      strides: pair(node, "strides"),
      dilations: pair(node, "dilations"),
      pads: node.attributes.pads?.value as readonly [number, number, number, number] | undefined,
      bias,
    });
    replace(node.outputs[0]!, layout.toPlain(y));
  });

const pair = (node: Node, name: string): readonly [number, number] | undefined =>
  node.attributes[name]?.value as readonly [number, number] | undefined;
