import { type Tensor, tensor } from "../graph/index.ts";
import type { Range } from "./histogram.ts";

/** real = scale · (code − zero) */
export interface Affine {
  readonly scale: number;
  readonly zero: number;
  readonly dtype: "int8" | "uint8";
}

/**
 * Codes for a range, which is widened to hold 0, since padding and rectifiers need it exactly. `uint8` spends all 256
 * codes between the two ends; `int8` is symmetric, −127 … 127 with 0 at 0.
 */
export function affineOf({ low, high }: Range, dtype: Affine["dtype"]): Affine {
  const [from, to] = [Math.min(low, 0), Math.max(high, 0)];
  // What is always next to nothing has any scale: one as small would leave float32 once it is multiplied.
  const step = (reach: number, steps: number): number => (reach > 1e-12 ? Math.fround(reach / steps) : 1);
  if (dtype === "int8") return { scale: step(Math.max(-from, to), 127), zero: 0, dtype };
  const scale = step(to - from, 255);
  return { scale, zero: Math.min(255, Math.max(0, Math.round(-from / scale))), dtype };
}

/** The least and the greatest number that has a code. */
export function ends({ scale, zero, dtype }: Affine): Range {
  const [least, most] = dtype === "int8" ? [-128, 127] : [0, 255];
  return { low: scale * (least - zero), high: scale * (most - zero) };
}

/** Weights as whole numbers, with one scale for each element of an axis: a symmetric int8 a channel. */
export interface QuantizedWeights {
  readonly codes: Tensor<"int8">;
  readonly scales: Float32Array;
}

/**
 * @param axis of the output channels.
 * @param bits 8: codes −127 … 127. 7: −63 … 63, which no sum of two products with uint8 can push out of 16 bits, as older
 *   processors add them.
 * @param least smallest scale of each channel, where something else needs it that large.
 */
export function quantizeWeights(
  { data, dims }: Tensor<"float32">,
  axis: number,
  bits: 7 | 8,
  least: (channel: number) => number = () => 0,
): QuantizedWeights {
  const after = dims.slice(axis + 1).reduce((product, n) => product * n, 1);
  const channels = dims[axis]!;
  const most = 2 ** (bits - 1) - 1;
  const channelOf = (i: number): number => Math.floor(i / after) % channels;
  const scales = new Float32Array(channels);
  data.forEach((w, i) => {
    const c = channelOf(i);
    scales[c] = Math.max(scales[c]!, Math.abs(w) / most);
  });
  scales.forEach((scale, c) => {
    // A channel of zeros has any scale.
    scales[c] = Math.max(scale, least(c)) || 1;
  });
  const codes = new Int8Array(data.length);
  data.forEach((w, i) => {
    codes[i] = Math.min(most, Math.max(-most, Math.round(w / scales[channelOf(i)]!)));
  });
  return { codes: tensor("int8", codes, dims), scales };
}
