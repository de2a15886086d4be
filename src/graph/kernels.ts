import { createRng } from "../core/index.ts";
import { type DType, dtypeCodes, numbersOf, sizeOf } from "./graph.ts";
import {
  type Attributes,
  axisOf,
  broadcast,
  einsumTerms,
  type OpName,
  reducedAxes,
  sliceRange,
  transposedSizes,
} from "./operators.ts";
import { resizeMatrix } from "./resize.ts";
import { windowOf } from "./window.ts";

/** A dense array in double precision, row-major; integers and truth values are numbers too. */
export interface NdArray {
  readonly dims: readonly number[];
  readonly data: Float64Array;
  /** Of a constant or a whole number whose type is known; what saturates looks at its zero point's. */
  readonly type?: DType;
}

/** What one operator computes, in the plainest way: this is the reference, not the engine. */
export type Kernel<K extends OpName> = (
  x: readonly NdArray[],
  a: Attributes<K>,
  outputs: number,
) => readonly NdArray[];

const zeros = (dims: readonly number[]): NdArray => ({ dims, data: new Float64Array(sizeOf(dims)) });

export function stridesOf(dims: readonly number[]): number[] {
  const strides = Array.from({ length: dims.length }, () => 1);
  for (let i = dims.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * dims[i + 1]!;
  return strides;
}

/** Calls `visit` with each multi-index of `dims`, in row-major order. The array is reused. */
function each(dims: readonly number[], visit: (index: readonly number[], flat: number) => void): void {
  const index = dims.map(() => 0);
  const size = sizeOf(dims);
  for (let flat = 0; flat < size; flat++) {
    visit(index, flat);
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      if (++index[axis]! < dims[axis]!) break;
      index[axis] = 0;
    }
  }
}

/** A new array whose elements are looked up by multi-index; `source` may give −1 for zero. */
function pick(x: NdArray, dims: readonly number[], source: (index: readonly number[]) => number): NdArray {
  const y = zeros(dims);
  each(dims, (index, flat) => {
    const from = source(index);
    if (from >= 0) y.data[flat] = x.data[from]!;
  });
  return y;
}

function dot(index: readonly number[], strides: readonly number[]): number {
  let at = 0;
  for (let axis = 0; axis < index.length; axis++) at += index[axis]! * strides[axis]!;
  return at;
}

/** Combines arrays element by element under broadcasting. */
function combine(x: readonly NdArray[], f: (...values: number[]) => number): readonly NdArray[] {
  const dims = broadcast(x.map((v) => v.dims)) as readonly number[];
  const y = zeros(dims);
  const spread = x.map((v) => (sizeOf(v.dims) === y.data.length ? v : repeat(v, dims)));
  const [a, b] = spread;
  if (spread.length === 2) for (let i = 0; i < y.data.length; i++) y.data[i] = f(a!.data[i]!, b!.data[i]!);
  else for (let i = 0; i < y.data.length; i++) y.data[i] = f(...spread.map((v) => v.data[i]!));
  return [y];
}

function repeat(x: NdArray, dims: readonly number[]): NdArray {
  const strides = stridesOf(x.dims).map((stride, i) => (x.dims[i] === 1 ? 0 : stride));
  const steps = [...dims.slice(x.dims.length).map(() => 0), ...strides];
  return pick(x, dims, (index) => dot(index, steps));
}

const map = ([x]: readonly NdArray[], f: (v: number) => number): readonly NdArray[] => [
  { dims: x!.dims, data: x!.data.map(f) },
];
const elementwise = (f: (v: number) => number) => (x: readonly NdArray[]) => map(x, f);
const pairwise = (f: (a: number, b: number) => number) => (x: readonly NdArray[]) => combine(x, f);
const test = (f: (a: number, b: number) => boolean) => (x: readonly NdArray[]) =>
  combine(x, (a, b) => Number(f(a, b)));

/** Error function: a Taylor series near zero, a continued fraction (Lentz) beyond; to 1e-15. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let tail = z;
  for (let n = 120; n > 0; n--) tail = z + n / 2 / tail;
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * tail));
}

const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
const clamp = (v: number, low: number, high: number): number => Math.min(Math.max(v, low), high);

/** Halves to the even neighbour, as IEEE 754 rounds. */
function roundHalfEven(v: number): number {
  const low = Math.floor(v);
  const rest = v - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

/** `[…]` → the number of `per` (one, or one an element of the axis) that belongs to each element. */
function alongAxis(x: NdArray, per: NdArray | undefined, axis: number): (flat: number) => number {
  if (!per) return () => 0;
  if (per.data.length === 1) return () => per.data[0]!;
  const at = axisOf(axis, x.dims.length);
  const after = sizeOf(x.dims.slice(at + 1));
  return (flat) => per.data[Math.floor(flat / after) % x.dims[at]!]!;
}

function reduce(
  f: (values: readonly number[]) => number,
): (x: readonly NdArray[], a: Attributes<"ReduceSum">) => readonly NdArray[] {
  return ([x, axes], { keepdims, noop_with_empty_axes }) => {
    const reduced = reducedAxes(
      x!.dims.length,
      axes && [...axes.data],
      axes !== undefined,
      noop_with_empty_axes === 1,
    );
    const kept = x!.dims.map((dim, i) => (reduced.includes(i) ? 1 : dim));
    const strides = stridesOf(kept).map((stride, i) => (reduced.includes(i) ? 0 : stride));
    const groups = Array.from({ length: sizeOf(kept) }, (): number[] => []);
    each(x!.dims, (index, flat) => groups[dot(index, strides)]!.push(x!.data[flat]!));
    const dims = keepdims ? kept : kept.filter((_, i) => !reduced.includes(i));
    return [{ dims, data: Float64Array.from(groups, f) }];
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, v) => total + v, 0);

/** Views `x` as [before, axis, after] and calls `visit` with the flat indices of each line along the axis. */
function lines(dims: readonly number[], axis: number, visit: (line: readonly number[]) => void): void {
  const at = axisOf(axis, dims.length);
  const after = sizeOf(dims.slice(at + 1));
  const size = dims[at]!;
  for (let before = 0; before < sizeOf(dims.slice(0, at)); before++)
    for (let i = 0; i < after; i++)
      visit(Array.from({ length: size }, (_, k) => (before * size + k) * after + i));
}

function softmax(x: NdArray, axis: number, logarithm: boolean): readonly NdArray[] {
  const y = zeros(x.dims);
  lines(x.dims, axis, (line) => {
    const largest = Math.max(...line.map((i) => x.data[i]!));
    const total = sum(line.map((i) => Math.exp(x.data[i]! - largest)));
    for (const i of line) {
      const shifted = x.data[i]! - largest;
      y.data[i] = logarithm ? shifted - Math.log(total) : Math.exp(shifted) / total;
    }
  });
  return [y];
}

function matMul(a: NdArray, b: NdArray): NdArray {
  const left = a.dims.length === 1 ? [1, ...a.dims] : a.dims;
  const right = b.dims.length === 1 ? [...b.dims, 1] : b.dims;
  const [m, k, n] = [left.at(-2)!, left.at(-1)!, right.at(-1)!];
  const outer = broadcast([left.slice(0, -2), right.slice(0, -2)]) as readonly number[];
  const y = zeros([...outer, m, n]);
  const offsets = (dims: readonly number[]): number[] => {
    const strides = stridesOf(dims).map((stride, i) => (dims[i] === 1 ? 0 : stride));
    return [...outer.slice(dims.length - 2).map(() => 0), ...strides.slice(0, -2)];
  };
  const [leftOffsets, rightOffsets] = [offsets(left), offsets(right)];
  each(outer, (index, flat) => {
    const [from, to, out] = [dot(index, leftOffsets), dot(index, rightOffsets), flat * m * n];
    for (let i = 0; i < m; i++)
      for (let p = 0; p < k; p++) {
        const v = a.data[from + i * k + p]!;
        for (let j = 0; j < n; j++) y.data[out + i * n + j]! += v * b.data[to + p * n + j]!;
      }
  });
  const dims = [...outer, ...(a.dims.length === 1 ? [] : [m]), ...(b.dims.length === 1 ? [] : [n])];
  return { dims, data: y.data };
}

function transpose(
  x: NdArray,
  perm: readonly number[] = x.dims.map((_, i) => x.dims.length - 1 - i),
): NdArray {
  const strides = stridesOf(x.dims);
  const moved = perm.map((axis) => strides[axis]!);
  return pick(
    x,
    perm.map((axis) => x.dims[axis]!),
    (index) => dot(index, moved),
  );
}

/**
 * Walks every pair (output element, input element under its window): the frame of all convolutions and poolings.
 * `tap` is the flat index within the kernel.
 */
function windows(
  input: readonly number[],
  { kernel, strides, dilations, before, output }: ReturnType<typeof windowOf>,
  visit: (out: number, input: number, tap: number) => void,
): void {
  const spatial = stridesOf(input);
  const taps: number[][] = [];
  each(kernel, (tap) => taps.push([...tap]));
  each(output as readonly number[], (index, out) => {
    taps.forEach((tap, t) => {
      let at = 0;
      for (let i = 0; i < input.length; i++) {
        const position = index[i]! * strides[i]! + tap[i]! * dilations[i]! - before[i]!;
        if (position < 0 || position >= input[i]!) return;
        at += position * spatial[i]!;
      }
      visit(out, at, t);
    });
  });
}

function conv(x: readonly NdArray[], a: Attributes<"Conv">): readonly NdArray[] {
  const [image, w, b] = x;
  const [n, channels, ...spatial] = image!.dims;
  const [out, perGroup, ...kernel] = w!.dims;
  const window = windowOf(a, spatial, kernel);
  const [area, taps] = [sizeOf(spatial), sizeOf(kernel)];
  const y = zeros([n!, out!, ...(window.output as number[])]);
  const outArea = sizeOf(window.output as number[]);
  const outPerGroup = out! / a.group;
  windows(spatial, window, (o, i, t) => {
    for (let img = 0; img < n!; img++)
      for (let co = 0; co < out!; co++) {
        const group = Math.floor(co / outPerGroup);
        let total = 0;
        for (let ci = 0; ci < perGroup!; ci++)
          total +=
            image!.data[(img * channels! + group * perGroup! + ci) * area + i]! *
            w!.data[(co * perGroup! + ci) * taps + t]!;
        y.data[(img * out! + co) * outArea + o]! += total;
      }
  });
  if (b) for (let i = 0; i < y.data.length; i++) y.data[i]! += b.data[Math.floor(i / outArea) % out!]!;
  return [y];
}

/** The adjoint of a convolution, written as such: each input element is spread over its window of the output. */
function convTranspose(x: readonly NdArray[], a: Attributes<"ConvTranspose">): readonly NdArray[] {
  const [image, w, b] = x;
  const [n, channels, ...spatial] = image!.dims;
  const [, perGroup, ...kernel] = w!.dims;
  const sizes = transposedSizes(a, spatial, kernel) as number[];
  const out = perGroup! * a.group;
  const window = { ...windowOf(a, sizes, kernel), output: spatial };
  const [area, outArea, taps] = [sizeOf(spatial), sizeOf(sizes), sizeOf(kernel)];
  const y = zeros([n!, out, ...sizes]);
  windows(sizes, window, (i, o, t) => {
    for (let img = 0; img < n!; img++)
      for (let ci = 0; ci < channels!; ci++) {
        const group = Math.floor(ci / (channels! / a.group));
        for (let co = 0; co < perGroup!; co++)
          y.data[(img * out + group * perGroup! + co) * outArea + o]! +=
            image!.data[(img * channels! + ci) * area + i]! * w!.data[(ci * perGroup! + co) * taps + t]!;
      }
  });
  if (b) for (let i = 0; i < y.data.length; i++) y.data[i]! += b.data[Math.floor(i / outArea) % out]!;
  return [y];
}

/** Calls `visit` once for each plane [n, c] of a pooling, with the input indices under every output. */
function pool(
  x: NdArray,
  a: Parameters<typeof windowOf>[0] & { readonly kernel_shape?: readonly number[] },
  choose: (under: readonly number[], out: number) => void,
): readonly number[] {
  const [n, c, ...spatial] = x.dims;
  const window = windowOf(a, spatial, a.kernel_shape!);
  const output = window.output as number[];
  const under = Array.from({ length: sizeOf(output) }, (): number[] => []);
  windows(spatial, window, (out, at) => under[out]!.push(at));
  for (let plane = 0; plane < n! * c!; plane++)
    under.forEach((list, out) => {
      choose(
        list.map((at) => plane * sizeOf(spatial) + at),
        plane * under.length + out,
      );
    });
  return [n!, c!, ...output];
}

/** Mean and variance over everything but the channels, in two passes. */
function channelStatistics(x: NdArray): { mean: Float64Array; variance: Float64Array } {
  const [n, c] = x.dims;
  const area = sizeOf(x.dims.slice(2));
  const mean = new Float64Array(c!);
  const variance = new Float64Array(c!);
  const count = n! * area;
  const channel = (i: number): number => Math.floor(i / area) % c!;
  for (let i = 0; i < x.data.length; i++) mean[channel(i)]! += x.data[i]! / count;
  for (let i = 0; i < x.data.length; i++)
    variance[channel(i)]! += (x.data[i]! - mean[channel(i)]!) ** 2 / count;
  return { mean, variance };
}

const integers = (x: NdArray | undefined): number[] | undefined => x && [...x.data];

/** Reduces a number to what an element type can hold; floats stay doubles. */
function castTo(dtype: DType): (v: number) => number {
  if (dtype === "bool") return (v) => Number(v !== 0);
  if (dtype.startsWith("float")) return (v) => v;
  if (dtype === "uint8") return (v) => Math.trunc(v) & 0xff;
  if (dtype === "int8") return (v) => (Math.trunc(v) << 24) >> 24;
  return Math.trunc;
}

export const kernels: { readonly [K in OpName]: Kernel<K> } = {
  Identity: ([x]) => [x!],
  Neg: elementwise((v) => -v),
  Abs: elementwise(Math.abs),
  Sign: elementwise(Math.sign),
  Relu: elementwise((v) => Math.max(v, 0)),
  Floor: elementwise(Math.floor),
  Exp: elementwise(Math.exp),
  Log: elementwise(Math.log),
  Sqrt: elementwise(Math.sqrt),
  Reciprocal: elementwise((v) => 1 / v),
  Sigmoid: elementwise(sigmoid),
  Tanh: elementwise(Math.tanh),
  Erf: elementwise(erf),
  Softplus: elementwise((v) => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)))),
  HardSwish: elementwise((v) => v * clamp(v / 6 + 0.5, 0, 1)),
  Gelu: (x, { approximate }) =>
    map(x, (v) =>
      approximate === "tanh"
        ? 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))
        : 0.5 * v * (1 + erf(v / Math.SQRT2)),
    ),
  LeakyRelu: (x, { alpha }) => map(x, (v) => (v < 0 ? alpha * v : v)),
  HardSigmoid: (x, { alpha, beta }) => map(x, (v) => clamp(alpha * v + beta, 0, 1)),
  PRelu: pairwise((v, slope) => (v < 0 ? slope * v : v)),
  Clip: ([x, low, high]) =>
    map([x!], (v) =>
      clamp(v, low?.data[0] ?? Number.NEGATIVE_INFINITY, high?.data[0] ?? Number.POSITIVE_INFINITY),
    ),
  Add: pairwise((a, b) => a + b),
  Sub: pairwise((a, b) => a - b),
  Mul: pairwise((a, b) => a * b),
  Div: pairwise((a, b) => a / b),
  Pow: pairwise((a, b) => a ** b),
  Min: (x) => combine(x, Math.min),
  Max: (x) => combine(x, Math.max),
  Equal: test((a, b) => a === b),
  Greater: test((a, b) => a > b),
  GreaterOrEqual: test((a, b) => a >= b),
  Less: test((a, b) => a < b),
  LessOrEqual: test((a, b) => a <= b),
  And: test((a, b) => a !== 0 && b !== 0),
  Or: test((a, b) => a !== 0 || b !== 0),
  Not: elementwise((v) => Number(v === 0)),
  Where: (x) => combine(x, (condition, a, b) => (condition ? a! : b!)),
  Cast: (x, { to }) => {
    const dtype = (Object.keys(dtypeCodes) as DType[]).find((name) => dtypeCodes[name] === to);
    return map(x, castTo(dtype ?? "float64"));
  },
  QuantizeLinear: ([x, scale, zero], { axis }) => {
    const [step, origin] = [alongAxis(x!, scale, axis), alongAxis(x!, zero, axis)];
    const [low, high] = zero?.type === "int8" ? [-128, 127] : [0, 255];
    const data = x!.data.map((v, i) => clamp(roundHalfEven(v / step(i)) + origin(i), low, high));
    return [{ dims: x!.dims, data, type: zero?.type ?? "uint8" }];
  },
  DequantizeLinear: ([x, scale, zero], { axis }) => {
    const [step, origin] = [alongAxis(x!, scale, axis), alongAxis(x!, zero, axis)];
    return [{ dims: x!.dims, data: x!.data.map((v, i) => (v - origin(i)) * step(i)) }];
  },
  Dropout: ([x, ratio, training], { seed }) => {
    const drop = training?.data[0] ? (ratio?.data[0] ?? 0.5) : 0;
    // Drawn from the seed alone, so that the same graph drops the same elements every time.
    const rng = createRng(seed ?? 0);
    const mask = { dims: x!.dims, data: x!.data.map(() => Number(drop === 0 || rng.next() >= drop)) };
    return [{ dims: x!.dims, data: x!.data.map((v, i) => (v * mask.data[i]!) / (1 - drop)) }, mask];
  },

  MatMul: ([a, b]) => [matMul(a!, b!)],
  Gemm: ([a, b, c], { alpha, beta, transA, transB }) => {
    const product = matMul(transA ? transpose(a!) : a!, transB ? transpose(b!) : b!);
    return c ? combine([product, c], (p, v) => alpha * p! + beta * v!) : map([product], (p) => alpha * p);
  },
  Einsum: (x, { equation }) => {
    const { inputs, output } = einsumTerms(equation);
    const sizes = new Map(
      inputs.flatMap((term, i) => [...term].map((c, axis) => [c, x[i]!.dims[axis]!] as const)),
    );
    const letters = [...new Set([...output, ...sizes.keys()])];
    const stepsOf = (term: string, dims: readonly number[]): number[] =>
      letters.map((c) => stridesOf(dims).reduce((step, s, axis) => step + (term[axis] === c ? s : 0), 0));
    const y = zeros([...output].map((c) => sizes.get(c)!));
    const out = stepsOf(output, y.dims);
    const steps = inputs.map((term, i) => stepsOf(term, x[i]!.dims));
    each(
      letters.map((c) => sizes.get(c)!),
      (index) => {
        y.data[dot(index, out)]! += x.reduce((p, v, i) => p * v.data[dot(index, steps[i]!)]!, 1);
      },
    );
    return [y];
  },
  Conv: conv,
  ConvTranspose: convTranspose,

  MaxPool: ([x], a) => {
    const values: number[] = [];
    const places: number[] = [];
    const dims = pool(x!, a, (under, out) => {
      // Strictly greater: the first of equal elements, in row order, wins.
      let best = under[0]!;
      for (const at of under) if (x!.data[at]! > x!.data[best]!) best = at;
      values[out] = x!.data[best]!;
      places[out] = best;
    });
    return [
      { dims, data: Float64Array.from(values) },
      { dims, data: Float64Array.from(places) },
    ];
  },
  AveragePool: ([x], a) => {
    const values: number[] = [];
    const [n, c, ...spatial] = x!.dims;
    // Explicit padding may count; what ceil_mode adds behind it never does.
    const { before } = windowOf(a, spatial, a.kernel_shape!);
    const padded = spatial.map((size, i) => size + before[i]! + (a.pads?.[i + spatial.length] ?? 0));
    const counts: number[] = [];
    if (a.count_include_pad)
      pool(zeros([n!, c!, ...padded]), { ...a, pads: spatial.flatMap(() => [0, 0]) }, (under, out) => {
        counts[out] = under.length;
      });
    const dims = pool(x!, a, (under, out) => {
      values[out] = sum(under.map((at) => x!.data[at]!)) / (counts[out] ?? under.length);
    });
    return [{ dims, data: Float64Array.from(values) }];
  },
  GlobalAveragePool: ([x]) => {
    const area = sizeOf(x!.dims.slice(2));
    const y = zeros(x!.dims.map((dim, i) => (i < 2 ? dim : 1)));
    x!.data.forEach((v, i) => {
      y.data[Math.floor(i / area)]! += v / area;
    });
    return [y];
  },
  BatchNormalization: ([x, scale, bias, mean, variance], { epsilon, momentum, training_mode }) => {
    const used = training_mode ? channelStatistics(x!) : { mean: mean!.data, variance: variance!.data };
    const area = sizeOf(x!.dims.slice(2));
    const y = zeros(x!.dims);
    for (let i = 0; i < y.data.length; i++) {
      const c = Math.floor(i / area) % x!.dims[1]!;
      y.data[i] =
        ((x!.data[i]! - used.mean[c]!) / Math.sqrt(used.variance[c]! + epsilon)) * scale!.data[c]! +
        bias!.data[c]!;
    }
    const moved = (before: NdArray, now: Float64Array): NdArray => ({
      dims: before.dims,
      data: before.data.map((v, i) => momentum * v + (1 - momentum) * now[i]!),
    });
    return [y, moved(mean!, used.mean), moved(variance!, used.variance)];
  },
  LayerNormalization: ([x, scale, bias], { axis, epsilon }) => {
    const first = axisOf(axis, x!.dims.length);
    const size = sizeOf(x!.dims.slice(first));
    const outer = x!.dims.map((dim, i) => (i < first ? dim : 1));
    const [normal, means, inverses] = [zeros(x!.dims), zeros(outer), zeros(outer)];
    for (let row = 0; row < means.data.length; row++) {
      const values = [...x!.data.subarray(row * size, (row + 1) * size)];
      const mean = sum(values) / size;
      const inverse = 1 / Math.sqrt(sum(values.map((v) => (v - mean) ** 2)) / size + epsilon);
      values.forEach((v, i) => {
        normal.data[row * size + i] = (v - mean) * inverse;
      });
      means.data[row] = mean;
      inverses.data[row] = inverse;
    }
    const scaled = combine([normal, scale!], (v, s) => v! * s!)[0]!;
    return [bias ? combine([scaled, bias], (v, b) => v! + b!)[0]! : scaled, means, inverses];
  },
  Softmax: ([x], { axis }) => softmax(x!, axis, false),
  LogSoftmax: ([x], { axis }) => softmax(x!, axis, true),

  ReduceSum: reduce(sum),
  ReduceMean: reduce((values) => sum(values) / values.length),
  ReduceMax: reduce((values) => Math.max(...values)),
  ReduceMin: reduce((values) => Math.min(...values)),
  ReduceSumSquare: reduce((values) => sum(values.map((v) => v * v))),
  ReduceL2: reduce((values) => Math.sqrt(sum(values.map((v) => v * v)))),
  ArgMax: ([x], { axis, keepdims, select_last_index }) => {
    const at = axisOf(axis, x!.dims.length);
    const found: number[] = [];
    lines(x!.dims, at, (line) => {
      const values = line.map((i) => x!.data[i]!);
      const largest = Math.max(...values);
      found.push(select_last_index ? values.lastIndexOf(largest) : values.indexOf(largest));
    });
    const dims = x!.dims.flatMap((dim, i) => (i !== at ? [dim] : keepdims ? [1] : []));
    return [{ dims, data: Float64Array.from(found) }];
  },

  Shape: ([x], { start, end }) => {
    const dims = x!.dims.slice(start, end);
    return [{ dims: [dims.length], data: Float64Array.from(dims) }];
  },
  Size: ([x]) => [{ dims: [], data: Float64Array.of(x!.data.length) }],
  ConstantOfShape: ([dims], { value }) => {
    const y = zeros([...dims!.data]);
    return [{ dims: y.dims, data: y.data.fill(value ? numbersOf(value)[0]! : 0) }];
  },
  Reshape: ([x, target], { allowzero }) => {
    const dims = [...target!.data].map((dim, i) => (dim === 0 && !allowzero ? x!.dims[i]! : dim));
    const hole = dims.indexOf(-1);
    if (hole >= 0) dims[hole] = x!.data.length / -sizeOf(dims);
    return [{ dims, data: x!.data }];
  },
  Flatten: ([x], { axis }) => {
    const at = axis < 0 ? axis + x!.dims.length : axis;
    return [{ dims: [sizeOf(x!.dims.slice(0, at)), sizeOf(x!.dims.slice(at))], data: x!.data }];
  },
  Transpose: ([x], { perm }) => [transpose(x!, perm)],
  Squeeze: ([x, axes]) => {
    const dropped = integers(axes)?.map((axis) => axisOf(axis, x!.dims.length));
    const dims = x!.dims.filter((dim, i) => (dropped ? !dropped.includes(i) : dim !== 1));
    return [{ dims, data: x!.data }];
  },
  Unsqueeze: ([x, axes]) => {
    const rank = x!.dims.length + axes!.data.length;
    const added = integers(axes)!.map((axis) => axisOf(axis, rank));
    const rest = [...x!.dims];
    return [
      {
        dims: Array.from({ length: rank }, (_, i) => (added.includes(i) ? 1 : rest.shift()!)),
        data: x!.data,
      },
    ];
  },
  Concat: (x, { axis }) => {
    const at = axisOf(axis, x[0]!.dims.length);
    const dims = x[0]!.dims.map((dim, i) => (i === at ? sum(x.map((v) => v.dims[at]!)) : dim));
    const y = zeros(dims);
    const after = sizeOf(dims.slice(at + 1));
    let offset = 0;
    for (const v of x) {
      const run = v.dims[at]! * after;
      for (let before = 0; before * run < v.data.length; before++)
        y.data.set(v.data.subarray(before * run, (before + 1) * run), before * dims[at]! * after + offset);
      offset += run;
    }
    return [y];
  },
  Slice: ([x, starts, ends, axes, steps]) => {
    const ranges = x!.dims.map((size) => ({ start: 0, count: size, step: 1 }));
    starts!.data.forEach((start, i) => {
      const at = axisOf(axes?.data[i] ?? i, ranges.length);
      const step = steps?.data[i] ?? 1;
      ranges[at] = { ...sliceRange(x!.dims[at]!, start, ends!.data[i]!, step), step };
    });
    const strides = stridesOf(x!.dims);
    return [
      pick(
        x!,
        ranges.map(({ count }) => count),
        (index) =>
          index.reduce(
            (at, i, axis) => at + (ranges[axis]!.start + i * ranges[axis]!.step) * strides[axis]!,
            0,
          ),
      ),
    ];
  },
  Split: ([x, split], { axis, num_outputs }, outputs) => {
    const at = axisOf(axis, x!.dims.length);
    const even = Math.ceil(x!.dims[at]! / (num_outputs ?? outputs));
    const strides = stridesOf(x!.dims);
    let start = 0;
    return Array.from({ length: outputs }, (_, part) => {
      const count = split?.data[part] ?? Math.min(even, x!.dims[at]! - start);
      const offset = start * strides[at]!;
      start += count;
      return pick(
        x!,
        x!.dims.map((dim, i) => (i === at ? count : dim)),
        (index) => dot(index, strides) + offset,
      );
    });
  },
  Pad: ([x, pads, value, axes], { mode }) => {
    const over = integers(axes)?.map((axis) => axisOf(axis, x!.dims.length)) ?? x!.dims.map((_, i) => i);
    const before = x!.dims.map(() => 0);
    const dims = [...x!.dims];
    over.forEach((axis, i) => {
      before[axis] = pads!.data[i]!;
      dims[axis] = dims[axis]! + pads!.data[i]! + pads!.data[i + over.length]!;
    });
    const strides = stridesOf(x!.dims);
    const inside = (index: readonly number[]): number => {
      let flat = 0;
      for (let axis = 0; axis < dims.length; axis++) {
        const size = x!.dims[axis]!;
        let at = index[axis]! - before[axis]!;
        if (mode === "edge") at = clamp(at, 0, size - 1);
        else if (mode === "reflect") at = Math.abs(at) < size ? Math.abs(at) : 2 * (size - 1) - at;
        if (mode === "reflect" && at >= size) at = 2 * (size - 1) - at;
        if (at < 0 || at >= size) return -1;
        flat += at * strides[axis]!;
      }
      return flat;
    };
    const fill = value?.data[0] ?? 0;
    const y = zeros(dims);
    each(dims, (index, flat) => {
      const from = inside(index);
      y.data[flat] = from < 0 ? fill : x!.data[from]!;
    });
    return [y];
  },
  Expand: ([x, target]) => combine([x!, zeros([...target!.data])], (v) => v!),
  Gather: ([x, indices], { axis }) => {
    const at = axisOf(axis, x!.dims.length);
    const rank = indices!.dims.length;
    const strides = stridesOf(x!.dims);
    const inner = stridesOf(indices!.dims);
    return [
      pick(x!, [...x!.dims.slice(0, at), ...indices!.dims, ...x!.dims.slice(at + 1)], (index) => {
        const chosen = indices!.data[dot(index.slice(at, at + rank), inner)]!;
        const row = chosen < 0 ? chosen + x!.dims[at]! : chosen;
        return dot([...index.slice(0, at), row, ...index.slice(at + rank)], strides);
      }),
    ];
  },
  GatherElements: ([x, indices], { axis }) => {
    const at = axisOf(axis, x!.dims.length);
    const strides = stridesOf(x!.dims);
    const inner = stridesOf(indices!.dims);
    return [
      pick(x!, indices!.dims, (index) => {
        const chosen = indices!.data[dot(index, inner)]!;
        return (
          dot(index, strides) + ((chosen < 0 ? chosen + x!.dims[at]! : chosen) - index[at]!) * strides[at]!
        );
      }),
    ];
  },
  ScatterElements: ([x, indices, updates], { axis, reduction }) => {
    const at = axisOf(axis, x!.dims.length);
    const strides = stridesOf(x!.dims);
    const y = { dims: x!.dims, data: x!.data.slice() };
    each(indices!.dims, (index, flat) => {
      const chosen = indices!.data[flat]!;
      const to =
        dot(index, strides) + ((chosen < 0 ? chosen + x!.dims[at]! : chosen) - index[at]!) * strides[at]!;
      y.data[to] = reduction === "add" ? y.data[to]! + updates!.data[flat]! : updates!.data[flat]!;
    });
    return [y];
  },
  OneHot: ([indices, depth, values], { axis }) => {
    const size = depth!.data[0]!;
    const at = axisOf(axis, indices!.dims.length + 1);
    const y = zeros([...indices!.dims.slice(0, at), size, ...indices!.dims.slice(at)]);
    const inner = stridesOf(indices!.dims);
    each(y.dims, (index, flat) => {
      const chosen = indices!.data[dot([...index.slice(0, at), ...index.slice(at + 1)], inner)]!;
      y.data[flat] = values!.data[(chosen < 0 ? chosen + size : chosen) === index[at] ? 1 : 0]!;
    });
    return [y];
  },
  Resize: ([x, , scales, sizes], a) => {
    const axes = a.axes?.map((axis) => axisOf(axis, x!.dims.length)) ?? x!.dims.map((_, i) => i);
    let y = x!;
    axes.forEach((axis, i) => {
      const size = x!.dims[axis]!;
      const scale = sizes ? sizes.data[i]! / size : scales!.data[i]!;
      const out = sizes ? sizes.data[i]! : Math.floor(size * scale);
      if (out === size && scale === 1) return;
      const matrix = resizeMatrix(size, out, scale, a);
      const next = zeros(y.dims.map((dim, k) => (k === axis ? out : dim)));
      const [from, to] = [[] as (readonly number[])[], [] as (readonly number[])[]];
      lines(y.dims, axis, (line) => from.push(line));
      lines(next.dims, axis, (line) => to.push(line));
      to.forEach((line, k) => {
        line.forEach((flat, o) => {
          next.data[flat] = sum(from[k]!.map((at, p) => matrix[o * size + p]! * y.data[at]!));
        });
      });
      y = next;
    });
    return [y];
  },
};
