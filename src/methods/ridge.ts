import { tensor } from "../graph/index.ts";
import { constant } from "../nn/index.ts";
import { inverseOfPositive } from "./inverse.ts";
import { type EpisodeMethod, onEmbeddings } from "./method.ts";

export interface RidgeOptions {
  /** What the learned λ starts at, > 0. Default 50. */
  readonly lambda?: number;
}

/**
 * R2-D2 (Bertinetto et al. 2019, arXiv:1805.08136): ridge regression from support embeddings X `[n, D]` to one-hot labels
 * Y, solved in closed form within the graph, W = Xᵀ(XXᵀ + λI)⁻¹Y, and logits α·QW + β. λ = exp(l), α and β are learned.
 */
export const ridge = ({ lambda = 50 }: RidgeOptions = {}): EpisodeMethod =>
  onEmbeddings((f, support, queries, { way, shot }) => {
    const { g } = f;
    const n = way * shot;
    const x = g.Reshape(support, g.ints([n, Number(support.shape[2])]));
    const turned = g.Transpose(x, { perm: [1, 0] });
    const identity = new Float32Array(n * n);
    const labels = new Float32Array(n * way);
    for (let i = 0; i < n; i++) {
      identity[i * n + i] = 1;
      labels[i * way + Math.floor(i / shot)] = 1;
    }
    const weight = g.Exp(f.parameter("logLambda", [1], constant(Math.log(lambda)), "affine"));
    const gram = g.Add(g.MatMul(x, turned), g.Mul(tensor("float32", identity, [n, n]), weight));
    const solved = g.MatMul(inverseOfPositive(g, gram), tensor("float32", labels, [n, way]));
    const scores = g.MatMul(g.MatMul(queries, turned), solved);
    const alpha = f.parameter("alpha", [1], constant(1), "affine");
    const beta = f.parameter("beta", [1], constant(0), "affine");
    return g.Add(g.Mul(scores, alpha), beta);
  });
