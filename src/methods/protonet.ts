import { constant } from "../nn/index.ts";
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
   * scale. Default `squaredEuclidean`.
   */
  readonly metric?: "squaredEuclidean" | "cosine";
  /** What the learned scale of `cosine` starts at. Default 10 (Chen et al. 2021, arXiv:2003.04390). */
  readonly scale?: number;
}

/** Prototypical networks (Snell, Swersky and Zemel 2017, arXiv:1703.05175): softmax over distances to class means. */
export const protoNet = ({ metric = "squaredEuclidean", scale = 10 }: ProtoNetOptions = {}): EpisodeMethod =>
  onEmbeddings((f, support, queries) => {
    const { g } = f;
    const prototypes = meanPrototypes(g, support);
    if (metric === "squaredEuclidean") return negativeSquaredDistances(g, queries, prototypes);
    const cosines = g.MatMul(
      normalizeRows(g, queries),
      g.Transpose(normalizeRows(g, prototypes), { perm: [1, 0] }),
    );
    return g.Mul(cosines, f.parameter("scale", [1], constant(scale), "affine"));
  });
