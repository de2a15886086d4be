/**
 * The one representation: an ONNX graph as plain, immutable objects. Layers, losses, gradients and optimizers add
 * nodes to it; nothing else in the project describes a computation.
 */

/** What each element type is kept in. Half precision is kept as its bits, since Node 20 has no `Float16Array`. */
export interface TypedArrays {
  float32: Float32Array;
  float16: Uint16Array;
  float64: Float64Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int32: Int32Array;
  int64: BigInt64Array;
  bool: Uint8Array;
}

export type DType = keyof TypedArrays;

/** The number by which ONNX calls each element type (TensorProto.DataType), also in the attribute `to` of Cast. */
export const dtypeCodes: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
};

/** A size, or the name of a size that is known only when the graph runs. {@link UNKNOWN} equals nothing, not even itself. */
export type Dim = number | string;
export type Shape = readonly Dim[];
export const UNKNOWN = "?";

/** A constant, row-major. `data.length` is the product of `dims`; no dims is a scalar. */
export interface Tensor<T extends DType = DType> {
  readonly dtype: T;
  readonly dims: readonly number[];
  readonly data: TypedArrays[T];
}

/** Type and shape of one value; `shape` is `null` where even the rank is unknown. */
export interface ValueType {
  readonly dtype: DType;
  readonly shape: Shape | null;
}

export interface ValueInfo extends ValueType {
  readonly name: string;
}

/** The kinds are ONNX's own: a file distinguishes the integer 1 from the float 1. */
export type Attribute =
  | { readonly type: "float" | "int"; readonly value: number }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "floats" | "ints"; readonly value: readonly number[] }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "tensor"; readonly value: Tensor };

export interface Node {
  /** Unique where the graph was built here; an imported one may be empty. */
  readonly name: string;
  readonly op: string;
  /** "" is the standard operator set. */
  readonly domain: string;
  /** Names of values; "" is an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/**
 * What autodiff found: for the node whose first output is `output`, `value` is the part of ∂loss/∂(its input `input`) that
 * comes through it, made from `dy`, ∂loss/∂`output`.
 */
export interface GradientMark {
  readonly output: string;
  readonly input: number;
  readonly dy: string;
  readonly value: string;
}

export const renameMark = (mark: GradientMark, rename: (name: string) => string): GradientMark => ({
  ...mark,
  output: rename(mark.output),
  dy: rename(mark.dy),
  value: rename(mark.value),
});

export interface Graph {
  readonly name: string;
  /** Version of each operator set by domain. */
  readonly opsets: Readonly<Record<string, number>>;
  /** What the caller feeds; initializers are not among them. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** In an order in which each node comes after those that it reads. */
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  /** Which values are gradients of which nodes, for rewrites; a model file does not keep it. */
  readonly marks?: readonly GradientMark[];
}

/** Elements of a shape without symbols. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

const arrays = {
  float32: Float32Array,
  float16: Uint16Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
} as const satisfies { [T in DType]: new (n: number) => TypedArrays[T] };

export const isFloat = (dtype: DType): boolean => dtype.startsWith("float");

/** Bytes of one element. */
export const bytesOf = (dtype: DType): number => arrays[dtype].BYTES_PER_ELEMENT;

/** The array of `dtype` over a copy of little-endian `bytes`, whose length must be a multiple of the element's. */
export function arrayFromBytes<T extends DType>(dtype: T, bytes: Uint8Array): TypedArrays[T] {
  // slice(): a view into a file need not begin at a multiple of the element's size.
  const { buffer } = Uint8Array.from(bytes);
  return new arrays[dtype](buffer) as TypedArrays[T];
}

/** Little-endian bytes of a tensor, as a view. */
export function bytesOfTensor({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A constant from plain numbers, row-major. `dims` default to one axis. Half precision goes through {@link toHalf}. */
export function tensor<T extends DType>(
  dtype: T,
  values: ArrayLike<number>,
  dims: readonly number[] = [values.length],
): Tensor<T> {
  const data: TypedArrays[DType] = new arrays[dtype](values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (data instanceof BigInt64Array) data[i] = BigInt(value);
    else data[i] = dtype === "float16" ? toHalf(value) : value;
  }
  return { dtype, dims, data: data as TypedArrays[T] };
}

/** The elements as plain numbers; integers beyond 2^53 are rounded. */
export function numbersOf({ dtype, data }: Tensor): Float64Array {
  const numbers = new Float64Array(data.length);
  for (let i = 0; i < data.length; i++)
    numbers[i] = dtype === "float16" ? fromHalf(Number(data[i])) : Number(data[i]);
  return numbers;
}

const scratch = new DataView(new ArrayBuffer(4));

/** Bits of the nearest half-precision number (IEEE 754 binary16), ties to even. */
export function toHalf(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: a multiple of 2^-24.
    const scaled = Math.abs(value) * 2 ** 24;
    const low = Math.floor(scaled);
    const rest = scaled - low;
    return sign | (rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent ? sign * 2 ** (exponent - 25) * (1024 + fraction) : sign * fraction * 2 ** -24;
}

/** The node with its values renamed; the same object where none of them is. */
export function renameNode(
  node: Node,
  input: (name: string) => string,
  output: (name: string) => string,
): Node {
  const same =
    node.inputs.every((name) => input(name) === name) && node.outputs.every((name) => output(name) === name);
  return same ? node : { ...node, inputs: node.inputs.map(input), outputs: node.outputs.map(output) };
}
