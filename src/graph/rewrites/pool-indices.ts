import type { Graph } from "../graph.ts";
import { attributesOf } from "../infer.ts";
import { rewriteEach } from "./each.ts";

const [float32, float64] = [1, 11];

/**
 * Where the places of the largest are asked of a max-pooling, they are found in float64. ONNX Runtime's WebGPU provider
 * takes a pooling in float32 and then refuses the places; float64 it leaves to the CPU.
 */
export const poolIndicesOnCpu = (graph: Graph): Graph =>
  rewriteEach(graph, ({ g, node, replace }) => {
    const [y, places] = node.outputs;
    if (node.op !== "MaxPool" || !places) return;
    const x = g.Cast(g.value(node.inputs[0]!), { to: float64 });
    const [largest, found] = g.emit("MaxPool", [x], attributesOf<"MaxPool">(node), 2);
    replace(y!, g.Cast(largest!, { to: float32 }));
    replace(places, found!);
  });
