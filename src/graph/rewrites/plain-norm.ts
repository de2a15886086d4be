import type { Value } from "../builder.ts";
import type { Graph } from "../graph.ts";
import { meanOver, perChannel, reshapeLike } from "../pieces.ts";
import { rewriteEach } from "./each.ts";
import { running } from "./moments.ts";

/**
 * A batch norm in its training form as plain arithmetic, in the words of its gradient, which then shares mean and
 * variance with it. ONNX Runtime's WebGPU provider has the operator for inference alone.
 */
export const plainNorms = (graph: Graph): Graph =>
  rewriteEach(graph, ({ g, index, node, replace }) => {
    if (node.op !== "BatchNormalization" || index.attribute<number>(node, "training_mode", 0) !== 1) return;
    const [x, gamma, beta, mean, variance] = node.inputs.map((name) => g.value(name)) as [
      Value,
      Value,
      Value,
      Value,
      Value,
    ];
    const rank = x.shape.length;
    const axes = x.shape.map((_, i) => i).filter((i) => i !== 1);
    const mu = meanOver(g, x, axes);
    const centred = g.Sub(x, mu);
    const spread = meanOver(g, g.Mul(centred, centred), axes);
    const inverse = g.Reciprocal(g.Sqrt(g.Add(spread, index.attribute(node, "epsilon", 1e-5))));
    const scaled = g.Mul(g.Mul(centred, inverse), perChannel(g, gamma, rank));
    const momentum = index.attribute(node, "momentum", 0.9);
    const moved = (before: Value, now: Value): Value =>
      running(g, momentum, before, reshapeLike(g, now, before));
    const values = [g.Add(scaled, perChannel(g, beta, rank)), moved(mean, mu), moved(variance, spread)];
    for (const [i, name] of node.outputs.entries()) if (name) replace(name, values[i]!);
  });
