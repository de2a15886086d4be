import type { Graph } from "../graph.ts";
import { rewriteBlocked } from "./each.ts";
import { momentsOf, running } from "./moments.ts";

/**
 * R3 for a batch norm on its own: statistics from two sums, y as one affine pass, and the gradient as two.
 * With k = gamma·inv, slope = inv·(Σ dy·x − mu·Σ dy) and n values a channel:
 * dx = k·dy + c1·x + c0, c1 = −k·inv·slope/n, c0 = −k·Σdy/n − c1·mu.
 *
 * Condition: training form, the image comes out of the blocked layout, sizes known. Variances come from E[x²] − E[x]²:
 * values should be roughly centred, as those of a convolution are.
 */
export const blockedNorms = (graph: Graph, block: number): Graph =>
  rewriteBlocked(graph, block, ({ g, layout, index, node, replace }) => {
    if (node.op !== "BatchNormalization" || index.attribute<number>(node, "training_mode", 0) !== 1) return;
    if (index.producer(node.inputs[0]!)?.op !== "ReorderOutput") return;
    const [image, gamma, beta, mean, variance] = node.inputs.map((name) => g.value(name));
    if (!image!.shape.every((dim) => typeof dim === "number")) return;
    const [n, channels, h, w] = image!.shape as readonly number[] as [number, number, number, number];
    if (channels % block !== 0) return;
    const count = n * h * w;

    const x = layout.toBlocked(image!);
    const { mu, spread } = momentsOf(g, count, (squares) => layout.total(x, squares));
    const inverse = g.Reciprocal(g.Sqrt(g.Add(spread, index.attribute(node, "epsilon", 1e-5))));
    const k = g.Mul(gamma, inverse);
    replace(node.outputs[0]!, layout.toPlain(layout.affine(x, k, g.Sub(beta, g.Mul(k, mu)))));
    const momentum = index.attribute(node, "momentum", 0.9);
    for (const [i, before, now] of [
      [1, mean!, mu],
      [2, variance!, spread],
    ] as const) {
      const name = node.outputs[i];
      if (name) replace(name, running(g, momentum, before, now));
    }

    const [ofImage, ofGamma, ofBeta] = [0, 1, 2].map((i) => index.gradient(node, i));
    if (!ofImage || !ofGamma || !ofBeta) return;
    const dy = layout.toBlocked(g.value(ofImage.dy));
    const sum = layout.total(dy);
    const slope = g.Mul(inverse, g.Sub(layout.total(g.Mul(dy, x)), g.Mul(mu, sum)));
    const c1 = g.Mul(g.Mul(k, g.Mul(inverse, slope)), -1 / count);
    const c0 = g.Sub(g.Mul(g.Mul(k, sum), -1 / count), g.Mul(c1, mu));
    const dx = layout.affine(dy, k, c0, { sum: layout.affine(x, c1) });
    replace(ofImage.value, layout.toPlain(dx));
    replace(ofGamma.value, slope);
    replace(ofBeta.value, sum);
  });
