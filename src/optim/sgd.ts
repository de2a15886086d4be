import type { Optimizer } from "./optimizer.ts";

export interface SgdOptions {
  /** Share of the last step that is kept, 0 … 1. Default 0.9. */
  readonly momentum?: number;
  /** Nesterov's form. Default false. */
  readonly nesterov?: boolean;
  /** Added to the gradient, times the weight. Default 0. */
  readonly weightDecay?: number;
}

/**
 * d = ∂w + decay·w, v ← momentum·v + d, w ← w − rate·v, with Nesterov w ← w − rate·(d + momentum·v)
 * (Sutskever et al. 2013, in the form that keeps the rate outside of v).
 */
export function sgd({ momentum = 0.9, nesterov = false, weightDecay = 0 }: SgdOptions = {}): Optimizer {
  return {
    slots: momentum > 0 ? ["v"] : [],
    scalars: (_, rate) => ({ rate }),
    update(g, { weight, gradient, slots, scalars }, decays) {
      const d = decays && weightDecay > 0 ? g.Add(gradient, g.Mul(weight, weightDecay)) : gradient;
      if (momentum === 0) return { weight: g.Sub(weight, g.Mul(d, scalars.rate)), slots: [] };
      const v = g.Add(g.Mul(slots[0], momentum), d);
      const step = nesterov ? g.Add(d, g.Mul(v, momentum)) : v;
      return { weight: g.Sub(weight, g.Mul(step, scalars.rate)), slots: [v] };
    },
  };
}
