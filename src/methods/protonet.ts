import type { Value } from "../graph/index.ts";
import { constant } from "../nn/index.ts";
import { mahalanobisLogits } from "./mahalanobis.ts";
import {
  type EpisodeMethod,
  meanPrototypes,
  negativeSquaredDistances,
  normalizeRows,
  onEmbeddings,
} from "./method.ts";

export interface ProtoNetOptions {
  /**
   * `squaredEuclidean`: −‖q − c‖², summed over dimensions and not divided, as Snell. `cosine`: the cosine times a learned
   * scale. `mahalanobis`: by the covariance of each class, see {@link mahalanobisLogits}. Default `squaredEuclidean`.
   */
  readonly metric?: "squaredEuclidean" | "cosine" | "mahalanobis";
  /**
   * What the learned factor on the logits starts at, > 0. Default 10 for `cosine` (Chen et al. 2021, arXiv:2003.04390);
   * for `squaredEuclidean` none, as Snell; about 4/D makes up for distances that grow with the dimension D. `mahalanobis`
   * has none.
   */
  readonly scale?: number;
  /** What `mahalanobis` adds to the variance in every direction, > 0. Default 1 (Bateni et al. 2020). */
  readonly beta?: number;
}

/** Prototypical networks (Snell, Swersky and Zemel 2017, arXiv:1703.05175): softmax over distances to class means. */
export const protoNet = ({
  metric = "squaredEuclidean",
  scale,
  beta = 1,
}: ProtoNetOptions = {}): EpisodeMethod =>
  onEmbeddings((f, support, queries, shape) => {
    const { g } = f;
    if (metric === "mahalanobis") return mahalanobisLogits(g, support, queries, shape, beta);
    const prototypes = meanPrototypes(g, support);
    const scaled = (logits: Value, from: number): Value =>
      g.Mul(logits, f.parameter("scale", [1], constant(from), "affine"));
    if (metric === "squaredEuclidean") {
      const distances = negativeSquaredDistances(g, queries, prototypes);
      return scale === undefined ? distances : scaled(distances, scale);
    }
    const cosines = g.MatMul(
      normalizeRows(g, queries),
      g.Transpose(normalizeRows(g, prototypes), { perm: [1, 0] }),
    );
    return scaled(cosines, scale ?? 10);
  });
