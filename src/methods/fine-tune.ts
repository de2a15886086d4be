import { gradients, tensor, type Value } from "../graph/index.ts";
import { type EpisodeMethod, meanPrototypes, normalizeRows, onEmbeddings } from "./method.ts";

export interface FineTuneOptions {
  /** Steps of gradient descent on the support. Default 100. */
  readonly steps?: number;
  /** Learning rate of these steps. Default 0.01. */
  readonly rate?: number;
}

/** Chen et al. 2019 give the cosine head this factor when it is fitted to a support. */
const cosineScale = 2;

/**
 * How Baseline and Baseline++ answer an episode (Chen et al. 2019, arXiv:1904.04232): the encoder stays as it is, and a
 * new last layer is fitted to the support by descent on the cross-entropy. All support images a step instead of the
 * paper's random fours, from zero (`linear`) or from the class means (`cosine`), so that an answer needs no seed.
 */
export const fineTune = (
  head: "linear" | "cosine",
  { steps = 100, rate = 0.01 }: FineTuneOptions = {},
): EpisodeMethod =>
  onEmbeddings((f, support, queries, { way, shot }) => {
    const { g } = f;
    const dim = Number(support.shape[2]);
    const count = way * shot;
    const x = g.Reshape(support, g.ints([count, dim]));
    const target = new Float32Array(count * way);
    for (let i = 0; i < count; i++) target[i * way + Math.floor(i / shot)] = 1;
    const targets = tensor("float32", target, [count, way]);
    const across = (w: Value): Value => g.Transpose(w, { perm: [1, 0] });
    const answer = (rows: Value, [weight, bias]: readonly [Value, Value]): Value =>
      head === "linear"
        ? g.Add(g.MatMul(rows, across(weight)), bias)
        : g.Mul(g.MatMul(normalizeRows(g, rows), across(normalizeRows(g, weight))), cosineScale);

    const zeros = (shape: number[]): Value =>
      g.constant(tensor("float32", new Float32Array(shape.reduce((a, b) => a * b)), shape));
    let fitted: readonly [Value, Value] = [
      head === "linear" ? zeros([way, dim]) : meanPrototypes(g, support),
      zeros([way]),
    ];
    for (let step = 0; step < steps; step++) {
      const surprise = g.Mul(g.LogSoftmax(answer(x, fitted), { axis: 1 }), targets);
      const loss = g.Mul(g.ReduceSum(surprise, undefined, { keepdims: 0 }), -1 / count);
      const [weight, bias] = fitted;
      const wanted = head === "linear" ? [weight, bias] : [weight];
      const slopes = gradients(g, loss, wanted);
      const [nextWeight, nextBias = bias] = wanted.map((w, i) => g.Sub(w, g.Mul(slopes[i]!, rate)));
      fitted = [nextWeight!, nextBias];
    }
    return answer(queries, fitted);
  });
