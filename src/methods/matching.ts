import { constant } from "../nn/index.ts";
import { type EpisodeMethod, normalizeRows, onEmbeddings } from "./method.ts";

export interface MatchingOptions {
  /** What the learned factor on the cosines starts at; the paper has none, which trains slowly. Default 10. */
  readonly scale?: number;
}

/**
 * Matching networks (Vinyals et al. 2016, arXiv:1606.04080) without full context embeddings: softmax attention over the
 * cosines to all support images, summed over the images of each class. The logits are the logarithms of these sums.
 */
export const matching = ({ scale = 10 }: MatchingOptions = {}): EpisodeMethod =>
  onEmbeddings((f, support, queries, { way, shot, query }) => {
    const { g } = f;
    const dim = Number(support.shape[2]);
    const rows = normalizeRows(g, g.Reshape(support, g.ints([way * shot, dim])));
    const cosines = g.MatMul(normalizeRows(g, queries), g.Transpose(rows, { perm: [1, 0] }));
    const scaled = g.Mul(cosines, f.parameter("scale", [1], constant(scale), "affine"));
    // softmax over all images, summed by class, is softmax over classes of log Σ exp.
    const largest = g.ReduceMax(scaled, g.ints([1]));
    const attention = g.Reshape(g.Exp(g.Sub(scaled, largest)), g.ints([way * query, way, shot]));
    return g.Log(g.Add(g.ReduceSum(attention, g.ints([2]), { keepdims: 0 }), 1e-30));
  });
