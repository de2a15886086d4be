import type { Builder, Operand, Value } from "../builder.ts";

/** Building blocks in the runtime's blocked layout (see blocked-operators.ts), for a given block size. */
export interface Layout {
  readonly block: number;
  toBlocked(x: Value): Value;
  toPlain(x: Value): Value;
  /** Weights `[O, I, kh, kw]` for a blocked input; for a plain one of fewer channels than a block; for depthwise. */
  weights(w: Value): Value;
  /** y `[N, O, …]`, stride 1 and no padding by default. */
  conv(x: Value, w: Value, options: ConvOptions): Value;
  /** Every channel by the same constant taps, `[kh][kw]`, plus `sum`; above zero 1, else 0, where `step` is true. */
  spread(x: Value, taps: readonly (readonly number[])[], options: SpreadOptions): Value;
  /** scale·x (+ bias, + sum), per channel, in one pass. */
  affine(x: Value, scale: Value, bias?: Value, options?: { relu?: boolean; sum?: Value }): Value;
  /** The largest of each 2x2 window. */
  maxPool(x: Value): Value;
  /** Memory as it is: `[N, C/block, H·W, block]`. */
  view(x: Value): Value;
  /** Σ x or Σ x² over N, H and W, `[C]`: within each image first. */
  total(x: Value, squares?: boolean): Value;
}

export interface ConvOptions {
  readonly kernel: readonly [number, number];
  readonly strides?: readonly [number, number];
  readonly pads?: readonly [number, number, number, number];
  readonly dilations?: readonly [number, number];
  readonly bias?: Value;
}

export interface SpreadOptions extends Omit<ConvOptions, "kernel"> {
  readonly sum?: Value;
  readonly step?: boolean;
}

/** A hard sigmoid so steep that it is a step: cheaper than a comparison and a cast. */
const STEP = { alpha: 1e30, beta: 0 };

/** 1 where v > 0, else 0. */
export const step = (g: Builder, v: Value): Value => g.HardSigmoid(v, STEP);

export function createLayout(g: Builder, block: number): Layout {
  const dimsOf = (x: Value): [number, number, number, number] =>
    x.shape as readonly number[] as [number, number, number, number];
  const reshape = (x: Value, dims: readonly number[]): Value => g.Reshape(x, g.ints(dims));

  const weights = (w: Value): Value => {
    const [o, i, kh, kw] = dimsOf(w);
    const blocked =
      i >= block
        ? g.Transpose(reshape(w, [o / block, block, i / block, block, kh, kw]), { perm: [0, 2, 4, 5, 3, 1] })
        : g.Transpose(reshape(w, [o / block, block, i, kh, kw]), { perm: [0, 2, 3, 4, 1] });
    return reshape(blocked, [o, i, kh, kw]);
  };
  const conv = (
    x: Value,
    w: Value,
    { kernel, strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], bias }: ConvOptions,
    rest: { group?: number; sum?: Operand; activation?: "Relu" | "HardSigmoid" } = {},
  ): Value => {
    const { group = 1, sum, activation } = rest;
    return g.blocked("Conv", [x, w, bias, sum], {
      kernel_shape: kernel,
      strides,
      pads,
      dilations,
      group,
      activation,
      activation_params: activation === "HardSigmoid" ? [STEP.alpha, STEP.beta] : undefined,
    });
  };
  const view = (x: Value): Value => {
    const [n, c, h, w] = dimsOf(x);
    return reshape(x, [n, c / block, h * w, block]);
  };
  return {
    block,
    weights,
    conv,
    view,
    toBlocked: (x) => g.blocked("ReorderInput", [x]),
    toPlain: (x) => g.blocked("ReorderOutput", [x], { channels: Number(x.shape[1]) }),
    spread(x, taps, { sum, step: stepped = false, ...options }) {
      const channels = Number(x.shape[1]);
      const kernel = [taps.length, taps[0]!.length] as const;
      const flat = taps.flatMap((row) => row.flatMap((v) => new Array<number>(block).fill(v)));
      const data = Float32Array.from(
        { length: (channels / block) * flat.length },
        (_, i) => flat[i % flat.length]!,
      );
      const w = g.constant({ dtype: "float32", dims: [channels, 1, ...kernel], data });
      const activation = stepped ? "HardSigmoid" : undefined;
      return conv(x, w, { ...options, kernel }, { group: channels, sum, activation });
    },
    maxPool: (x) => g.blocked("MaxPool", [x], { kernel_shape: [2, 2], strides: [2, 2] }),
    affine(x, scale, bias, { relu = false, sum } = {}) {
      const channels = Number(x.shape[1]);
      const w = reshape(scale, [channels, 1, 1, 1]);
      return conv(
        x,
        w,
        { kernel: [1, 1], bias },
        { group: channels, sum, activation: relu ? "Relu" : undefined },
      );
    },
    total(x, squares = false) {
      const perImage = squares ? g.ReduceSumSquare(view(x), g.ints([2])) : g.ReduceSum(view(x), g.ints([2]));
      return reshape(g.ReduceSum(perImage, g.ints([0])), [-1]);
    },
  };
}
