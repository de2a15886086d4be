import type { Builder, Value } from "../builder.ts";
import type { Layout } from "./layout.ts";

/** A pooled tensor, and how its gradient goes back to where it came from. */
export interface Pooled {
  /** `[N, C, ⌊H/2⌋, ⌊W/2⌋]`, blocked. */
  readonly largest: Value;
  /** The gradient of each phase from that of `largest`. */
  spread(d: Value): Spread;
}

export interface Spread {
  /** The gradient of `largest`, and the part of it that goes to the lower row. */
  readonly d: Value;
  readonly below: Value;
  /** `[2][2]` */
  readonly phases: Phases;
}

export type Phases = readonly (readonly [Value, Value])[];

/** 1 where v > 0, else 0; cheaper than a comparison and a cast. */
export const step = (g: Builder, v: Value): Value => g.HardSigmoid(v, { alpha: 1e30, beta: 0 });

/**
 * R2. 2x2 max-pooling without indices, from the four phases of the image (even and odd rows and columns). Strict
 * comparison takes the first element in row order, as PyTorch does, and no gradient is ever multiplied, however many
 * are equal.
 */
export function poolPhases(g: Builder, phases: Phases): Pooled {
  const [[y00, y01], [y10, y11]] = phases as [[Value, Value], [Value, Value]];
  const [top, bottom] = [g.Max(y00, y01), g.Max(y10, y11)];
  return {
    largest: g.Max(top, bottom),
    spread(d) {
      const below = g.Mul(d, step(g, g.Sub(bottom, top)));
      const above = g.Sub(d, below);
      const split = (whole: Value, left: Value, right: Value): readonly [Value, Value] => {
        const second = g.Mul(whole, step(g, g.Sub(right, left)));
        return [g.Sub(whole, second), second];
      };
      return { d, below, phases: [split(above, y00, y01), split(below, y10, y11)] };
    },
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
