import type { Builder, Value } from "../builder.ts";
import type { Node } from "../graph.ts";
import type { Layout } from "./layout.ts";
import type { Index } from "./match.ts";

/** Max-pooling over windows of 2x2 that do not overlap, without padding; what is left over at the edge is dropped. */
export function isHalving(index: Index, node: Node): boolean {
  const ints = (name: string, otherwise: readonly number[]): string =>
    index.attribute(node, name, otherwise).join();
  return (
    node.op === "MaxPool" &&
    node.domain === "" &&
    ints("kernel_shape", []) === "2,2" &&
    ints("strides", [1, 1]) === "2,2" &&
    ints("dilations", [1, 1]) === "1,1" &&
    ints("pads", [0, 0, 0, 0]) === "0,0,0,0" &&
    index.attribute<number>(node, "ceil_mode", 0) === 0
  );
}

/** A pooled image, and where its first three phases are smaller than that. */
export interface Pooled {
  readonly p: Value;
  readonly lower: readonly [Value, Value, Value];
}

/** Pools a blocked image; largest − phase comes in one pass, from a one-hot 2x2 convolution and its step. */
export function pooled(layout: Layout, y: Value): Pooled {
  const p = layout.maxPool(y);
  const lower = (a: number, b: number): Value => {
    const taps = [0, 1].map((i) => [0, 1].map((j) => (i === a && j === b ? -1 : 0)));
    return layout.spread(y, taps, { strides: [2, 2], sum: p, step: true });
  };
  return { p, lower: [lower(0, 0), lower(0, 1), lower(1, 0)] };
}

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

/** A blocked image with zeros below and to the right, in the size of `like`. */
export function padTo(g: Builder, { block }: Layout, x: Value, like: Value): Value {
  const [n, c, h, w] = x.shape as readonly number[] as [number, number, number, number];
  const [, , height, width] = like.shape as readonly number[] as [number, number, number, number];
  if (h === height && w === width) return x;
  const view = g.Reshape(x, g.ints([n * (c / block), h, w, block]));
  const padded = g.Pad(view, g.ints([0, 0, 0, 0, 0, height - h, width - w, 0]));
  return g.Reshape(padded, g.ints(like.shape as readonly number[]));
}
