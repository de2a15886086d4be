import { tensor, type Value } from "../graph/index.ts";
import type { Frame } from "./frame.ts";
import { constant, heNormal, type Init, lecunUniform } from "./init.ts";

/** Layers: functions that add nodes and ask the frame for their parameters. Images are `[N, C, H, W]`. */

export interface ConvOptions {
  /** Output channels. */
  readonly channels: number;
  /** Side of the square kernel. Default 3. */
  readonly kernel?: number;
  /** Default 1. */
  readonly stride?: number;
  /** Zeros on every side. Default (kernel − 1)/2: the size stays, divided by the stride. */
  readonly padding?: number;
  /** Groups of channels; as many as input channels is depthwise. Default 1. */
  readonly groups?: number;
  /** Default false: a normalisation follows, which would take it away again. */
  readonly bias?: boolean;
  /** Default {@link heNormal}. */
  readonly init?: Init;
}

/** `[N, C, H, W]` → `[N, channels, H', W']`; weight `[channels, C/groups, kernel, kernel]`. */
export function conv(
  f: Frame,
  name: string,
  x: Value,
  { channels, kernel = 3, stride = 1, groups = 1, bias = false, init = heNormal, ...rest }: ConvOptions,
): Value {
  const { padding = (kernel - 1) / 2 } = rest;
  return f.scope(name, () => {
    const w = f.parameter("weight", [channels, Number(x.shape[1]) / groups, kernel, kernel], init);
    const b = bias ? f.parameter("bias", [channels], constant(0), "affine") : undefined;
    return f.g.Conv(x, w, b, {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      group: groups,
    });
  });
}

export interface LinearOptions {
  /** Default true. */
  readonly bias?: boolean;
  /** Default {@link lecunUniform}. */
  readonly init?: Init;
}

/** The last axis, whatever its size, to `out`: `[…, in]` → `[…, out]`; weight `[out, in]`. */
export function linear(
  f: Frame,
  name: string,
  x: Value,
  out: number,
  { bias = true, init = lecunUniform }: LinearOptions = {},
): Value {
  const { g } = f;
  return f.scope(name, () => {
    const w = f.parameter("weight", [out, Number(x.shape.at(-1))], init);
    const b = bias ? f.parameter("bias", [out], constant(0), "affine") : undefined;
    if (x.shape.length === 2) return g.Gemm(x, w, b, { transB: 1 });
    const y = g.MatMul(x, g.Transpose(w, { perm: [1, 0] }));
    return b ? g.Add(y, b) : y;
  });
}

export interface BatchNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly epsilon?: number;
  /** What the running statistics keep of themselves in a step. Default 0.9. */
  readonly momentum?: number;
  /** A trained gain and bias of each channel. Default true. */
  readonly affine?: boolean;
}

/**
 * Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167), with the batch's statistics in training and the
 * running ones in inference. The running variance is that of the population (divided by n).
 */
export function batchNorm(
  f: Frame,
  name: string,
  x: Value,
  { epsilon = 1e-5, momentum = 0.9, affine = true }: BatchNormOptions = {},
): Value {
  const channels = Number(x.shape[1]);
  return f.scope(name, () => {
    const gain = (name: string, value: number): Value =>
      affine
        ? f.parameter(name, [channels], constant(value), "affine")
        : f.g.constant(tensor("float32", new Float32Array(channels).fill(value), [channels]));
    const gamma = gain("gamma", 1);
    const beta = gain("beta", 0);
    const mean = f.statistic("mean", [channels], 0);
    const variance = f.statistic("variance", [channels], 1);
    const inputs = [x, gamma, beta, mean, variance];
    if (f.mode === "infer") return f.g.BatchNormalization(...inputs, { epsilon });
    const attributes = { epsilon, momentum, training_mode: 1 };
    const [y, nextMean, nextVariance] = f.g.emit("BatchNormalization", inputs, attributes, 3);
    f.update(mean, nextMean!);
    f.update(variance, nextVariance!);
    return y!;
  });
}

/** Over the last axis (Ba et al. 2016, arXiv:1607.06450). */
export function layerNorm(f: Frame, name: string, x: Value, epsilon = 1e-6): Value {
  const size = Number(x.shape.at(-1));
  return f.scope(name, () => {
    const gamma = f.parameter("gamma", [size], constant(1), "affine");
    const beta = f.parameter("beta", [size], constant(0), "affine");
    return f.g.LayerNormalization(x, gamma, beta, { axis: -1, epsilon });
  });
}

/** Windows that do not overlap; what is left over at the lower and right edge is dropped. */
export const maxPool = ({ g }: Frame, x: Value, side = 2): Value =>
  g.MaxPool(x, { kernel_shape: [side, side], strides: [side, side] });

/** `[N, C, H, W]` → `[N, C]`, the mean over space. */
export const globalMean = ({ g }: Frame, x: Value): Value => g.Flatten(g.GlobalAveragePool(x), { axis: 1 });

/** `[N, …]` → `[N, D]`. */
export const flatten = ({ g }: Frame, x: Value): Value => g.Flatten(x, { axis: 1 });
