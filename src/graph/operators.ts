import { type Dim, type DType, dtypeCodes, isFloat, type Shape, type Tensor, UNKNOWN } from "./graph.ts";
import { type WindowAttributes, windowOf } from "./window.ts";

/**
 * Every operator that Protoline knows, in its form of ONNX operator set {@link OPSET}: attributes with their defaults,
 * how many inputs and outputs, and the rule that gives the outputs' types. A new operator is a row here, in kernels.ts
 * and in gradients.ts; the compiler asks for the other two.
 */
export const OPSET = 20;

/** What a rule knows of one input. `known` holds the elements of a small integer tensor, where they are known. */
export interface Typed {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly known?: readonly Dim[];
}

interface AttributeTypes {
  float: number;
  int: number;
  string: string;
  floats: readonly number[];
  ints: readonly number[];
  strings: readonly string[];
  tensor: Tensor;
}

/** Kind and default; without a default the attribute may be absent. */
type Spec = { readonly [K in keyof AttributeTypes]: readonly [K, AttributeTypes[K]?] }[keyof AttributeTypes];
type Specs = Readonly<Record<string, Spec>>;

type Resolved<A extends Specs> = {
  readonly [N in keyof A as A[N] extends readonly [string, unknown] ? N : never]: AttributeTypes[A[N][0]];
} & {
  readonly [N in keyof A as A[N] extends readonly [string, unknown] ? never : N]?: AttributeTypes[A[N][0]];
};

export interface Operator<A extends Specs = Specs> {
  /** Least and greatest number of inputs and of outputs. */
  readonly inputs: readonly [number, number];
  readonly outputs: readonly [number, number];
  readonly attributes: A;
  /** Types of the first `outputs` outputs. Throws {@link Mismatch}. */
  readonly infer: (x: readonly Typed[], a: Resolved<A>, outputs: number) => readonly Typed[];
}

/** Why the types of a node do not fit; whoever knows the node turns it into an error that names it. */
export class Mismatch extends Error {
  readonly expected: string;
  readonly got: string;
  constructor(expected: string, got: string) {
    super(`expected ${expected}, got ${got}`);
    this.expected = expected;
    this.got = got;
  }
}

export const shapeText = (shape: Shape | null): string => (shape ? `[${shape.join(",")}]` : "[…]");

function must(holds: boolean, expected: string, got: () => string): asserts holds {
  if (!holds) throw new Mismatch(expected, got());
}

/** Are the sizes surely the same? */
export const sameDim = (a: Dim, b: Dim): boolean => a === b && a !== UNKNOWN;
/** May they be the same, once the symbols are known? */
const mayEqual = (a: Dim, b: Dim): boolean => a === b || typeof a === "string" || typeof b === "string";
export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((dim, i) => sameDim(dim, b[i]!));

export function axisOf(axis: number, rank: number): number {
  must(axis >= -rank && axis < rank, `an axis in ${-rank} … ${rank - 1}`, () => `${axis}`);
  return axis < 0 ? axis + rank : axis;
}

/** The common shape of values that are combined element by element (NumPy's rule). */
export function broadcast(shapes: readonly Shape[]): Shape {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, i) => {
    let common: Dim = 1;
    for (const shape of shapes) {
      const dim = shape[i - rank + shape.length] ?? 1;
      if (dim === 1 || dim === common) continue;
      if (common === 1) common = dim;
      else if (typeof dim === "number" && typeof common === "number")
        throw new Mismatch("shapes that broadcast", shapes.map(shapeText).join(" and "));
      // A number beside a symbol: the symbol is that number or 1. Two symbols: one of them, nobody knows which.
      else common = typeof common === "number" ? common : typeof dim === "number" ? dim : UNKNOWN;
    }
    return common;
  });
}

const productOf = (dims: Shape): number | undefined =>
  dims.every((dim) => typeof dim === "number")
    ? dims.reduce<number>((p, dim) => p * Number(dim), 1)
    : undefined;

function numeric(known: readonly Dim[] | undefined, what: string): readonly number[] {
  must(known?.every((dim) => typeof dim === "number") ?? false, `${what} known when built`, () =>
    known ? shapeText(known) : "a computed tensor",
  );
  return known as readonly number[];
}

const floating = (x: Typed): Typed => {
  must(isFloat(x.dtype), "floating-point numbers", () => x.dtype);
  return { dtype: x.dtype, shape: x.shape };
};

function sameType(x: readonly (Typed | undefined)[]): DType {
  const { dtype } = x[0]!;
  for (const other of x)
    must(!other || other.dtype === dtype, `one element type, ${dtype}`, () => `${other?.dtype}`);
  return dtype;
}

const ranked = (x: Typed, rank: number, what: string): void =>
  must(x.shape.length === rank, `${what} of ${rank} axes`, () => shapeText(x.shape));

export function op<const A extends Specs>(
  inputs: number | readonly [number, number],
  attributes: A,
  infer: Operator<A>["infer"],
  outputs: readonly [number, number] = [1, 1],
): Operator<A> {
  return { inputs: typeof inputs === "number" ? [inputs, inputs] : inputs, outputs, attributes, infer };
}

const many = Number.POSITIVE_INFINITY;
const same = ([x]: readonly Typed[]): readonly Typed[] => [{ dtype: x!.dtype, shape: x!.shape }];
const unary = op(1, {}, ([x]) => [floating(x!)]);
const binary = op(2, {}, (x) => [{ dtype: sameType(x), shape: broadcast(x.map((v) => v.shape)) }]);
const variadic = op([1, many], {}, (x) => [{ dtype: sameType(x), shape: broadcast(x.map((v) => v.shape)) }]);
const compare = op(2, {}, (x) => {
  sameType(x);
  return [{ dtype: "bool", shape: broadcast(x.map((v) => v.shape)) }];
});
const logical = op(2, {}, (x) => {
  must(
    x.every(({ dtype }) => dtype === "bool"),
    "truth values",
    () => x.map(({ dtype }) => dtype).join(", "),
  );
  return [{ dtype: "bool", shape: broadcast(x.map((v) => v.shape)) }];
});

/** Axes of a reduction, ascending; without any given: all. */
export function reducedAxes(
  rank: number,
  known: readonly Dim[] | undefined,
  given: boolean,
  noop: boolean,
): number[] {
  const axes = given ? numeric(known, "axes") : [];
  if (axes.length === 0) return noop ? [] : Array.from({ length: rank }, (_, i) => i);
  return axes.map((axis) => axisOf(axis, rank)).sort((a, b) => a - b);
}

const reduction = op(
  [1, 2],
  { keepdims: ["int", 1], noop_with_empty_axes: ["int", 0] },
  ([x, axes], { keepdims, noop_with_empty_axes }) => {
    const reduced = reducedAxes(x!.shape.length, axes?.known, axes !== undefined, noop_with_empty_axes === 1);
    const shape = keepdims
      ? x!.shape.map((dim, i) => (reduced.includes(i) ? 1 : dim))
      : x!.shape.filter((_, i) => !reduced.includes(i));
    return [{ dtype: x!.dtype, shape }];
  },
);

export const windowAttributes = {
  auto_pad: ["string", "NOTSET"],
  strides: ["ints"],
  dilations: ["ints"],
  pads: ["ints"],
} as const;

function pooled(x: Typed, a: WindowAttributes & { readonly kernel_shape?: readonly number[] }): Typed {
  must(a.kernel_shape !== undefined, "an attribute kernel_shape", () => "none");
  ranked(x, a.kernel_shape.length + 2, "an input");
  const { output } = windowOf(a, x.shape.slice(2), a.kernel_shape);
  must(
    output.every((dim) => typeof dim === "string" || dim > 0),
    "windows that fit into the input",
    () => shapeText(x.shape),
  );
  return { dtype: x.dtype, shape: [...x.shape.slice(0, 2), ...output] };
}

const isQuantized = (dtype: DType): boolean => dtype === "int8" || dtype === "uint8";

/** A scale for the whole tensor, or one for each element of an axis; a zero point has the scale's shape. */
function quantScale(x: Typed, scale: Typed, zero: Typed | undefined, axis: number): void {
  floating(scale);
  if (zero)
    must(sameShape(zero.shape, scale.shape), `a zero point ${shapeText(scale.shape)}`, () =>
      shapeText(zero.shape),
    );
  const [count, ...rest] = scale.shape;
  must(
    count === undefined || (rest.length === 0 && mayEqual(count, x.shape[axisOf(axis, x.shape.length)]!)),
    "one scale, or one for each element of an axis",
    () => `${shapeText(scale.shape)} for axis ${axis} of ${shapeText(x.shape)}`,
  );
}

function kernelOf(w: Typed, given: readonly number[] | undefined): readonly number[] {
  const kernel = numeric(w.shape.slice(2), "a kernel size");
  must(!given || given.join() === kernel.join(), `kernel_shape ${shapeText(kernel)}`, () =>
    shapeText(given!),
  );
  return kernel;
}

function channelVector(v: Typed | undefined, channels: Dim): void {
  if (v)
    must(v.shape.length === 1 && mayEqual(v.shape[0]!, channels), `one number a channel, [${channels}]`, () =>
      shapeText(v.shape),
    );
}

function matMulShape(a: Shape, b: Shape): Shape {
  must(a.length > 0 && b.length > 0, "matrices", () => "a scalar");
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  must(
    mayEqual(left.at(-1)!, right.at(-2)!),
    "inner sizes that agree",
    () => `${shapeText(a)} · ${shapeText(b)}`,
  );
  const outer = broadcast([left.slice(0, -2), right.slice(0, -2)]);
  return [...outer, ...(a.length === 1 ? [] : [left.at(-2)!]), ...(b.length === 1 ? [] : [right.at(-1)!])];
}

/** Subscripts of an Einsum's inputs and of its output. */
export function einsumTerms(equation: string): { inputs: string[]; output: string } {
  const [left = "", right] = equation.replace(/\s/g, "").split("->");
  const inputs = left.split(",");
  must(/^[a-zA-Z,]*$/.test(left), "an equation of letters", () => equation);
  const all = [...left.replaceAll(",", "")];
  const once = [...new Set(all)].filter((c) => all.indexOf(c) === all.lastIndexOf(c)).sort();
  return { inputs, output: right ?? once.join("") };
}

function resized(
  x: Typed,
  scales: Typed | undefined,
  sizes: Typed | undefined,
  axes: readonly number[],
): Shape {
  must((scales !== undefined) !== (sizes !== undefined), "either scales or sizes", () => "both or none");
  const given = sizes?.known ?? scales?.known;
  const shape: Dim[] = [...x.shape];
  axes.forEach((axis, i) => {
    const value = given?.[i];
    const dim = x.shape[axis]!;
    if (sizes) shape[axis] = value ?? UNKNOWN;
    else if (value === 1) return;
    else
      shape[axis] = typeof dim === "number" && typeof value === "number" ? Math.floor(dim * value) : UNKNOWN;
  });
  return shape;
}

/** Start, count and step along one sliced axis of `size` elements, ends clamped as ONNX says. */
export function sliceRange(
  size: number,
  start: number,
  end: number,
  step: number,
): { start: number; count: number } {
  const clamp = (v: number, low: number, high: number): number => Math.min(Math.max(v, low), high);
  const from = clamp(start < 0 ? start + size : start, step > 0 ? 0 : -1, step > 0 ? size : size - 1);
  const to = clamp(end < 0 ? end + size : end, step > 0 ? 0 : -1, size);
  return { start: from, count: Math.max(0, Math.ceil((to - from) / step)) };
}

export const operators = {
  // Element by element
  Identity: op(1, {}, same),
  Neg: op(1, {}, same),
  Abs: op(1, {}, same),
  Sign: op(1, {}, same),
  Relu: op(1, {}, same),
  Floor: unary,
  Exp: unary,
  Log: unary,
  Sqrt: unary,
  Reciprocal: unary,
  Sigmoid: unary,
  Tanh: unary,
  Erf: unary,
  Softplus: unary,
  HardSwish: unary,
  Gelu: op(1, { approximate: ["string", "none"] }, ([x]) => [floating(x!)]),
  LeakyRelu: op(1, { alpha: ["float", 0.01] }, ([x]) => [floating(x!)]),
  HardSigmoid: op(1, { alpha: ["float", 0.2], beta: ["float", 0.5] }, ([x]) => [floating(x!)]),
  PRelu: op(2, {}, (x) => [{ dtype: sameType(x), shape: broadcast(x.map((v) => v.shape)) }]),
  Clip: op([1, 3], {}, (x) => [{ dtype: sameType(x), shape: x[0]!.shape }]),
  Add: binary,
  Sub: binary,
  Mul: binary,
  Div: binary,
  Pow: op(2, {}, (x) => [{ dtype: x[0]!.dtype, shape: broadcast(x.map((v) => v.shape)) }]),
  Min: variadic,
  Max: variadic,
  Equal: compare,
  Greater: compare,
  GreaterOrEqual: compare,
  Less: compare,
  LessOrEqual: compare,
  And: logical,
  Or: logical,
  Not: op(1, {}, same),
  Where: op(3, {}, ([condition, a, b]) => {
    must(condition!.dtype === "bool", "a condition of truth values", () => condition!.dtype);
    return [{ dtype: sameType([a, b]), shape: broadcast([condition!, a!, b!].map((v) => v.shape)) }];
  }),
  Cast: op(1, { to: ["int", 1] }, ([x], { to }) => {
    const dtype = Object.entries(dtypeCodes).find(([, code]) => code === to)?.[0];
    must(dtype !== undefined, "an element type that Protoline knows", () => `number ${to}`);
    return [{ dtype: dtype as DType, shape: x!.shape }];
  }),
  QuantizeLinear: op([2, 3], { axis: ["int", 1], saturate: ["int", 1] }, ([x, scale, zero], { axis }) => {
    quantScale(floating(x!), scale!, zero, axis);
    const dtype = zero?.dtype ?? "uint8";
    must(isQuantized(dtype), "a zero point of int8 or uint8", () => dtype);
    return [{ dtype, shape: x!.shape }];
  }),
  DequantizeLinear: op([2, 3], { axis: ["int", 1] }, ([x, scale, zero], { axis }) => {
    must(isQuantized(x!.dtype) || x!.dtype === "int32", "integers of int8, uint8 or int32", () => x!.dtype);
    must(!zero || zero.dtype === x!.dtype, `a zero point of ${x!.dtype}`, () => `${zero?.dtype}`);
    quantScale(x!, scale!, zero, axis);
    return [{ dtype: scale!.dtype, shape: x!.shape }];
  }),
  Dropout: op(
    [1, 3],
    { seed: ["int"] },
    ([x]) => [same([x!])[0]!, { dtype: "bool", shape: x!.shape }],
    [1, 2],
  ),

  // Products
  MatMul: op(2, {}, (x) => [{ dtype: sameType(x), shape: matMulShape(x[0]!.shape, x[1]!.shape) }]),
  Gemm: op(
    [2, 3],
    { alpha: ["float", 1], beta: ["float", 1], transA: ["int", 0], transB: ["int", 0] },
    (x, { transA, transB }) => {
      const [a, b, c] = x;
      ranked(a!, 2, "a matrix");
      ranked(b!, 2, "a matrix");
      const flip = (shape: Shape, flipped: number): Shape => (flipped ? [shape[1]!, shape[0]!] : shape);
      const shape = matMulShape(flip(a!.shape, transA), flip(b!.shape, transB));
      if (c) broadcast([shape, c.shape]);
      return [{ dtype: sameType(x), shape }];
    },
  ),
  Einsum: op([1, many], { equation: ["string", ""] }, (x, { equation }) => {
    const terms = einsumTerms(equation);
    must(
      terms.inputs.length === x.length,
      `${terms.inputs.length} inputs for ${equation}`,
      () => `${x.length}`,
    );
    const sizes = new Map<string, Dim>();
    terms.inputs.forEach((term, i) => {
      ranked(x[i]!, term.length, `input ${i} of ${equation}`);
      [...term].forEach((letter, axis) => {
        const dim = x[i]!.shape[axis]!;
        const before = sizes.get(letter);
        must(
          before === undefined || mayEqual(before, dim),
          `one size for ${letter}`,
          () => `${before} and ${dim}`,
        );
        if (before === undefined || typeof before === "string") sizes.set(letter, dim);
      });
    });
    return [{ dtype: sameType(x), shape: [...terms.output].map((letter) => sizes.get(letter) ?? UNKNOWN) }];
  }),
  Conv: op([2, 3], { ...windowAttributes, kernel_shape: ["ints"], group: ["int", 1] }, ([x, w, b], a) => {
    sameType([x, w, b]);
    must(w!.shape.length > 2, "weights [O, I/group, …kernel]", () => shapeText(w!.shape));
    ranked(x!, w!.shape.length, "an input");
    const kernel = kernelOf(w!, a.kernel_shape);
    const [n, c, ...spatial] = x!.shape;
    const [o, i] = w!.shape;
    must(
      mayEqual(c!, typeof i === "number" ? i * a.group : UNKNOWN) &&
        (a.group === 1 || Number(o) % a.group === 0),
      `${a.group} group(s) of channels that fit weights ${shapeText(w!.shape)}`,
      () => `input ${shapeText(x!.shape)}`,
    );
    channelVector(b, o!);
    const { output } = windowOf(a, spatial, kernel);
    must(
      output.every((dim) => typeof dim === "string" || dim > 0),
      "windows that fit into the input",
      () => `${shapeText(x!.shape)} under ${shapeText(kernel)}`,
    );
    return [{ dtype: x!.dtype, shape: [n!, o!, ...output] }];
  }),
  ConvTranspose: op(
    [2, 3],
    {
      ...windowAttributes,
      kernel_shape: ["ints"],
      group: ["int", 1],
      output_padding: ["ints"],
      output_shape: ["ints"],
    },
    ([x, w, b], a) => {
      sameType([x, w, b]);
      ranked(x!, w!.shape.length, "an input");
      must(
        a.auto_pad === "NOTSET" && !a.output_shape,
        "explicit pads",
        () => `auto_pad ${a.auto_pad} or output_shape`,
      );
      const kernel = kernelOf(w!, a.kernel_shape);
      const [n, c, ...spatial] = x!.shape;
      const [i, o] = w!.shape;
      must(
        mayEqual(c!, i!) && (a.group === 1 || Number(i) % a.group === 0),
        `${i} channels`,
        () => `input ${shapeText(x!.shape)}`,
      );
      const channels = typeof o === "number" ? o * a.group : UNKNOWN;
      channelVector(b, channels);
      return [{ dtype: x!.dtype, shape: [n!, channels, ...transposedSizes(a, spatial, kernel)] }];
    },
  ),

  // Pooling and normalisation
  MaxPool: op(
    1,
    { ...windowAttributes, kernel_shape: ["ints"], ceil_mode: ["int", 0], storage_order: ["int", 0] },
    ([x], a) => {
      const y = pooled(x!, a);
      return [y, { dtype: "int64", shape: y.shape }];
    },
    [1, 2],
  ),
  AveragePool: op(
    1,
    { ...windowAttributes, kernel_shape: ["ints"], ceil_mode: ["int", 0], count_include_pad: ["int", 0] },
    ([x], a) => [pooled(floating(x!), a)],
  ),
  GlobalAveragePool: op(1, {}, ([x]) => {
    must(x!.shape.length > 2, "an input [N, C, …]", () => shapeText(x!.shape));
    return [{ dtype: x!.dtype, shape: x!.shape.map((dim, i) => (i < 2 ? dim : 1)) }];
  }),
  BatchNormalization: op(
    5,
    { epsilon: ["float", 1e-5], momentum: ["float", 0.9], training_mode: ["int", 0] },
    (x, { training_mode }, outputs) => {
      const [image, ...vectors] = x;
      must(image!.shape.length > 1, "an input [N, C, …]", () => shapeText(image!.shape));
      for (const vector of vectors) channelVector(vector, image!.shape[1]!);
      must(outputs === (training_mode ? 3 : 1), "3 outputs in training, 1 outside of it", () => `${outputs}`);
      const running: Typed = { dtype: vectors[0]!.dtype, shape: vectors[0]!.shape };
      return [same([image!])[0]!, running, running];
    },
    [1, 3],
  ),
  LayerNormalization: op(
    [2, 3],
    { axis: ["int", -1], epsilon: ["float", 1e-5], stash_type: ["int", 1] },
    (x, { axis }) => {
      const { shape } = x[0]!;
      const first = axisOf(axis, shape.length);
      for (const v of x.slice(1))
        if (v)
          must(
            broadcast([shape.slice(first), v.shape]).length <= shape.length - first,
            "a scale of the normalised axes",
            () => shapeText(v.shape),
          );
      const statistics: Typed = { dtype: "float32", shape: shape.map((dim, i) => (i < first ? dim : 1)) };
      return [{ dtype: sameType(x), shape }, statistics, statistics];
    },
    [1, 3],
  ),
  Softmax: op(1, { axis: ["int", -1] }, ([x], { axis }) => {
    axisOf(axis, x!.shape.length);
    return [floating(x!)];
  }),
  LogSoftmax: op(1, { axis: ["int", -1] }, ([x], { axis }) => {
    axisOf(axis, x!.shape.length);
    return [floating(x!)];
  }),

  // Reductions
  ReduceSum: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  ReduceMin: reduction,
  ReduceSumSquare: reduction,
  ReduceL2: reduction,
  ArgMax: op(
    1,
    { axis: ["int", 0], keepdims: ["int", 1], select_last_index: ["int", 0] },
    ([x], { axis, keepdims }) => {
      const reduced = axisOf(axis, x!.shape.length);
      const shape = x!.shape.flatMap((dim, i) => (i !== reduced ? [dim] : keepdims ? [1] : []));
      return [{ dtype: "int64", shape }];
    },
  ),

  // Shapes and places
  Shape: op(1, { start: ["int", 0], end: ["int"] }, ([x], { start, end }) => {
    const known = x!.shape.slice(start, end);
    return [{ dtype: "int64", shape: [known.length], known }];
  }),
  Size: op(1, {}, ([x]) => {
    const count = productOf(x!.shape);
    return [{ dtype: "int64", shape: [], known: count === undefined ? undefined : [count] }];
  }),
  ConstantOfShape: op(1, { value: ["tensor"] }, ([dims], { value }) => [
    { dtype: value?.dtype ?? "float32", shape: dims!.known ?? unknownShape(dims!) },
  ]),
  Reshape: op(2, { allowzero: ["int", 0] }, ([x, target], { allowzero }) => {
    const shape =
      target!.known?.map((dim, i) => (dim === 0 && !allowzero ? x!.shape[i]! : dim)) ?? unknownShape(target!);
    const hole = shape.indexOf(-1);
    // Symbols on both sides cancel, so that [N, 64, 5, 5] → [N, -1] is [N, 1600].
    const rest = [...x!.shape];
    const others = shape.filter((dim, i) => {
      const at = i !== hole && typeof dim === "string" ? rest.findIndex((d) => sameDim(d, dim)) : -1;
      if (at >= 0) rest.splice(at, 1);
      return i !== hole && at < 0;
    });
    const [total, given] = [productOf(rest), productOf(others)];
    if (hole < 0) {
      must(
        total === undefined || given === undefined || total === given,
        `a shape of ${shapeText(x!.shape)}'s size`,
        () => shapeText(shape),
      );
      return [{ dtype: x!.dtype, shape }];
    }
    if (total === undefined || given === undefined)
      // What is left of the symbols goes where the −1 is, when it is a single one.
      return [{ dtype: x!.dtype, shape: shape.map((dim, i) => (i === hole ? leftover(rest, others) : dim)) }];
    must(given > 0 && total % given === 0, `sizes that divide ${shapeText(x!.shape)}`, () =>
      shapeText(shape),
    );
    return [{ dtype: x!.dtype, shape: shape.map((dim, i) => (i === hole ? total / given : dim)) }];
  }),
  Flatten: op(1, { axis: ["int", 1] }, ([x], { axis }) => {
    const at = axis === x!.shape.length ? axis : axisOf(axis, x!.shape.length);
    const half = (dims: Shape): Dim => productOf(dims) ?? (dims.length === 1 ? dims[0]! : UNKNOWN);
    return [{ dtype: x!.dtype, shape: [half(x!.shape.slice(0, at)), half(x!.shape.slice(at))] }];
  }),
  Transpose: op(1, { perm: ["ints"] }, ([x], { perm = x!.shape.map((_, i) => x!.shape.length - 1 - i) }) => {
    must(
      perm.length === x!.shape.length && [...perm].sort((a, b) => a - b).every((axis, i) => axis === i),
      `a permutation of ${x!.shape.length} axes`,
      () => shapeText(perm),
    );
    return [{ dtype: x!.dtype, shape: perm.map((axis) => x!.shape[axis]!) }];
  }),
  Squeeze: op([1, 2], {}, ([x, axes]) => {
    const rank = x!.shape.length;
    const dropped = axes
      ? numeric(axes.known, "axes").map((axis) => axisOf(axis, rank))
      : x!.shape.flatMap((dim, i) => (dim === 1 ? [i] : []));
    for (const axis of dropped)
      must(mayEqual(x!.shape[axis]!, 1), "axes of size 1", () => `axis ${axis} of ${shapeText(x!.shape)}`);
    return [{ dtype: x!.dtype, shape: x!.shape.filter((_, i) => !dropped.includes(i)) }];
  }),
  Unsqueeze: op(2, {}, ([x, axes]) => {
    const added = numeric(axes!.known, "axes");
    const rank = x!.shape.length + added.length;
    const at = added.map((axis) => axisOf(axis, rank));
    const rest = [...x!.shape];
    return [
      {
        dtype: x!.dtype,
        shape: Array.from({ length: rank }, (_, i) => (at.includes(i) ? 1 : rest.shift()!)),
      },
    ];
  }),
  Concat: op([1, many], { axis: ["int", 0] }, (x, { axis }) => {
    const { shape } = x[0]!;
    const at = axisOf(axis, shape.length);
    for (const v of x)
      must(
        v.shape.length === shape.length && v.shape.every((dim, i) => i === at || mayEqual(dim, shape[i]!)),
        `shapes that agree beside axis ${at}`,
        () => x.map((other) => shapeText(other.shape)).join(", "),
      );
    const total = x.reduce<Dim>(
      (sum, v) => (typeof sum === "number" && typeof v.shape[at] === "number" ? sum + v.shape[at] : UNKNOWN),
      0,
    );
    return [{ dtype: sameType(x), shape: shape.map((dim, i) => (i === at ? total : dim)) }];
  }),
  Slice: op([3, 5], {}, ([x, starts, ends, axes, steps]) => {
    const from = numeric(starts!.known, "starts");
    const over = axes ? numeric(axes.known, "axes") : from.map((_, i) => i);
    const to = ends!.known;
    const by = steps ? numeric(steps.known, "steps") : from.map(() => 1);
    const shape = [...x!.shape];
    over.forEach((axis, i) => {
      const at = axisOf(axis, shape.length);
      const [size, end] = [shape[at]!, to?.[i]];
      if (typeof size === "number" && typeof end === "number")
        shape[at] = sliceRange(size, from[i]!, end, by[i]!).count;
      // A whole axis, forwards or backwards, keeps its symbol.
      else if (
        !(
          typeof end === "number" &&
          Math.abs(end) >= 2 ** 31 - 1 &&
          Math.abs(by[i]!) === 1 &&
          (from[i] === 0 || from[i] === -1)
        )
      )
        shape[at] = UNKNOWN;
    });
    return [{ dtype: x!.dtype, shape }];
  }),
  Split: op(
    [1, 2],
    { axis: ["int", 0], num_outputs: ["int"] },
    ([x, split], { axis, num_outputs }, outputs) => {
      const at = axisOf(axis, x!.shape.length);
      const size = x!.shape[at]!;
      const even = typeof size === "number" ? Math.ceil(size / (num_outputs ?? outputs)) : UNKNOWN;
      const sizes =
        split?.known ??
        Array.from({ length: outputs }, (_, i) =>
          typeof even === "number" ? Math.min(even, Number(size) - i * even) : UNKNOWN,
        );
      const total =
        productOf(sizes) === undefined ? undefined : sizes.reduce<number>((s, d) => s + Number(d), 0);
      must(
        sizes.length === outputs && (total === undefined || mayEqual(size, total)),
        `${outputs} parts that add up to ${size}`,
        () => shapeText(sizes),
      );
      return sizes.map((part) => ({
        dtype: x!.dtype,
        shape: x!.shape.map((dim, i) => (i === at ? part : dim)),
      }));
    },
    [1, many],
  ),
  Pad: op([2, 4], { mode: ["string", "constant"] }, ([x, pads, , axes]) => {
    const amounts = numeric(pads!.known, "pads");
    const over = axes ? numeric(axes.known, "axes") : x!.shape.map((_, i) => i);
    must(amounts.length === 2 * over.length, `${2 * over.length} pads`, () => `${amounts.length}`);
    const shape = [...x!.shape];
    over.forEach((axis, i) => {
      const at = axisOf(axis, shape.length);
      const more = amounts[i]! + amounts[i + over.length]!;
      const size = shape[at]!;
      if (more !== 0) shape[at] = typeof size === "number" ? size + more : UNKNOWN;
    });
    return [{ dtype: x!.dtype, shape }];
  }),
  Expand: op(2, {}, ([x, target]) => {
    const shape = target!.known ?? unknownShape(target!);
    return [{ dtype: x!.dtype, shape: broadcast([x!.shape, shape]) }];
  }),
  Gather: op(2, { axis: ["int", 0] }, ([x, indices], { axis }) => {
    const at = axisOf(axis, x!.shape.length);
    return [
      { dtype: x!.dtype, shape: [...x!.shape.slice(0, at), ...indices!.shape, ...x!.shape.slice(at + 1)] },
    ];
  }),
  GatherElements: op(2, { axis: ["int", 0] }, ([x, indices], { axis }) => {
    ranked(indices!, x!.shape.length, "indices");
    axisOf(axis, x!.shape.length);
    return [{ dtype: x!.dtype, shape: indices!.shape }];
  }),
  ScatterElements: op(
    3,
    { axis: ["int", 0], reduction: ["string", "none"] },
    ([x, indices, updates], { axis, reduction }) => {
      sameType([x, updates]);
      ranked(indices!, x!.shape.length, "indices");
      ranked(updates!, x!.shape.length, "updates");
      axisOf(axis, x!.shape.length);
      must(["none", "add"].includes(reduction), "a reduction none or add", () => reduction);
      return same([x!]);
    },
  ),
  OneHot: op(3, { axis: ["int", -1] }, ([indices, depth, values], { axis }) => {
    const rank = indices!.shape.length + 1;
    const at = axisOf(axis, rank);
    const size = depth!.known?.[0] ?? UNKNOWN;
    return [
      { dtype: values!.dtype, shape: [...indices!.shape.slice(0, at), size, ...indices!.shape.slice(at)] },
    ];
  }),
  Resize: op(
    [1, 4],
    {
      mode: ["string", "nearest"],
      coordinate_transformation_mode: ["string", "half_pixel"],
      nearest_mode: ["string", "round_prefer_floor"],
      antialias: ["int", 0],
      axes: ["ints"],
      keep_aspect_ratio_policy: ["string", "stretch"],
      exclude_outside: ["int", 0],
      extrapolation_value: ["float", 0],
      cubic_coeff_a: ["float", -0.75],
    },
    ([x, , scales, sizes], a) => {
      must(
        a.mode !== "cubic" && !a.antialias && a.keep_aspect_ratio_policy === "stretch",
        "Resize nearest or linear, stretched, without antialiasing",
        () => a.mode,
      );
      const rank = x!.shape.length;
      const axes = a.axes?.map((axis) => axisOf(axis, rank)) ?? x!.shape.map((_, i) => i);
      return [{ dtype: x!.dtype, shape: resized(x!, scales, sizes, axes) }];
    },
  ),
};

/** Output sizes of a transposed convolution. */
export function transposedSizes(
  a: WindowAttributes & { readonly output_padding?: readonly number[] },
  input: Shape,
  kernel: readonly number[],
): Dim[] {
  return input.map((size, i) => {
    if (typeof size === "string") return UNKNOWN;
    const reach = (kernel[i]! - 1) * (a.dilations?.[i] ?? 1) + 1;
    const cut = (a.pads?.[i] ?? 0) + (a.pads?.[i + kernel.length] ?? 0);
    return (size - 1) * (a.strides?.[i] ?? 1) + reach + (a.output_padding?.[i] ?? 0) - cut;
  });
}

/** A shape of which only the number of axes is known. */
function unknownShape(target: Typed): Shape {
  const [rank] = target.shape;
  must(typeof rank === "number", "a shape of known length", () => shapeText(target.shape));
  return Array.from({ length: rank }, () => UNKNOWN);
}

/** What a −1 stands for when symbols remain: the single symbol, where the numbers beside it cancel. */
function leftover(rest: Shape, others: Shape): Dim {
  const symbols = rest.filter((dim) => typeof dim === "string");
  const numbers = productOf(rest.filter((dim) => typeof dim === "number"));
  return symbols.length === 1 && productOf(others) === numbers ? symbols[0]! : UNKNOWN;
}

export type OpName = keyof typeof operators;

/** An operator's attributes with their defaults filled in. */
export type Attributes<K extends OpName> = K extends OpName
  ? (typeof operators)[K] extends Operator<infer A>
    ? Resolved<A>
    : never
  : never;

/** The attributes that may be given when a node is built, as plain numbers and text. */
export type GivenAttributes<K extends OpName> = Partial<Attributes<K>>;

export const isOp = (name: string): name is OpName => Object.hasOwn(operators, name);

/** The row of an operator, for those who do not care which. */
export const operatorOf = (name: OpName): Operator => operators[name] as unknown as Operator;
