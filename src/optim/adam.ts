import type { Optimizer } from "./optimizer.ts";

export interface AdamOptions {
  /** Share that the mean gradient keeps in a step. Default 0.9. */
  readonly beta1?: number;
  /** Share that the mean square keeps in a step. Default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the mean square. Default 1e-8. */
  readonly epsilon?: number;
  /** Default 0. */
  readonly weightDecay?: number;
}

/** Adam (Kingma and Ba 2015, arXiv:1412.6980); weight decay is added to the gradient. */
export const adam = (options: AdamOptions = {}): Optimizer => adaptive(options, false);

/** Adam whose weight decay shrinks the weight itself, by rate·decay a step (Loshchilov and Hutter 2019, arXiv:1711.05101). */
export const adamw = (options: AdamOptions = {}): Optimizer => adaptive(options, true);

/** m ← β₁m + (1−β₁)d, v ← β₂v + (1−β₂)d², w ← w − rate/(1−β₁ᵗ) · m/(√v/√(1−β₂ᵗ) + ε). */
function adaptive(
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 }: AdamOptions,
  decoupled: boolean,
): Optimizer {
  return {
    slots: ["m", "v"],
    scalars: (step, rate) => ({
      stepSize: rate / (1 - beta1 ** step),
      correction: 1 / Math.sqrt(1 - beta2 ** step),
      ...(decoupled && { kept: 1 - rate * weightDecay }),
    }),
    update(g, { weight, gradient, slots, scalars }, decays) {
      const decay = decays && weightDecay > 0;
      const d = decay && !decoupled ? g.Add(gradient, g.Mul(weight, weightDecay)) : gradient;
      const m = g.Add(g.Mul(slots[0], beta1), g.Mul(d, 1 - beta1));
      const v = g.Add(g.Mul(slots[1], beta2), g.Mul(g.Mul(d, d), 1 - beta2));
      const root = g.Add(g.Mul(g.Sqrt(v), scalars.correction), epsilon);
      const kept = decay && decoupled ? g.Mul(weight, scalars.kept) : weight;
      return { weight: g.Sub(kept, g.Mul(g.Div(m, root), scalars.stepSize)), slots: [m, v] };
    },
  };
}
