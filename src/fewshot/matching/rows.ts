import type { Steps } from "../../core/index.ts";
import { product } from "./kernels.ts";
import { type KernelMemory, kernelMemory } from "./memory.ts";

/** Rows laid out for the kernels, in float32 or int8. */
export interface Rows {
  readonly n: number;
  readonly dim: number;
  readonly precision: "float32" | "int8";
  /** Memory that they take. */
  readonly bytes: number;
  /** Σ row², `[n]`, of the rows as they were given. */
  readonly squares: Float64Array;
  /** The product of row `i` with a vector `[dim]`, in float64; in int8 of the rounded row. */
  product(i: number, vector: Float32Array): number;
  /**
   * The products of each query `[dim]` with all rows, block by block. `products` and `slack` hold `count` numbers, for the
   * rows from `first` on, and are overwritten after the visit. No product is off by more than its slack.
   */
  scan(queries: readonly Float32Array[], visit: Visit): void;
}

export type Visit = (
  query: number,
  first: number,
  count: number,
  products: Float64Array,
  slack: Float64Array,
) => void;

export interface RowsOptions {
  /** Default `float32`. */
  readonly precision?: "float32" | "int8";
  /** `false`: plain loops alone. Default true. */
  readonly simd?: boolean;
}

/** Rows of one memory: queries first, then products, then rows. */
interface Segment extends KernelMemory {
  readonly first: number;
  readonly count: number;
  readonly outAt: number;
  readonly rowsAt: number;
}

/** Bytes of rows that all queries meet before the next: they stay in the second cache meanwhile. */
const blockBytes = 2 ** 17;
/** Queries that are laid out at a time, a multiple of 4; with few rows there is no pass over them to save. */
const queriesAtOnce = (n: number): number => (n < 1024 ? 4 : 32);
/** Rows that are laid out in one step. */
const rowsAtATime = 16;
/** Largest sum of a quantised query's magnitudes, so that 127 times it is below 2^31. */
const int16Sum = 2 ** 24;

/**
 * `fill(i, out)` writes row `i`, `[dim]`, into `out`, which holds zeros. There are about `segmentBytes` of rows in one memory: one can
 * have no more than 4 GiB.
 */
export function* layOut(
  n: number,
  dim: number,
  fill: (i: number, out: Float32Array) => void,
  { precision = "float32", simd = true }: RowsOptions = {},
  segmentBytes = 2 ** 28,
): Steps<Rows> {
  const float = precision === "float32";
  const stride = float ? Math.ceil(dim / 16) * 64 : Math.ceil(dim / 32) * 32;
  const queryBytes = float ? stride : 2 * stride;
  // Even numbers of rows: a kernel takes two at a time.
  const block = Math.max(2, 2 * Math.floor(blockBytes / stride / 2));
  const perSegment = Math.max(block, block * Math.floor(segmentBytes / stride / block));
  const segments: Segment[] = [];
  for (let first = 0; first < n; first += perSegment) {
    const count = Math.min(perSegment, n - first);
    const outAt = queriesAtOnce(n) * queryBytes;
    const rowsAt = outAt + Math.ceil(Math.min(block, count + 1) / 4) * 64;
    segments.push({ ...kernelMemory(rowsAt + (count + 1) * stride, simd), first, count, outAt, rowsAt });
  }
  const squares = new Float64Array(n);
  const norms = new Float64Array(n);
  const scales = new Float64Array(n);
  const residuals = new Float64Array(float ? 0 : n);
  const given = new Float32Array(dim);
  for (const { buffer, first, count, rowsAt } of segments)
    for (let i = first; i < first + count; i++) {
      const at = rowsAt + (i - first) * stride;
      given.fill(0);
      fill(i, given);
      if (i % rowsAtATime === 0) yield;
      squares[i] = product(given, 0, given, 0, dim);
      norms[i] = Math.sqrt(squares[i]!);
      if (float) {
        scales[i] = powerOfTwo(norms[i]!);
        const row = new Float32Array(buffer, at, dim);
        const inverse = 1 / scales[i]!;
        for (let j = 0; j < dim; j++) row[j] = given[j]! * inverse;
      } else {
        const scale = largest(given) / 127;
        scales[i] = scale;
        if (!(scale > 0)) continue;
        const row = new Int8Array(buffer, at, dim);
        let off = 0;
        for (let j = 0; j < dim; j++) {
          row[j] = Math.round(given[j]! / scale);
          off += (given[j]! - row[j]! * scale) ** 2;
        }
        residuals[i] = Math.sqrt(off);
      }
    }
  const bytes =
    segments.reduce((sum, { buffer }) => sum + buffer.byteLength, 0) +
    squares.byteLength +
    norms.byteLength +
    scales.byteLength +
    residuals.byteLength;
  // A lane adds at most a quarter of the products one after the other; each is rounded to 2⁻²⁴, and all of them together are at
  // most ‖query‖‖row‖ (Cauchy and Schwarz).
  const rounding = (dim / 4 + 16) * 2 ** -24;
  const products = new Float64Array(block);
  const slack = new Float64Array(block);

  function scanSegment(
    { buffer, kernels, first, count, outAt, rowsAt }: Segment,
    laid: readonly LaidQuery[],
    visit: (query: number, first: number, count: number) => void,
  ): void {
    laid.forEach(({ numbers }, q) => {
      if (float) new Float32Array(buffer, q * queryBytes, dim).set(numbers);
      else new Int16Array(buffer, q * queryBytes, dim).set(numbers);
    });
    const out = new Float32Array(buffer, outAt, (rowsAt - outAt) / 4);
    for (let start = 0; start < count; start += block) {
      const rows = Math.min(block, count - start);
      const at = rowsAt + start * stride;
      for (let q = 0; q < laid.length; ) {
        // Two queries by the kernel for four cost less than two by the kernel for one.
        const together = float && laid.length - q > 1 ? 4 : 1;
        if (!float) kernels.int8(q * queryBytes, at, rows, stride, outAt);
        else if (together === 1) kernels.float1(q * queryBytes, at, rows, stride, outAt);
        else kernels.float4(q * queryBytes, at, rows + (rows % 2), stride, outAt);
        for (let t = 0; t < together && q < laid.length; t++, q++) {
          const { scale, norm, off } = laid[q]!;
          for (let i = 0, c = first + start; i < rows; i++, c++) {
            products[i] = out[i * together + t]! * scale * scales[c]!;
            slack[i] = norms[c]! * (rounding * norm + off);
            if (!float) slack[i]! += residuals[c]! * (norm + off);
          }
          visit(q, first + start, rows);
        }
      }
    }
  }

  return {
    n,
    dim,
    precision,
    bytes,
    squares,
    product: (i, vector) => {
      const { buffer, first, rowsAt } = segments[Math.floor(i / perSegment)]!;
      const at = rowsAt + (i - first) * stride;
      const row = float
        ? new Float32Array(buffer, at, dim)
        : Float32Array.from(new Int8Array(buffer, at, dim));
      return scales[i]! * product(row, 0, vector, 0, dim);
    },
    scan: (queries, visit) => {
      const together = queriesAtOnce(n);
      for (let from = 0; from < queries.length; from += together) {
        const laid = queries.slice(from, from + together).map(float ? layFloat : layInt16);
        for (const segment of segments)
          scanSegment(segment, laid, (q, first, count) => visit(from + q, first, count, products, slack));
      }
    },
  };
}

/** A query as the kernel takes it, divided by `scale`; the query's length, and how far it is from what its numbers say. */
interface LaidQuery {
  readonly numbers: Float32Array | Int16Array;
  readonly scale: number;
  readonly norm: number;
  readonly off: number;
}

function layFloat(query: Float32Array): LaidQuery {
  const norm = lengthOf(query);
  const scale = powerOfTwo(norm);
  return { numbers: query.map((v) => v / scale), scale, norm, off: 0 };
}

/** Sixteen bits where the rows have eight: the query's rounding costs nothing and is then of no account. */
function layInt16(query: Float32Array): LaidQuery {
  const norm = lengthOf(query);
  const sum = query.reduce((total, v) => total + Math.abs(v), 0);
  const scale = Math.max(largest(query) / 32767, sum / (int16Sum - query.length));
  if (!(scale > 0)) return { numbers: new Int16Array(query.length), scale, norm, off: 0 };
  const numbers = Int16Array.from(query, (v) => Math.round(v / scale));
  let off = 0;
  for (let j = 0; j < query.length; j++) off += (query[j]! - numbers[j]! * scale) ** 2;
  return { numbers, scale, norm, off: Math.sqrt(off) };
}

/** The power of two at or above `norm`: dividing by it loses no digit and keeps products within the range of float32. */
function powerOfTwo(norm: number): number {
  return norm > 0 ? 2 ** Math.ceil(Math.log2(norm)) : 1;
}

function largest(vector: Float32Array): number {
  let most = 0;
  for (let i = 0; i < vector.length; i++) most = Math.max(most, Math.abs(vector[i]!));
  return most;
}

/** ‖x‖ in float64. */
export function lengthOf(x: Float32Array): number {
  return Math.sqrt(product(x, 0, x, 0, x.length));
}
