import type { Builder, Value } from "../builder.ts";
import type { Layout } from "./layout.ts";

/** The phases of an image: its even and odd rows and columns. `[2][2]` */
export type Phases = readonly (readonly [Value, Value])[];

/** The gradient of a 2x2 max-pooling on its way back. */
export interface Spread {
  /** What is left of the gradient before each phase has had its share, in row order; the last phase gets all of it. */
  readonly left: readonly [Value, Value, Value, Value];
  /** What each phase gets. */
  readonly phases: Phases;
}

/**
 * R2. The gradient of 2x2 max-pooling without indices. `lower` is 1 where the first, second and third phase are smaller
 * than the largest of all: such a phase passes everything on to the next, so the first in row order gets it, as in
 * PyTorch, and no gradient is ever multiplied, however many are equal.
 */
export function spreadGradient(g: Builder, d: Value, lower: readonly [Value, Value, Value]): Spread {
  const after00 = g.Mul(d, lower[0]);
  const after01 = g.Mul(after00, lower[1]);
  const after10 = g.Mul(after01, lower[2]);
  return {
    left: [d, after00, after01, after10],
    phases: [
      [g.Sub(d, after00), g.Sub(after00, after01)],
      [g.Sub(after01, after10), after10],
    ],
  };
}

/** The image whose phases these are, `[N, C, 2h, 2w]`: runs of one block along W, then whole rows. */
export function interleave(g: Builder, { block }: Layout, phases: Phases): Value {
  const [n, c, h, w] = phases[0]![0].shape as readonly number[] as [number, number, number, number];
  const rows = phases.map(([left, right]) => {
    const columns = [left, right].map((v) => g.Reshape(v, g.ints([n * (c / block) * h, w, block])));
    return g.Reshape(g.Concat(...columns, { axis: 2 }), g.ints([n * (c / block) * h, 2 * w * block]));
  });
  return g.Reshape(g.Concat(...rows, { axis: 1 }), g.ints([n, c, 2 * h, 2 * w]));
}
