import type { Value } from "../graph/index.ts";
import { type Forward, type Frame, linear } from "../nn/index.ts";
import { normalizeRows } from "./method.ts";

export interface DistillOptions {
  /** Weight of the second term, ≥ 0. Default 1. */
  readonly relation?: number;
}

/** Loss and what is compared, of images `[n, C, H, W]` and the teacher's embeddings of them, `[n, D]`, rows of length 1. */
export type DistillMethod = (
  f: Frame,
  encode: Forward,
  images: Value,
  targets: Value,
) => {
  /** `[]` */
  readonly loss: Value;
  /** `[n, n]`: cosine of the student's answer to picture i and the teacher's to picture j. */
  readonly cosines: Value;
};

/**
 * The student learns a teacher's embedding of the same view of the same picture (Hinton et al. 2015, arXiv:1503.02531;
 * same views: Beyer et al. 2022, arXiv:2106.05237). With s a linear map of the student's embedding e, t the teacher's
 * embedding, and rows of length 1:
 *
 *     mean_i (1 − sᵢ·tᵢ) + relation · mean_ij (ēᵢ·ēⱼ − tᵢ·tⱼ)²
 *
 * ē is e less its mean over the batch, at length 1. The second term asks for the teacher's neighbourhoods in the
 * embedding itself, which is what is kept; the map is thrown away (similarity-preserving, Tung and Mori 2019,
 * arXiv:1907.09682).
 */
export const distill =
  ({ relation = 1 }: DistillOptions = {}): DistillMethod =>
  (f, encode, images, targets) => {
    const { g } = f;
    const turned = (x: Value): Value => g.Transpose(x, { perm: [1, 0] });
    const mean = (x: Value): Value => g.ReduceMean(x, undefined, { keepdims: 0 });
    const embeddings = f.scope("encoder", () => encode(f, images));
    const answers = normalizeRows(g, linear(f, "head", embeddings, Number(targets.shape[1])));
    const direct = g.Sub(1, g.Mul(mean(g.Mul(answers, targets)), Number(targets.shape[1])));
    const centred = normalizeRows(g, g.Sub(embeddings, g.ReduceMean(embeddings, g.ints([0]))));
    const off = g.Sub(g.MatMul(centred, turned(centred)), g.MatMul(targets, turned(targets)));
    return {
      loss: g.Add(direct, g.Mul(mean(g.Mul(off, off)), relation)),
      cosines: g.MatMul(answers, turned(targets)),
    };
  };
