import { gradients, tensor, type Value } from "../graph/index.ts";
import { createFrame, type Forward, linear } from "../nn/index.ts";
import type { EpisodeMethod } from "./method.ts";

export interface MamlOptions {
  /** Gradient steps on the support. Default 1; every further one makes the graph as much larger again. */
  readonly steps?: number;
  /** Learning rate of these steps. Default 0.4, as for Omniglot. */
  readonly rate?: number;
  /** First-order MAML: the gradient at the adapted weights is taken for the gradient at the weights. Default false. */
  readonly firstOrder?: boolean;
}

/**
 * Model-agnostic meta-learning (Finn, Abbeel and Levine 2017, arXiv:1703.03400): weights from which a step of gradient
 * descent on the support's cross-entropy, w' = w − rate·∂w, leads to a small loss on the queries. The second order is the
 * gradient through that gradient. Batch normalisation always uses the statistics of the images at hand, as the paper's own
 * code does, so that queries are seen together.
 */
export const maml =
  ({ steps = 1, rate = 0.4, firstOrder = false }: MamlOptions = {}): EpisodeMethod =>
  (f, encode, images, { way, shot, query }) => {
    const { g } = f;
    const supportCount = way * shot;
    const part = (from: number, to: number): Value =>
      g.Slice(images, g.ints([from]), g.ints([to]), g.ints([0]));
    const support = part(0, supportCount);
    const queries = part(supportCount, way * (shot + query));
    const target = new Float32Array(supportCount * way);
    for (let i = 0; i < supportCount; i++) target[i * way + Math.floor(i / shot)] = 1;
    const targets = tensor("float32", target, [supportCount, way]);

    const classify: Forward = (frame, x) =>
      linear(
        frame,
        "head",
        frame.scope("encoder", () => encode(frame, x)),
        way,
      );
    /** The network with these weights, in a frame of its own. */
    const apply = (weights: ReadonlyMap<string, Value>, x: Value) => {
      const inner = createFrame(g, "train", (spec) => weights.get(spec.name) ?? f.own(spec));
      return { logits: classify(inner, x), specs: inner.specs, updates: inner.updates };
    };
    let weights = new Map<string, Value>();
    for (let step = 0; step < steps; step++) {
      const { logits, specs } = apply(weights, support);
      const surprise = g.Mul(g.LogSoftmax(logits, { axis: 1 }), targets);
      const loss = g.Mul(g.ReduceSum(surprise, undefined, { keepdims: 0 }), -1 / supportCount);
      const trained = specs.filter(({ role }) => role !== "statistic");
      const before = trained.map((spec) => weights.get(spec.name) ?? f.own(spec));
      const slopes = gradients(g, loss, before);
      weights = new Map(trained.map(({ name }, i) => [name, g.Sub(before[i]!, g.Mul(slopes[i]!, rate))]));
    }
    if (firstOrder) for (const [name, adapted] of weights) f.differentiate(name, adapted);
    const { logits, specs, updates } = apply(weights, queries);
    // Running statistics, for those who take the network as an encoder.
    for (const spec of specs) if (updates.has(spec.name)) f.update(f.own(spec), updates.get(spec.name)!);
    return logits;
  };
