import type { Builder, Value } from "../graph/index.ts";
import type { Forward, Frame } from "../nn/index.ts";

/** How many classes, support and query images a class an episode has. */
export interface EpisodeShape {
  readonly way: number;
  readonly shot: number;
  readonly query: number;
}

/**
 * A way to learn from episodes.
 *
 * @param encode the network that is trained.
 * @param images `[way × (shot + query), C, H, W]`: the support images, class by class, then the queries, class by class.
 * @returns logits `[way × query, way]`, higher is better: of query i, the class ⌊i/query⌋ is right.
 */
export type EpisodeMethod = (f: Frame, encode: Forward, images: Value, shape: EpisodeShape) => Value;

/**
 * A method that looks at embeddings alone. Support and queries pass the network as one batch, so that batch
 * normalisation sees them alike.
 *
 * @param logits from support `[way, shot, D]` and queries `[way × query, D]`.
 */
export const onEmbeddings =
  (logits: (f: Frame, support: Value, queries: Value, shape: EpisodeShape) => Value): EpisodeMethod =>
  (f, encode, images, shape) => {
    const { g } = f;
    const { way, shot } = shape;
    const embeddings = f.scope("encoder", () => encode(f, images));
    const dim = Number(embeddings.shape[1]);
    const support = g.Slice(embeddings, g.ints([0]), g.ints([way * shot]), g.ints([0]));
    const queries = g.Slice(embeddings, g.ints([way * shot]), g.ints([2 ** 31 - 1]), g.ints([0]));
    return logits(f, g.Reshape(support, g.ints([way, shot, dim])), queries, shape);
  };

/** The mean of each class's support: `[way, shot, D]` → `[way, D]`. */
export const meanPrototypes = (g: Builder, support: Value): Value =>
  support.shape[1] === 1
    ? g.Squeeze(support, g.ints([1]))
    : g.ReduceMean(support, g.ints([1]), { keepdims: 0 });

/** Each row divided by its length; 1e-12 below the root keeps a row of zeros at zero. `[…, D]` → `[…, D]`. */
export const normalizeRows = (g: Builder, x: Value): Value =>
  g.Div(x, g.Sqrt(g.Add(g.ReduceSumSquare(x, g.ints([-1])), 1e-12)));

/** −‖aᵢ − bⱼ‖² = 2a·b − ‖a‖² − ‖b‖²: `[n, D]`, `[m, D]` → `[n, m]`. */
export function negativeSquaredDistances(g: Builder, a: Value, b: Value): Value {
  const product = g.MatMul(a, g.Transpose(b, { perm: [1, 0] }));
  const ofA = g.ReduceSumSquare(a, g.ints([1]));
  const ofB = g.Transpose(g.ReduceSumSquare(b, g.ints([1])), { perm: [1, 0] });
  return g.Sub(g.Sub(g.Mul(product, 2), ofA), ofB);
}
