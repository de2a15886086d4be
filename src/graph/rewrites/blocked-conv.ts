import { createBuilder } from "../builder.ts";
import type { Graph, Node } from "../graph.ts";
import { createLayout } from "./layout.ts";
import { substitute } from "./match.ts";

/**
 * R0 for a convolution on its own, forward or of a gradient: 247 to 322 GFLOP/s against 35 to 176 at 64 channels, which
 * outweighs the two changes of layout. The runtime does this itself where the weights are constants, so only weights
 * that are fed or computed are meant.
 *
 * Condition: two dimensions, one group, kernels up to 7, explicit padding, and channels that are multiples of the block
 * on both sides.
 */
export function blockedConvs(graph: Graph, block: number): Graph {
  const g = createBuilder(graph.name, graph);
  const layout = createLayout(g, block);
  const replaced = new Map<string, string>();
  for (const node of graph.nodes) {
    if (node.op !== "Conv" || node.domain !== "" || graph.initializers.has(node.inputs[1]!)) continue;
    const [x, w, bias] = node.inputs.map((name) => (name ? g.value(name) : undefined));
    const [outer, inner, kh, kw] = w!.shape.map(Number) as [number, number, number, number];
    const small = w!.shape.length === 4 && kh <= 7 && kw <= 7;
    const fits = small && inner === x!.shape[1] && inner % block === 0 && outer % block === 0;
    if (!fits || (node.attributes.auto_pad?.value ?? "NOTSET") !== "NOTSET") continue;
    g.scope(`${node.name}/blocked`, () => {
      const y = layout.conv(layout.toBlocked(x!), layout.weights(w!), {
        kernel: [kh, kw],
        strides: pair(node, "strides"),
        dilations: pair(node, "dilations"),
        pads: node.attributes.pads?.value as readonly [number, number, number, number] | undefined,
        bias,
      });
      replaced.set(node.outputs[0]!, layout.toPlain(y).name);
    });
  }
  if (replaced.size === 0) return graph;
  const outputs = Object.fromEntries(graph.outputs.map(({ name }) => [name, g.value(name)]));
  return substitute(g.build(outputs, [...replaced.values()]), replaced);
}

const pair = (node: Node, name: string): readonly [number, number] | undefined =>
  node.attributes[name]?.value as readonly [number, number] | undefined;
