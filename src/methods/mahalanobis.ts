import { type Builder, tensor, type Value } from "../graph/index.ts";
import { inverseOfPositive } from "./inverse.ts";
import { type EpisodeShape, meanPrototypes } from "./method.ts";

/**
 * Minus the squared Mahalanobis distance to each class mean, −(q − μₖ)ᵀQₖ⁻¹(q − μₖ), of Simple CNAPS (Bateni et al. 2020,
 * arXiv:1912.03432) without its adaptation network:
 *
 * Qₖ = λΣₖ + (1 − λ)Σ + βI, λ = shot/(shot + 1), Σₖ the covariance of the class's support, Σ that of all support, both
 * divided by their number less one; at 1 shot Σₖ is 0. There is no factor ½, as in the authors' code: where the spread
 * is small against β = 1 these are the logits of the squared Euclidean distance.
 *
 * Qₖ = βI + UₖᵀUₖ with n = way·shot rows Uₖ, so that either it is inverted, `[D, D]`, or by Woodbury's identity
 * βI + UₖUₖᵀ, `[n, n]`: whichever is smaller, for all classes at once. With k the smaller of n and D that is way·k³
 * arithmetic, as much memory in training, and a graph of some 25 nodes for each of the k rows. Meant for k up to about 100:
 * 5-way 5-shot at any D, 20-way 5-shot, 60-way at D = 64.
 *
 * A bundle trained so answers by the decision's own Mahalanobis metric, whose one covariance is pooled from all classes.
 *
 * @param support `[way, shot, D]`
 * @param queries `[way × query, D]`
 * @param beta the least variance in any direction, > 0.
 * @returns `[way × query, way]`
 */
export function mahalanobisLogits(
  g: Builder,
  support: Value,
  queries: Value,
  { way, shot }: EpisodeShape,
  beta: number,
): Value {
  const n = way * shot;
  const dim = Number(support.shape[2]);
  const rows = g.Reshape(support, g.ints([n, dim]));
  // [way, n, D]: rows whose products are Qₖ − βI.
  const spread = g.MatMul(tensor("float32", spreadOf(way, shot), [way, n, n]), rows);
  const turned = g.Transpose(spread, { perm: [0, 2, 1] });
  const prototypes = g.Unsqueeze(meanPrototypes(g, support), g.ints([1]));
  const away = g.Sub(g.Unsqueeze(queries, g.ints([0])), prototypes);
  /** xᵀ(βI + products)⁻¹x of each row x: `[way, m, k]`, `[way, k, k]` → `[way, m, 1]`. */
  const form = (x: Value, products: Value, k: number): Value => {
    const inverse = inverseOfPositive(g, g.Add(products, tensor("float32", scaledIdentity(k, beta), [k, k])));
    return g.ReduceSum(g.Mul(g.MatMul(x, inverse), x), g.ints([2]));
  };
  const distances =
    dim <= n
      ? form(away, g.MatMul(turned, spread), dim)
      : g.Div(
          g.Sub(
            g.ReduceSumSquare(away, g.ints([2])),
            form(g.MatMul(away, turned), g.MatMul(spread, turned), n),
          ),
          beta,
        );
  return g.Neg(g.Transpose(g.Squeeze(distances, g.ints([2])), { perm: [1, 0] }));
}

/**
 * For each class what makes Uₖ of all support rows X, `[way, n, n]`. With a = λ/(shot − 1) and b = (1 − λ)/(n − 1), a row
 * of another class is √b(x − m), one of class k is √(a + b)(x − μₖ) + √b(μₖ − m), whose mixed products cancel in the sum.
 */
function spreadOf(way: number, shot: number): Float32Array {
  const n = way * shot;
  const lambda = shot / (shot + 1);
  const b = n > 1 ? (1 - lambda) / (n - 1) : 0;
  const own = Math.sqrt(b + (shot > 1 ? lambda / (shot - 1) : 0)) - Math.sqrt(b);
  const out = new Float32Array(way * n * n);
  for (let k = 0; k < way; k++)
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        const [classOfI, classOfJ] = [Math.floor(i / shot), Math.floor(j / shot)];
        const one = i === j ? 1 : 0;
        const inClass = classOfI === k && classOfJ === k ? one - 1 / shot : 0;
        out[(k * n + i) * n + j] = Math.sqrt(b) * (one - 1 / n) + own * inClass;
      }
  return out;
}

function scaledIdentity(k: number, scale: number): Float32Array {
  const out = new Float32Array(k * k);
  for (let i = 0; i < k; i++) out[i * k + i] = scale;
  return out;
}
