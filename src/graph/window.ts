import { type Dim, UNKNOWN } from "./graph.ts";

/** How the windows of a convolution or a pooling lie over its input, one number a spatial axis. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros before the first and after the last element. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly output: readonly Dim[];
}

export interface WindowAttributes {
  readonly auto_pad: string;
  readonly strides?: readonly number[];
  readonly dilations?: readonly number[];
  readonly pads?: readonly number[];
  readonly ceil_mode?: number;
}

/** Elements that a kernel spans, holes included. */
export const span = (kernel: number, dilation: number): number => (kernel - 1) * dilation + 1;

/**
 * The windows over `input` (spatial sizes alone). `after` is extended where `ceil_mode` lets the last window hang over,
 * so that everybody may reckon with output = floor((input + before + after − span) / stride) + 1.
 */
export function windowOf(a: WindowAttributes, input: readonly Dim[], kernel: readonly number[]): Window {
  const rank = kernel.length;
  const ones = Array.from({ length: rank }, () => 1);
  const strides = a.strides ?? ones;
  const dilations = a.dilations ?? ones;
  const before: number[] = [];
  const after: number[] = [];
  const output: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const size = input[i]!;
    const stride = strides[i]!;
    const reach = span(kernel[i]!, dilations[i]!);
    let [low, high] = [a.pads?.[i] ?? 0, a.pads?.[i + rank] ?? 0];
    if (a.auto_pad === "VALID") [low, high] = [0, 0];
    if (typeof size === "string") {
      before.push(low);
      after.push(high);
      // A size that is not known stays itself under a "same" window.
      output.push(stride === 1 && low + high === reach - 1 ? size : UNKNOWN);
      continue;
    }
    if (a.auto_pad.startsWith("SAME")) {
      const total = Math.max((Math.ceil(size / stride) - 1) * stride + reach - size, 0);
      low = a.auto_pad === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2);
      high = total - low;
    }
    let count = Math.floor((size + low + high - reach) / stride) + 1;
    if (a.ceil_mode) {
      const ceiled = Math.ceil((size + low + high - reach) / stride) + 1;
      // A last window that would begin in the padding behind the input is dropped.
      if (ceiled > count && (ceiled - 1) * stride < size + low) {
        count = ceiled;
        high = Math.max(high, (count - 1) * stride + reach - size - low);
      }
    }
    before.push(low);
    after.push(high);
    output.push(count);
  }
  return { kernel, strides, dilations, before, after, output };
}
