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
  /** Each channel by its own constant taps: `taps` `[kh][kw]`, the same for all channels. */
  spread(x: Value, taps: readonly (readonly number[])[], options: Omit<ConvOptions, "kernel">): Value;
  /** scale·x + bias (+ sum), per channel, in one pass. */
  affine(x: Value, scale: Value, bias: Value, options?: { relu?: boolean; sum?: Value }): Value;
  /** Memory as it is: `[N, C/block, H·W, block]`. */
  view(x: Value): Value;
  /** Σ over N, H, W of blocked tensors together, `[C]`: within each image first. */
  total(xs: readonly Value[], squares?: boolean): Value;
}

export interface ConvOptions {
  readonly kernel: readonly [number, number];
  readonly strides?: readonly [number, number];
  readonly pads?: readonly [number, number, number, number];
}

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
    { kernel, strides = [1, 1], pads = [0, 0, 0, 0] }: ConvOptions,
    rest: { group?: number; bias?: Operand; sum?: Operand; activation?: string } = {},
  ): Value => {
    const { group = 1, bias, sum, activation } = rest;
    return g.blocked("Conv", [x, w, bias, sum], { kernel_shape: kernel, strides, pads, group, activation });
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
    spread(x, taps, options) {
      const channels = Number(x.shape[1]);
      const kernel = [taps.length, taps[0]!.length] as const;
      const flat = taps.flatMap((row) => row.flatMap((v) => new Array<number>(block).fill(v)));
      const data = Float32Array.from(
        { length: (channels / block) * flat.length },
        (_, i) => flat[i % flat.length]!,
      );
      const w = g.constant({ dtype: "float32", dims: [channels, 1, ...kernel], data });
      return conv(x, w, { ...options, kernel }, { group: channels });
    },
    affine(x, scale, bias, { relu = false, sum } = {}) {
      const channels = Number(x.shape[1]);
      return conv(
        x,
        reshape(scale, [channels, 1, 1, 1]),
        { kernel: [1, 1] },
        {
          group: channels,
          bias,
          sum,
          activation: relu ? "Relu" : undefined,
        },
      );
    },
    total(xs, squares = false) {
      const perImage = xs.map((x) => {
        const v = view(x);
        return squares ? g.ReduceSumSquare(v, g.ints([2])) : g.ReduceSum(v, g.ints([2]));
      });
      const joined = perImage.reduce((a, b) => g.Add(a, b));
      return reshape(g.ReduceSum(joined, g.ints([0])), [-1]);
    },
  };
}
