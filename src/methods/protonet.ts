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
  /** What the learned scale of `cosine` starts at. Default 10 (Chen et al. 2021, arXiv:2003.04390). */
  readonly scale?: number;
  /** What `mahalanobis` adds to the variance in every direction, > 0. Default 1 (Bateni et al. 2020). */
  readonly beta?: number;
}

/** Prototypical networks (Snell, Swersky and Zemel 2017, arXiv:1703.05175): softmax over distances to class means. */
export const protoNet = ({
  metric = "squaredEuclidean",
  scale = 10,
  beta = 1,
}: ProtoNetOptions = {}): EpisodeMethod =>
  onEmbeddings((f, support, queries, shape) => {
    const { g } = f;
    if (metric === "mahalanobis") return mahalanobisLogits(g, support, queries, shape, beta);
    const prototypes = meanPrototypes(g, support);
    if (metric === "squaredEuclidean") return negativeSquaredDistances(g, queries, prototypes);
    const cosines = g.MatMul(
      normalizeRows(g, queries),
      g.Transpose(normalizeRows(g, prototypes), { perm: [1, 0] }),
    );
    return g.Mul(cosines, f.parameter("scale", [1], constant(scale), "affine"));
  });
