import type { Value } from "../graph/index.ts";
import { constant, type Forward, type Frame, glorotUniform, linear } from "../nn/index.ts";
import { normalizeRows } from "./method.ts";

export interface ClassifierOptions {
  /**
   * `linear`: Baseline, and what Meta-Baseline and SimpleShot start from. `cosine`: Baseline++, the cosine to a learned
   * vector a class times a scale. Default `linear`.
   */
  readonly head?: "linear" | "cosine";
  /** The factor of `cosine`, which is learned from there. Default 10. */
  readonly scale?: number;
  /**
   * How episodes of other classes are answered, in validation and tests. `nearestMean`: the nearest class mean by cosine,
   * as Meta-Baseline. `fineTune`: a new head fitted to the support, as Baseline and Baseline++, see {@link fineTune}.
   * Default `nearestMean`.
   */
  readonly answer?: "nearestMean" | "fineTune";
}

/** Logits `[n, classes]` of images `[n, C, H, W]` over all training classes. */
export type ClassMethod = (f: Frame, encode: Forward, images: Value, classes: number) => Value;

/**
 * Plain classification of all training classes, whose last layer is thrown away afterwards (Chen et al. 2019, "A closer
 * look at few-shot classification", arXiv:1904.04232: Baseline and Baseline++).
 */
export const classifier =
  ({ head = "linear", scale = 10 }: ClassifierOptions = {}): ClassMethod =>
  (f, encode, images, classes) => {
    const { g } = f;
    const embeddings = f.scope("encoder", () => encode(f, images));
    if (head === "linear") return linear(f, "head", embeddings, classes);
    const shape = [classes, Number(embeddings.shape[1])];
    const vectors = normalizeRows(g, f.parameter("head/weight", shape, glorotUniform));
    const cosines = g.MatMul(normalizeRows(g, embeddings), g.Transpose(vectors, { perm: [1, 0] }));
    return g.Mul(cosines, f.parameter("head/scale", [1], constant(scale), "affine"));
  };
