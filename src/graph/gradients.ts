import type { Builder, Value } from "./builder.ts";
import { convInputGradient, convWeightGradient } from "./conv-gradients.ts";
import { isFloat, sizeOf, tensor } from "./graph.ts";
import {
  type Attributes,
  axisOf,
  einsumTerms,
  Mismatch,
  type OpName,
  reducedAxes,
  sliceRange,
} from "./operators.ts";
import {
  cast,
  countAlong,
  expandLike,
  filled,
  meanOver,
  perChannel,
  reshapeLike,
  sumOver,
  unbroadcast,
} from "./pieces.ts";
import { resizeMatrix } from "./resize.ts";
import { windowOf } from "./window.ts";

/** What a rule sees: the node's inputs, first output and attributes, and ∂loss/∂y. */
interface Context<A = unknown> {
  readonly g: Builder;
  /** Optional inputs that are left out are `undefined`. */
  readonly x: readonly Value[];
  readonly y: Value;
  readonly dy: Value;
  /** Of a Split: ∂loss of every output, zeros where none flows. */
  readonly dys: readonly Value[];
  readonly a: A;
}

/** For each input, how ∂loss/∂input is made, if anybody asks; nothing where no gradient flows. */
export type Rule<K extends OpName> = (c: Context<Attributes<K>>) => readonly ((() => Value) | undefined)[];

type Unary = (c: Context) => Value;
/** An operator of one input: the formula of its gradient. */
const one = (formula: Unary) => (c: Context) => [() => formula(c)];
/** Constant almost everywhere, or no function of real numbers. */
const flat = (): readonly undefined[] => [];

function refuse(expected: string): never {
  throw new Mismatch(expected, "one that depends on a weight");
}

/** An operator of two inputs that broadcast: what each gets before broadcasting is undone. */
const two =
  (a: Unary, b: Unary) =>
  (c: Context): readonly (() => Value)[] => [
    () => unbroadcast(c.g, a(c), c.x[0]!),
    () => unbroadcast(c.g, b(c), c.x[1]!),
  ];

/** Min and Max: the gradient goes to the chosen input, in equal shares where several are equal. */
const chosen = ({ g, x, y, dy }: Context): readonly (() => Value)[] => {
  const hit = x.map((v) => cast(g, g.Equal(v, y), y));
  const share =
    x.length > 1
      ? g.Div(
          dy,
          hit.reduce((a, b) => g.Add(a, b)),
        )
      : dy;
  return x.map((v, i) => () => unbroadcast(g, g.Mul(share, hit[i]!), v));
};

/** Axes of a reduction, and a reduced value with these axes put back as size 1. */
function reduction({ x, g, a }: Context<Attributes<"ReduceSum">>): {
  axes: number[];
  keep: (v: Value) => Value;
} {
  const axes = reducedAxes(x[0]!.shape.length, x[1]?.known, x[1] !== undefined, a.noop_with_empty_axes === 1);
  return { axes, keep: (v) => (a.keepdims || axes.length === 0 ? v : g.Unsqueeze(v, g.ints(axes))) };
}

const extreme = (c: Context<Attributes<"ReduceMax">>): readonly (() => Value)[] => [
  () => {
    const { g, x, y, dy } = c;
    const { axes, keep } = reduction(c);
    const hit = cast(g, g.Equal(x[0]!, keep(y)), y);
    return g.Mul(hit, g.Div(keep(dy), g.ReduceSum(hit, g.ints(axes))));
  },
];

/** 1 above zero, 0 elsewhere. */
const step = ({ g, x, y }: Context): Value => cast(g, g.Greater(x[0]!, 0), y);
const between = (g: Builder, v: Value, low: number, high: number): Value =>
  cast(g, g.And(g.Greater(v, low), g.Less(v, high)), v);

const moved = ({ g, x, dy }: Context): readonly (() => Value)[] => [() => reshapeLike(g, dy, x[0]!)];

/** Transposes the last two axes. */
const turn = (g: Builder, v: Value): Value => {
  const rank = v.shape.length;
  return g.Transpose(v, { perm: v.shape.map((_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i)) });
};

function matMul({ g, x, dy }: Context<Attributes<"MatMul">>): readonly (() => Value)[] {
  const [a, b] = x as [Value, Value];
  // A vector is a matrix of one row on the left, of one column on the right.
  const left = a.shape.length === 1 ? g.Unsqueeze(a, g.ints([0])) : a;
  const right = b.shape.length === 1 ? g.Unsqueeze(b, g.ints([1])) : b;
  const missing = [...(a.shape.length === 1 ? [-2] : []), ...(b.shape.length === 1 ? [-1] : [])];
  const d = missing.length > 0 ? g.Unsqueeze(dy, g.ints(missing)) : dy;
  return [
    () => reshapeLike(g, unbroadcast(g, g.MatMul(d, turn(g, right)), left), a),
    () => reshapeLike(g, unbroadcast(g, g.MatMul(turn(g, left), d), right), b),
  ];
}

/** Mean, centred input and 1/deviation over `axes`, recomputed so that they can be differentiated again. */
function standardize(g: Builder, x: Value, axes: readonly number[], epsilon: number) {
  const centred = g.Sub(x, meanOver(g, x, axes));
  const inverse = g.Reciprocal(g.Sqrt(g.Add(meanOver(g, g.Mul(centred, centred), axes), epsilon)));
  return { normal: g.Mul(centred, inverse), inverse };
}

/** x̂ = (x − μ)/σ: dx = (d − mean(d) − x̂·mean(d·x̂))/σ, the mean over the axes that were normalised. */
function standardizeGradient(
  g: Builder,
  d: Value,
  normal: Value,
  inverse: Value,
  axes: readonly number[],
): Value {
  const along = meanOver(g, g.Mul(d, normal), axes);
  return g.Mul(g.Sub(g.Sub(d, meanOver(g, d, axes)), g.Mul(normal, along)), inverse);
}

function batchNormalization(
  c: Context<Attributes<"BatchNormalization">>,
): ReturnType<Rule<"BatchNormalization">> {
  const { g, x, dy, a } = c;
  const [image, scale, , mean, variance] = x as [Value, Value, Value, Value, Value];
  const rank = image.shape.length;
  const axes = image.shape.map((_, i) => i).filter((i) => i !== 1);
  const total = (v: Value): Value => reshapeLike(g, sumOver(g, v, axes), scale);
  const gamma = perChannel(g, scale, rank);
  if (a.training_mode) {
    const { normal, inverse } = standardize(g, image, axes, a.epsilon);
    return [
      () => g.Mul(standardizeGradient(g, dy, normal, inverse, axes), gamma),
      () => total(g.Mul(dy, normal)),
      () => total(dy),
    ];
  }
  const inverse = perChannel(g, g.Reciprocal(g.Sqrt(g.Add(variance, a.epsilon))), rank);
  const normal = g.Mul(g.Sub(image, perChannel(g, mean, rank)), inverse);
  const through = g.Mul(gamma, inverse);
  return [
    () => g.Mul(dy, through),
    () => total(g.Mul(dy, normal)),
    () => total(dy),
    () => g.Neg(total(g.Mul(dy, through))),
    () => g.Mul(total(g.Mul(g.Mul(dy, normal), g.Mul(through, inverse))), -0.5),
  ];
}

function layerNormalization({
  g,
  x,
  dy,
  a,
}: Context<Attributes<"LayerNormalization">>): readonly (() => Value)[] {
  const [image, scale, bias] = x as [Value, Value, Value];
  const first = axisOf(a.axis, image.shape.length);
  const axes = image.shape.map((_, i) => i).slice(first);
  const { normal, inverse } = standardize(g, image, axes, a.epsilon);
  return [
    () => standardizeGradient(g, g.Mul(dy, scale), normal, inverse, axes),
    () => unbroadcast(g, g.Mul(dy, normal), scale),
    () => unbroadcast(g, dy, bias),
  ];
}

/** Adds `updates` to zeros of x's shape at `indices` along `axis`. */
const scatter = (g: Builder, x: Value, indices: Value, updates: Value, axis: number): Value =>
  g.ScatterElements(filled(g, x, 0), indices, updates, { axis, reduction: "add" });

/** The runtime's own choice of the largest, which is the first of equal ones, says where each gradient goes. */
function maxPool({ g, x, y, dy }: Context<Attributes<"MaxPool">>): readonly (() => Value)[] {
  return [
    () => {
      const line = (v: Value): Value => g.Reshape(v, g.ints([-1]));
      const places = line(g.sibling(y, 1));
      const zeros = g.ConstantOfShape(g.Reshape(g.Size(x[0]!), g.ints([1])), {
        value: tensor(y.dtype, [0], [1]),
      });
      return reshapeLike(g, g.ScatterElements(zeros, places, line(dy), { axis: 0, reduction: "add" }), x[0]!);
    },
  ];
}

/** Each output spreads its gradient evenly over its window: a transposed convolution with ones. */
function averagePool({ g, x, y, dy, a }: Context<Attributes<"AveragePool">>): readonly (() => Value)[] {
  const spatial = x[0]!.shape.slice(2);
  const kernel = a.kernel_shape!;
  return [
    () => {
      if (!spatial.every((dim) => typeof dim === "number"))
        throw new Mismatch("image sizes known when built", `[${spatial}]`);
      const window = windowOf(a, spatial, kernel);
      const { strides, dilations, before, after } = window;
      const out = window.output as number[];
      // How many elements each window averages, one axis at a time.
      const counts = out.map((count, i) => {
        const size = spatial[i]!;
        const explicit = a.pads?.[i + kernel.length] ?? 0;
        const [low, high] = a.count_include_pad ? [-before[i]!, size + explicit] : [0, size];
        return Array.from({ length: count }, (_, o) => {
          const start = o * strides[i]! - before[i]!;
          const taps = Array.from({ length: kernel[i]! }, (_, k) => start + k * dilations[i]!);
          return taps.filter((at) => at >= low && at < high).length;
        });
      });
      const divisor = counts.reduce((grid, line) => grid.flatMap((n) => line.map((m) => n * m)), [1]);
      const share = g.Div(dy, g.constant(tensor(y.dtype, divisor, [1, 1, ...out])));
      const planes = g.Reshape(share, g.ints([-1, 1, ...out]));
      const spread = g.ConvTranspose(
        planes,
        tensor(y.dtype, new Array(sizeOf(kernel)).fill(1), [1, 1, ...kernel]),
        {
          strides,
          dilations,
          pads: [...before, ...after],
          output_padding: spatial.map((size, i) => {
            const reach = (kernel[i]! - 1) * dilations[i]! + 1;
            return size + before[i]! + after[i]! - ((out[i]! - 1) * strides[i]! + reach);
          }),
        },
      );
      return reshapeLike(g, spread, x[0]!);
    },
  ];
}

/** Resizing is a product with a fixed matrix along each axis; its gradient is one with the transpose. */
function resize({ g, x, y, dy, a }: Context<Attributes<"Resize">>): readonly (() => Value)[] {
  const [image, , scales, sizes] = x as [Value, Value, Value | undefined, Value | undefined];
  const rank = image.shape.length;
  const axes = a.axes?.map((axis) => axisOf(axis, rank)) ?? image.shape.map((_, i) => i);
  return [
    () => {
      let d = dy;
      axes.forEach((axis, i) => {
        const [size, out] = [image.shape[axis]!, y.shape[axis]!];
        const scale = scales?.known?.[i] ?? 1;
        if (size === out && (sizes || scale === 1)) return;
        if (typeof size !== "number" || typeof out !== "number" || axis < rank - 2)
          throw new Mismatch("Resize of the last two axes, of known size", `axis ${axis}: ${size} to ${out}`);
        const matrix = resizeMatrix(size, out, sizes ? out / size : Number(scale), a);
        const m = g.constant(tensor(y.dtype, matrix, [out, size]));
        d = axis === rank - 1 ? g.MatMul(d, m) : g.MatMul(g.Transpose(m, { perm: [1, 0] }), d);
      });
      return d;
    },
  ];
}

/** Puts the gradient of a slice back in its place: reversed, spread by the step, and surrounded with zeros. */
function slice({ g, x, dy }: Context<Attributes<"Slice">>): readonly (() => Value)[] {
  const [source, starts, ends, axes, steps] = x as [
    Value,
    Value,
    Value,
    Value | undefined,
    Value | undefined,
  ];
  return [
    () => {
      let d = dy;
      starts.known!.forEach((start, i) => {
        const axis = axisOf(Number(axes?.known?.[i] ?? i), source.shape.length);
        const [by, size, end] = [Number(steps?.known?.[i] ?? 1), source.shape[axis]!, ends.known?.[i]];
        const at = g.ints([axis]);
        if (by < 0) d = g.Slice(d, g.ints([-1]), g.ints([-(2 ** 31)]), at, g.ints([-1]));
        // A whole axis, as its symbol tells.
        if (size === dy.shape[axis] && Math.abs(by) === 1) return;
        if (typeof size !== "number" || typeof end !== "number")
          throw new Mismatch("a slice of sizes known when built", `axis ${axis} of [${source.shape}]`);
        const range = sliceRange(size, Number(start), end, by);
        const stride = Math.abs(by);
        if (range.count === 0) return;
        const low = by < 0 ? range.start + (range.count - 1) * by : range.start;
        if (stride > 1) {
          // [n] → [n, 1] → [n, stride] → [n × stride]: stride − 1 zeros behind each element.
          const wide = padAxis(g, g.Unsqueeze(d, g.ints([axis + 1])), axis + 1, 0, stride - 1);
          const dims = d.shape.map((dim, k) => (k === axis ? range.count * stride : k < axis ? 0 : dim));
          d = g.Reshape(wide, spreadShape(g, d, dims, axis));
        }
        const behind = size - low - range.count * stride;
        d = padAxis(g, d, axis, low, behind);
      });
      return d;
    },
  ];
}

/** Zeros around one axis. All axes are spelled out: ONNX Runtime 1.30 moves a transposition past a Pad with axes wrongly. */
function padAxis(g: Builder, x: Value, axis: number, before: number, after: number): Value {
  const rank = x.shape.length;
  const pads = Array.from({ length: 2 * rank }, () => 0);
  return g.Pad(x, g.ints(pads.with(axis, before).with(rank + axis, after)));
}

/** The shape `dims` where all are numbers; else taken from `d` but for `axis`. */
function spreadShape(g: Builder, d: Value, dims: readonly (number | string)[], axis: number): Value {
  if (dims.every((dim) => typeof dim === "number")) return g.ints(dims);
  const parts = [
    ...(axis > 0 ? [g.Shape(d, { end: axis })] : []),
    g.ints([Number(dims[axis])]),
    ...(axis + 1 < dims.length ? [g.Shape(d, { start: axis + 1 })] : []),
  ];
  return parts.length > 1 ? g.Concat(...parts, { axis: 0 }) : parts[0]!;
}

function gather({ g, x, dy, a }: Context<Attributes<"Gather">>): readonly (() => Value)[] {
  const [source, indices] = x as [Value, Value];
  const rank = source.shape.length;
  const axis = axisOf(a.axis, rank);
  return [
    () => {
      // All axes of the indices as one, [before, n, after], and the indices repeated to that shape.
      let rows = dy;
      if (indices.shape.length !== 1) {
        const parts = [
          ...(axis > 0 ? [g.Shape(source, { end: axis })] : []),
          g.ints([-1]),
          ...(axis + 1 < rank ? [g.Shape(source, { start: axis + 1 })] : []),
        ];
        rows = g.Reshape(dy, parts.length > 1 ? g.Concat(...parts, { axis: 0 }) : parts[0]!);
      }
      const line = g.Reshape(indices, g.ints(source.shape.map((_, i) => (i === axis ? -1 : 1))));
      return scatter(g, source, expandLike(g, line, rows), rows, axis);
    },
  ];
}

function einsum({ g, x, dy, a }: Context<Attributes<"Einsum">>): readonly (() => Value)[] {
  const { inputs, output } = einsumTerms(a.equation);
  return x.map((v, i) => () => {
    const target = inputs[i]!;
    if (new Set(target).size !== target.length)
      throw new Mismatch("no letter twice in one input", a.equation);
    const others = x.filter((_, k) => k !== i);
    const terms = [output, ...inputs.filter((_, k) => k !== i)];
    // A letter of this input alone was summed away: its gradient is the same all along.
    const found = [...target].filter((letter) => terms.some((term) => term.includes(letter))).join("");
    const d = g.Einsum(dy, ...others, { equation: `${terms.join(",")}->${found}` });
    const lost = [...target].flatMap((letter, axis) => (found.includes(letter) ? [] : [axis]));
    return lost.length > 0 ? expandLike(g, g.Unsqueeze(d, g.ints(lost)), v) : d;
  });
}

function gemm({ g, x, dy, a }: Context<Attributes<"Gemm">>): readonly (() => Value)[] {
  const [left, right, c] = x as [Value, Value, Value];
  const { alpha, transA, transB } = a;
  return [
    () =>
      transA
        ? g.Gemm(right, dy, { alpha, transA: transB, transB: 1 })
        : g.Gemm(dy, right, { alpha, transB: transB ? 0 : 1 }),
    () =>
      transB
        ? g.Gemm(dy, left, { alpha, transA: 1, transB: transA })
        : g.Gemm(left, dy, { alpha, transA: transA ? 0 : 1 }),
    () => unbroadcast(g, a.beta === 1 ? dy : g.Mul(dy, a.beta), c),
  ];
}

function convTranspose({ g, x, dy, a }: Context<Attributes<"ConvTranspose">>): readonly (() => Value)[] {
  const [image, w, bias] = x as [Value, Value, Value];
  const kernel = w.shape.slice(2) as number[];
  const { strides, dilations, pads, group } = a;
  // y is to x what, in a convolution with the same weights, the input is to the output.
  const window = windowOf(a, dy.shape.slice(2), kernel);
  return [
    () => g.Conv(dy, w, { strides, dilations, pads, group }),
    () => convWeightGradient(g, dy, image, window, group),
    () =>
      reshapeLike(
        g,
        sumOver(
          g,
          dy,
          dy.shape.map((_, i) => i).filter((i) => i !== 1),
        ),
        bias,
      ),
  ];
}

function conv({ g, x, dy, a }: Context<Attributes<"Conv">>): readonly (() => Value)[] {
  const [image, w, bias] = x as [Value, Value, Value];
  const input = image.shape.slice(2);
  const window = windowOf(a, input, w.shape.slice(2) as number[]);
  return [
    () => convInputGradient(g, dy, w, input, window, a.group),
    () => convWeightGradient(g, image, dy, window, a.group),
    () =>
      reshapeLike(
        g,
        sumOver(
          g,
          dy,
          dy.shape.map((_, i) => i).filter((i) => i !== 1),
        ),
        bias,
      ),
  ];
}

/**
 * The gradient of every operator, one row each. Rules use only
 * operators that have rules, so gradients can be taken of gradients.
 */
export const gradientRules: { readonly [K in OpName]: Rule<K> } = {
  Identity: one(({ dy }) => dy),
  Neg: one(({ g, dy }) => g.Neg(dy)),
  Abs: one(({ g, x, dy }) => g.Mul(dy, g.Sign(x[0]))),
  Sign: flat,
  // y ≥ 0, so its sign is the step, and cheaper than a comparison and a cast.
  Relu: one(({ g, y, dy }) => g.Mul(dy, g.Sign(y))),
  Floor: flat,
  Exp: one(({ g, y, dy }) => g.Mul(dy, y)),
  Log: one(({ g, x, dy }) => g.Div(dy, x[0])),
  Sqrt: one(({ g, y, dy }) => g.Div(g.Mul(dy, 0.5), y)),
  Reciprocal: one(({ g, y, dy }) => g.Neg(g.Mul(dy, g.Mul(y, y)))),
  Sigmoid: one(({ g, y, dy }) => g.Mul(dy, g.Mul(y, g.Sub(1, y)))),
  Tanh: one(({ g, y, dy }) => g.Mul(dy, g.Sub(1, g.Mul(y, y)))),
  Erf: one(({ g, x, dy }) => g.Mul(dy, g.Mul(g.Exp(g.Neg(g.Mul(x[0], x[0]))), 2 / Math.sqrt(Math.PI)))),
  Softplus: one(({ g, x, dy }) => g.Mul(dy, g.Sigmoid(x[0]))),
  // x·h(x) with h the hard sigmoid of slope 1/6: h + x·h'.
  HardSwish: one(({ g, x, dy }) => {
    const h = g.HardSigmoid(x[0], { alpha: 1 / 6, beta: 0.5 });
    return g.Mul(dy, g.Add(h, g.Mul(g.Mul(x[0], 1 / 6), between(g, x[0]!, -3, 3))));
  }),
  Gelu: one((c) => {
    const { g, dy } = c;
    const x = c.x[0]!;
    if ((c.a as Attributes<"Gelu">).approximate === "tanh") {
      // t = tanh(k(x + 0.044715x³)): ½(1 + t) + ½x(1 − t²)·k(1 + 3·0.044715x²)
      const k = Math.sqrt(2 / Math.PI);
      const square = g.Mul(x, x);
      const t = g.Tanh(g.Mul(g.Mul(x, k), g.Add(g.Mul(square, 0.044715), 1)));
      const inner = g.Mul(g.Add(g.Mul(square, 3 * 0.044715), 1), k);
      const slope = g.Mul(g.Mul(x, g.Sub(1, g.Mul(t, t))), inner);
      return g.Mul(dy, g.Mul(g.Add(g.Add(t, 1), slope), 0.5));
    }
    // Φ(x) + x·φ(x)
    const cumulative = g.Mul(g.Add(g.Erf(g.Mul(x, Math.SQRT1_2)), 1), 0.5);
    const density = g.Mul(g.Exp(g.Mul(g.Mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return g.Mul(dy, g.Add(cumulative, g.Mul(x, density)));
  }),
  LeakyRelu: ({ g, x, y, dy, a }) => [
    () => {
      const positive = cast(g, g.Greater(x[0], 0), y);
      return g.Mul(dy, g.Add(g.Mul(positive, 1 - a.alpha), a.alpha));
    },
  ],
  HardSigmoid: one(({ g, y, dy, a }) =>
    g.Mul(dy, g.Mul(between(g, y, 0, 1), (a as Attributes<"HardSigmoid">).alpha)),
  ),
  PRelu: two(
    (c) => {
      const positive = step(c);
      return c.g.Mul(c.dy, c.g.Add(positive, c.g.Mul(c.x[1], c.g.Sub(1, positive))));
    },
    ({ g, x, dy }) => g.Mul(dy, g.Min(x[0], 0)),
  ),
  Clip: ({ g, x, y, dy }) => {
    const [v, low, high] = x as [Value, Value | undefined, Value | undefined];
    // The bounds themselves are inside, as in PyTorch.
    const tests = [...(low ? [g.GreaterOrEqual(v, low)] : []), ...(high ? [g.LessOrEqual(v, high)] : [])];
    const total = (test: Value, bound: Value): Value => unbroadcast(g, g.Mul(dy, cast(g, test, y)), bound);
    return [
      () =>
        tests.length > 0
          ? g.Mul(
              dy,
              cast(
                g,
                tests.reduce((a, b) => g.And(a, b)),
                y,
              ),
            )
          : dy,
      () => total(g.Less(v, low), low!),
      () => total(g.Greater(v, high), high!),
    ];
  },
  Add: two(
    ({ dy }) => dy,
    ({ dy }) => dy,
  ),
  Sub: two(
    ({ dy }) => dy,
    ({ g, dy }) => g.Neg(dy),
  ),
  Mul: two(
    ({ g, x, dy }) => g.Mul(dy, x[1]),
    ({ g, x, dy }) => g.Mul(dy, x[0]),
  ),
  Div: two(
    ({ g, x, dy }) => g.Div(dy, x[1]),
    ({ g, x, y, dy }) => g.Neg(g.Div(g.Mul(dy, y), x[1])),
  ),
  Pow: two(
    ({ g, x, dy }) => g.Mul(dy, g.Mul(x[1], g.Pow(x[0], g.Sub(x[1], 1)))),
    ({ g, x, y, dy }) => g.Mul(dy, g.Mul(y, g.Log(x[0]))),
  ),
  Min: chosen,
  Max: chosen,
  Equal: flat,
  Greater: flat,
  GreaterOrEqual: flat,
  Less: flat,
  LessOrEqual: flat,
  And: flat,
  Or: flat,
  Not: flat,
  Where: ({ g, x, dy }) => {
    const zero = g.constant(tensor(dy.dtype, [0], []));
    return [
      undefined,
      () => unbroadcast(g, g.Where(x[0], dy, zero), x[1]!),
      () => unbroadcast(g, g.Where(x[0], zero, dy), x[2]!),
    ];
  },
  Cast: ({ g, x, dy }) => [isFloat(x[0]!.dtype) ? () => cast(g, dy, x[0]!) : undefined],
  QuantizeLinear: flat,
  DequantizeLinear: flat,
  Dropout: ({ g, x, y, dy }) => [
    () => {
      const [, ratio, training] = x as [Value, Value | undefined, Value | undefined];
      if (!training) return dy;
      const kept = g.Mul(dy, cast(g, g.sibling(y, 1), y));
      const scale = g.Reciprocal(
        g.Sub(1, ratio ? cast(g, ratio, y) : g.constant(tensor(y.dtype, [0.5], []))),
      );
      return g.Mul(kept, g.Where(training, scale, g.constant(tensor(y.dtype, [1], []))));
    },
  ],

  MatMul: matMul,
  Gemm: gemm,
  Einsum: einsum,
  Conv: conv,
  ConvTranspose: convTranspose,

  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: one(({ g, x, dy }) => {
    const axes = x[0]!.shape.map((_, i) => i).slice(2);
    return expandLike(g, g.Div(dy, countAlong(g, x[0]!, axes)), x[0]!);
  }),
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  // y·(dy − Σ dy·y)
  Softmax: ({ g, y, dy, a }) => [() => g.Mul(y, g.Sub(dy, g.ReduceSum(g.Mul(dy, y), g.ints([a.axis]))))],
  // dy − softmax·Σ dy
  LogSoftmax: ({ g, y, dy, a }) => [() => g.Sub(dy, g.Mul(g.Exp(y), g.ReduceSum(dy, g.ints([a.axis]))))],

  ReduceSum: (c) => [() => expandLike(c.g, reduction(c).keep(c.dy), c.x[0]!)],
  ReduceMean: (c) => [
    () => {
      const { axes, keep } = reduction(c);
      return expandLike(c.g, keep(c.g.Div(c.dy, countAlong(c.g, c.x[0]!, axes))), c.x[0]!);
    },
  ],
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceSumSquare: (c) => [() => c.g.Mul(c.g.Mul(c.x[0], 2), reduction(c).keep(c.dy))],
  ReduceL2: (c) => [() => c.g.Mul(c.x[0], reduction(c).keep(c.g.Div(c.dy, c.y)))],
  ArgMax: flat,

  Shape: flat,
  Size: flat,
  ConstantOfShape: flat,
  Reshape: moved,
  Flatten: moved,
  Squeeze: moved,
  Unsqueeze: moved,
  Transpose: ({ g, x, dy, a }) => [
    () => {
      const rank = x[0]!.shape.length;
      const perm = a.perm ?? x[0]!.shape.map((_, i) => rank - 1 - i);
      return g.Transpose(dy, { perm: perm.map((_, i) => perm.indexOf(i)) });
    },
  ],
  Concat: ({ g, x, dy, a }) => {
    const axis = axisOf(a.axis, dy.shape.length);
    const sizes = x.map((v) => v.shape[axis]!);
    let parts: readonly Value[] | undefined;
    const split = (): readonly Value[] => {
      if (!sizes.every((size) => typeof size === "number"))
        throw new Mismatch("parts of sizes known when built", sizes.join(", "));
      return g.emit("Split", [dy, g.ints(sizes)], { axis }, x.length);
    };
    return x.map((_, i) => () => {
      parts ??= x.length > 1 ? split() : [dy];
      return parts[i]!;
    });
  },
  Slice: slice,
  Split: ({ g, dys, a }) => [() => (dys.length > 1 ? g.Concat(...dys, { axis: a.axis }) : dys[0]!)],
  // Negative pads cut off.
  Pad: ({ g, x, dy, a }) => [
    () => {
      if (a.mode !== "constant") throw new Mismatch("Pad with a constant", a.mode);
      const cut = g.ints((x[1]!.known as number[]).map((pad) => -pad));
      return x[3] ? g.Pad(dy, cut, undefined, x[3]) : g.Pad(dy, cut);
    },
    undefined,
    () => refuse("Pad with a constant value"),
  ],
  Expand: ({ g, x, dy }) => [() => unbroadcast(g, dy, x[0]!)],
  Gather: gather,
  GatherElements: ({ g, x, dy, a }) => [() => scatter(g, x[0]!, x[1]!, dy, a.axis)],
  ScatterElements: ({ g, x, dy, a }) => [
    () => (a.reduction === "add" ? dy : g.ScatterElements(dy, x[1], filled(g, x[2]!, 0), { axis: a.axis })),
    undefined,
    () => g.GatherElements(dy, x[1], { axis: a.axis }),
  ],
  OneHot: () => [undefined, undefined, () => refuse("OneHot of constant values")],
  Resize: resize,
};
