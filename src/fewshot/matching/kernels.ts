import { assemble, type Code, type Kernel, type Local, op, repeat } from "./assembler.ts";

/**
 * Products of queries with rows in a WebAssembly memory, 128 bits at a time: V8 does not vectorise loops of JavaScript,
 * and these are what a frame costs in a large gallery. All numbers are bytes from the start of the memory, but `count`.
 */
export interface Kernels {
  /** `out[i] = query · row i`, float32; rows of `stride` bytes, a multiple of 64. */
  float1(query: number, rows: number, count: number, stride: number, out: number): void;
  /** The same for four queries that lie `stride` apart: `out[4i + q]`. `count` is even. */
  float4(queries: number, rows: number, count: number, stride: number, out: number): void;
  /**
   * `out[i] = query · row i`, float32: rows of int8, `stride` bytes each, a multiple of 32; the query of int16, twice
   * as long, its numbers so small that no int32 sum overflows.
   */
  int8(query: number, rows: number, count: number, stride: number, out: number): void;
}

const sumLanes = (vector: Local): Code =>
  op.f32Add(
    op.f32Add(op.f32x4Lane(vector.get, 0), op.f32x4Lane(vector.get, 1)),
    op.f32Add(op.f32x4Lane(vector.get, 2), op.f32x4Lane(vector.get, 3)),
  );
const add = (target: Local, value: Code): Code => target.set(op.f32x4Add(target.get, value));
const step = (pointer: Local, bytes: Code): Code => pointer.set(op.i32Add(pointer.get, bytes));
const bytes = op.i32Const;
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Four sums side by side hide the latency of the addition. */
const float1: Kernel = {
  name: "float1",
  params: 5,
  body: ([query, row, count, stride, out], local) => {
    const [q, end] = [local("i32"), local("i32")];
    const sums = range(4).map(() => local("v128"));
    return repeat(
      [
        q.set(query!.get),
        end.set(op.i32Add(query!.get, stride!.get)),
        ...sums.map((s) => s.set(op.v128Zero())),
        repeat(
          [
            ...sums.map((s, i) =>
              add(s, op.f32x4Mul(op.v128Load(q.get, 16 * i), op.v128Load(row!.get, 16 * i))),
            ),
            step(q, bytes(64)),
            step(row!, bytes(64)),
          ],
          op.i32LtU(q.get, end.get),
        ),
        add(sums[0]!, op.f32x4Add(sums[1]!.get, op.f32x4Add(sums[2]!.get, sums[3]!.get))),
        op.f32Store(out!.get, sumLanes(sums[0]!)),
        step(out!, bytes(4)),
        count!.set(op.i32Sub(count!.get, bytes(1))),
      ],
      count!.get,
    );
  },
};

/** Two rows by four queries in eight sums: six loads for eight products, and all fit the sixteen registers. */
const float4: Kernel = {
  name: "float4",
  params: 5,
  body: ([queries, row, count, stride, out], local) => {
    const at = range(4).map(() => local("i32"));
    const end = local("i32");
    const other = local("i32");
    const sums = range(8).map(() => local("v128"));
    const [a, b, q] = [local("v128"), local("v128"), local("v128")];
    return repeat(
      [
        at[0]!.set(queries!.get),
        ...range(3).map((i) => at[i + 1]!.set(op.i32Add(at[i]!.get, stride!.get))),
        end.set(at[1]!.get),
        other.set(op.i32Add(row!.get, stride!.get)),
        ...sums.map((s) => s.set(op.v128Zero())),
        repeat(
          [
            ...range(2).flatMap((half) => [
              a.set(op.v128Load(row!.get, 16 * half)),
              b.set(op.v128Load(other.get, 16 * half)),
              ...at.flatMap((pointer, i) => [
                q.set(op.v128Load(pointer.get, 16 * half)),
                add(sums[i]!, op.f32x4Mul(q.get, a.get)),
                add(sums[4 + i]!, op.f32x4Mul(q.get, b.get)),
              ]),
            ]),
            ...[...at, row!, other].map((pointer) => step(pointer, bytes(32))),
          ],
          op.i32LtU(at[0]!.get, end.get),
        ),
        ...sums.flatMap((s) => [op.f32Store(out!.get, sumLanes(s)), step(out!, bytes(4))]),
        row!.set(other.get),
        count!.set(op.i32Sub(count!.get, bytes(2))),
      ],
      count!.get,
    );
  },
};

const int8: Kernel = {
  name: "int8",
  params: 5,
  body: ([query, row, count, stride, out], local) => {
    const [q, end] = [local("i32"), local("i32")];
    const sums = range(4).map(() => local("v128"));
    const eight = local("v128");
    const addDot = (sum: Local, wide: Code, at: number): Code =>
      sum.set(op.i32x4Add(sum.get, op.i32x4DotI16x8(wide, op.v128Load(q.get, at))));
    return repeat(
      [
        q.set(query!.get),
        end.set(op.i32Add(query!.get, op.i32Shl(stride!.get, op.i32Const(1)))),
        ...sums.map((s) => s.set(op.v128Zero())),
        repeat(
          [
            ...range(2).flatMap((half) => [
              eight.set(op.v128Load(row!.get, 16 * half)),
              addDot(sums[2 * half]!, op.i16x8ExtendLowI8x16(eight.get), 32 * half),
              addDot(sums[2 * half + 1]!, op.i16x8ExtendHighI8x16(eight.get), 32 * half + 16),
            ]),
            step(q, bytes(64)),
            step(row!, bytes(32)),
          ],
          op.i32LtU(q.get, end.get),
        ),
        sums[0]!.set(
          op.i32x4Add(op.i32x4Add(sums[0]!.get, sums[1]!.get), op.i32x4Add(sums[2]!.get, sums[3]!.get)),
        ),
        op.f32Store(
          out!.get,
          op.f32ConvertI32(
            range(3).reduce(
              (sum, i) => op.i32Add(sum, op.i32x4Lane(sums[0]!.get, i + 1)),
              op.i32x4Lane(sums[0]!.get, 0),
            ),
          ),
        ),
        step(out!, bytes(4)),
        count!.set(op.i32Sub(count!.get, bytes(1))),
      ],
      count!.get,
    );
  },
};

/** The module of the kernels: it imports its memory and exports them by name. */
export function assembleKernels(): Uint8Array<ArrayBuffer> {
  return assemble([float1, float4, int8]);
}

/**
 * Σ aᵢbᵢ over `n` numbers from `aAt` and `bAt` on, in float64. Apart from `dot`, which takes float64 too: a loop that only
 * ever sees one kind of array takes a third of the time.
 */
export function product(a: Float32Array, aAt: number, b: Float32Array, bAt: number, n: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 3 < n; i += 4) {
    s0 += a[aAt + i]! * b[bAt + i]!;
    s1 += a[aAt + i + 1]! * b[bAt + i + 1]!;
    s2 += a[aAt + i + 2]! * b[bAt + i + 2]!;
    s3 += a[aAt + i + 3]! * b[bAt + i + 3]!;
  }
  for (; i < n; i++) s0 += a[aAt + i]! * b[bAt + i]!;
  return s0 + s1 + (s2 + s3);
}

/** The same in JavaScript, for small matrices and where there is no WebAssembly with SIMD. */
export function plainKernels(buffer: ArrayBuffer): Kernels {
  const floats = new Float32Array(buffer);
  const [bytes, shorts] = [new Int8Array(buffer), new Int16Array(buffer)];
  const kernels: Kernels = {
    float1: (query, rows, count, stride, out) => {
      for (let i = 0; i < count; i++)
        floats[out / 4 + i] = product(floats, query / 4, floats, (rows + i * stride) / 4, stride / 4);
    },
    float4: (queries, rows, count, stride, out) => {
      for (let i = 0; i < count; i++)
        for (let q = 0; q < 4; q++)
          kernels.float1(queries + q * stride, rows + i * stride, 1, stride, out + 16 * i + 4 * q);
    },
    int8: (query, rows, count, stride, out) => {
      for (let i = 0, at = rows; i < count; i++, at += stride) {
        let sum = 0;
        for (let j = 0; j < stride; j++) sum += shorts[query / 2 + j]! * bytes[at + j]!;
        floats[out / 4 + i] = sum;
      }
    },
  };
  return kernels;
}
