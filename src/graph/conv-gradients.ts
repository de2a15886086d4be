import type { Builder, Value } from "./builder.ts";
import { type Dim, sizeOf } from "./graph.ts";
import { Mismatch, shapeText } from "./operators.ts";
import { span, type Window } from "./window.ts";

/** Gradients of a convolution y = x * w: x `[N, I, …S]`, w `[O, I/group, …kernel]`, y `[N, O, …T]`. */

function numbers(dims: readonly Dim[]): readonly number[] {
  if (!dims.every((dim) => typeof dim === "number"))
    throw new Mismatch("image sizes known when built", shapeText(dims));
  return dims;
}

const all = (list: readonly number[], value: number): boolean => list.every((v) => v === value);
const axesFrom2 = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i + 2);
/** Far enough to mean "to the end". */
const END = 2 ** 31 - 1;

/** Weights seen from the other side: channel axes swapped within each group, `[O, I/g, …]` → `[I, O/g, …]`. */
function swapChannels(g: Builder, w: Value, group: number): Value {
  const swapped = [1, 0, ...axesFrom2(w.shape.length - 2)];
  if (group === 1) return g.Transpose(w, { perm: swapped });
  const [o, i, ...kernel] = numbers(w.shape) as [number, number, ...number[]];
  const grouped = g.Reshape(w, g.ints([group, o / group, i, ...kernel]));
  const perm = [0, ...swapped.map((axis) => axis + 1)];
  return g.Reshape(g.Transpose(grouped, { perm }), g.ints([group * i, o / group, ...kernel]));
}

function flipTaps(g: Builder, w: Value): Value {
  const axes = axesFrom2(w.shape.length - 2);
  const repeat = (value: number): Value => g.ints(axes.map(() => value));
  return g.Slice(w, repeat(-1), repeat(-END), g.ints(axes), repeat(-1));
}

/** The weights of the convolution that takes ∂y to ∂x. */
export const swapAndFlip = (g: Builder, w: Value, group = 1): Value => flipTaps(g, swapChannels(g, w, group));

/**
 * ∂/∂x: with stride 1 the convolution of dy with the weights' channel axes swapped and their taps flipped, which is
 * faster than `ConvTranspose`; else `ConvTranspose`, which is the same thing spread out.
 */
export function convInputGradient(
  g: Builder,
  dy: Value,
  w: Value,
  input: readonly Dim[],
  { kernel, strides, dilations, before, after }: Window,
  group: number,
): Value {
  const reach = kernel.map((k, i) => span(k, dilations[i]!));
  const pads = [...reach.map((r, i) => r - 1 - before[i]!), ...reach.map((r, i) => r - 1 - after[i]!)];
  if (all(strides, 1) && pads.every((pad) => pad >= 0)) {
    return g.Conv(dy, all(kernel, 1) ? swapChannels(g, w, group) : swapAndFlip(g, w, group), {
      pads,
      dilations,
      group,
    });
  }
  const out = numbers(dy.shape.slice(2));
  return g.ConvTranspose(dy, w, {
    strides,
    dilations,
    group,
    pads: [...before, ...after],
    // Input behind the last whole window had no part in y.
    output_padding: numbers(input).map(
      (size, i) => size + before[i]! + after[i]! - ((out[i]! - 1) * strides[i]! + reach[i]!),
    ),
  });
}

/** ∂/∂w, `[O, I/group, …kernel]`. */
export function convWeightGradient(g: Builder, x: Value, dy: Value, window: Window, group: number): Value {
  const { kernel, strides, dilations, before, after } = window;
  const channels = x.shape[1]!;
  const sizes = numbers(dy.shape.slice(2));
  // In the gradient of a gradient there may be more taps than places, or images where channels were: there this form
  // is an ordinary convolution.
  const turned =
    [channels, dy.shape[1]].some((dim) => typeof dim === "string") || sizeOf(kernel) > sizeOf(sizes);
  if (group === 1 && (Number(channels) <= 3 || turned)) return swappedConv(g, x, dy, window);
  const [out, perGroup] = numbers([dy.shape[1]!, channels]).map((n) => n / group) as [number, number];
  const plain = all(kernel, 1) && all(strides, 1) && all([...before, ...after], 0);
  if (group === 1 && kernel.length === 2 && all(strides, 1) && !plain) return flatTaps(g, x, dy, window);

  // One product a tap: dy `[N, g, O/g, L]` with what the tap saw of x, `[N, g, L, I/g]`, summed over N.
  const padded = plain ? x : g.Pad(x, g.ints([0, 0, ...before, 0, 0, ...after]));
  const axes = g.ints(axesFrom2(kernel.length));
  const grouped = (v: Value, each: number): Value => g.Reshape(v, g.ints([0, group, each, sizeOf(sizes)]));
  const dyGrouped = grouped(dy, out);
  const taps = tapsOf(kernel).map((tap) => {
    const start = tap.map((at, i) => at * dilations[i]!);
    const end = start.map((at, i) => at + (sizes[i]! - 1) * strides[i]! + 1);
    const seen = plain ? x : g.Slice(padded, g.ints(start), g.ints(end), axes, g.ints(strides));
    const flat = grouped(seen, perGroup);
    const product =
      perGroup === 1
        ? g.ReduceSum(g.Mul(dyGrouped, flat), g.ints([3]))
        : g.MatMul(dyGrouped, g.Transpose(flat, { perm: [0, 1, 3, 2] }));
    return g.Reshape(g.ReduceSum(product, g.ints([0])), g.ints([out * group, perGroup, 1]));
  });
  const joined = taps.length > 1 ? g.Concat(...taps, { axis: 2 }) : taps[0]!;
  return g.Reshape(joined, g.ints([out * group, perGroup, ...kernel]));
}

/** Every tap of a kernel, row-major. */
function tapsOf(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>(
    (taps, size) => taps.flatMap((tap) => Array.from({ length: size }, (_, i) => [...tap, i])),
    [[]],
  );
}

/** One convolution whose "images" are the channels of x and whose "kernels" are those of dy. */
function swappedConv(g: Builder, x: Value, dy: Value, window: Window): Value {
  const { kernel, strides, dilations, before, after } = window;
  const rank = kernel.length;
  const perm = [1, 0, ...axesFrom2(rank)];
  const turned = g.Conv(g.Transpose(x, { perm }), g.Transpose(dy, { perm }), {
    strides: dilations,
    dilations: strides,
    pads: [...before, ...after],
  });
  const whole = g.Transpose(turned, { perm });
  // A stride that leaves input unused makes room for taps that are not there.
  if (kernel.every((k, i) => whole.shape[i + 2] === k)) return whole;
  return g.Slice(whole, g.ints(kernel.map(() => 0)), g.ints(kernel), g.ints(axesFrom2(rank)));
}

/**
 * Stride 1 in two dimensions. With x padded, turned to `[N, rows × width, I]` and dy padded to the same row width, a
 * tap is a shift along one axis: whole runs are copied, where slices of H and W copy row by row.
 */
function flatTaps(g: Builder, x: Value, dy: Value, { kernel, dilations, before, after }: Window): Value {
  const [channels, out] = [Number(x.shape[1]), Number(dy.shape[1])];
  const [rows, columns] = numbers(dy.shape.slice(2)) as [number, number];
  const width = columns + span(kernel[1]!, dilations[1]!) - 1;
  // One row more, since the last taps shift past the end.
  const extra = kernel[1]! > 1 ? 1 : 0;
  const padded = g.Pad(x, g.ints([0, 0, ...before, 0, 0, after[0]! + extra, after[1]!]));
  const turned = g.Transpose(g.Reshape(padded, g.ints([0, channels, -1])), { perm: [0, 2, 1] });
  const wide = g.Pad(dy, g.ints([0, 0, 0, 0, 0, 0, 0, width - columns]));
  const dyFlat = g.Reshape(wide, g.ints([0, out, rows * width]));
  const products = tapsOf(kernel).map(([i, j]) => {
    const start = i! * dilations[0]! * width + j! * dilations[1]!;
    const seen = g.Slice(turned, g.ints([start]), g.ints([start + rows * width]), g.ints([1]));
    const product = g.ReduceSum(g.MatMul(dyFlat, seen), g.ints([0]), { keepdims: 0 });
    return g.Reshape(product, g.ints([out, channels, 1]));
  });
  return g.Reshape(g.Concat(...products, { axis: 2 }), g.ints([out, channels, ...kernel]));
}
