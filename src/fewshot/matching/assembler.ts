/**
 * As much of a WebAssembly assembler as the kernels need: an instruction is a function from the code of its operands
 * to code, so that a kernel reads as an expression. Binary format: W3C WebAssembly Core 2.0, chapter 5.
 */

/** Bytes of code. An expression leaves its value on the stack, a statement leaves nothing. */
export type Code = readonly number[];

/** LEB128 of an unsigned number. */
function unsigned(value: number): number[] {
  const out: number[] = [];
  for (; value > 0x7f; value >>>= 7) out.push((value & 0x7f) | 0x80);
  return [...out, value];
}

/** LEB128 of a signed 32-bit number. */
function signed(value: number): number[] {
  const out: number[] = [];
  for (; value > 0x3f || value < -0x40; value >>= 7) out.push((value & 0x7f) | 0x80);
  return [...out, value & 0x7f];
}

const operator =
  (...opcode: readonly number[]) =>
  (...operands: readonly Code[]): Code => [...operands.flat(), ...opcode];

const simd = (opcode: number, ...immediate: readonly number[]) =>
  operator(0xfd, ...unsigned(opcode), ...immediate);

/** Operators by their names in the text format. Loads and stores take a constant offset in bytes. */
export const op = {
  i32Const: (value: number): Code => [0x41, ...signed(value)],
  i32Add: operator(0x6a),
  i32Sub: operator(0x6b),
  i32Shl: operator(0x74),
  i32LtU: operator(0x49),
  f32Store: (address: Code, value: Code): Code => operator(0x38, 2, 0)(address, value),
  f32Add: operator(0x92),
  f32ConvertI32: operator(0xb2),
  v128Load: (address: Code, offset: number): Code => simd(0x00, 0, ...unsigned(offset))(address),
  v128Zero: (): Code => simd(0x0c, ...new Array<number>(16).fill(0))(),
  i32x4Lane: (vector: Code, lane: number): Code => simd(0x1b, lane)(vector),
  f32x4Lane: (vector: Code, lane: number): Code => simd(0x1f, lane)(vector),
  f32x4Add: simd(0xe4),
  f32x4Mul: simd(0xe6),
  i32x4Add: simd(0xae),
  i32x4DotI16x8: simd(0xba),
  i16x8ExtendLowI8x16: simd(0x87),
  i16x8ExtendHighI8x16: simd(0x88),
};

const types = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;

/** A parameter or local variable of a function. */
export interface Local {
  readonly get: Code;
  set(value: Code): Code;
}

/** A function of `params` 32-bit numbers that returns nothing; `body` declares its locals as it goes. */
export interface Kernel {
  readonly name: string;
  readonly params: number;
  body(params: readonly Local[], local: (type: keyof typeof types) => Local): Code;
}

/** Runs `body` once, and again for as long as the expression `condition` is not 0. */
export function repeat(body: readonly Code[], condition: Code): Code {
  return [0x03, 0x40, ...body.flat(), ...condition, 0x0d, 0x00, 0x0b];
}

/** A module that imports its memory as `env.memory`, at least one page, and exports the kernels. */
export function assemble(kernels: readonly Kernel[]): Uint8Array<ArrayBuffer> {
  const vector = (items: readonly Code[]): number[] => [...unsigned(items.length), ...items.flat()];
  const sized = (bytes: Code): number[] => [...unsigned(bytes.length), ...bytes];
  const section = (id: number, items: readonly Code[]): number[] => [id, ...sized(vector(items))];
  const text = (value: string): number[] => sized([...new TextEncoder().encode(value)]);
  const bodies = kernels.map(({ params, body }) => {
    const locals: number[][] = [];
    const at = (index: number): Local => ({
      get: [0x20, ...unsigned(index)],
      set: (value) => [...value, 0x21, ...unsigned(index)],
    });
    const code = body(
      Array.from({ length: params }, (_, i) => at(i)),
      (type) => at(params + locals.push([1, types[type]]) - 1),
    );
    return sized([...vector(locals), ...code, 0x0b]);
  });
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(
      1,
      kernels.map(({ params }) => [0x60, ...vector(new Array<Code>(params).fill([types.i32])), 0]),
    ),
    ...section(2, [[...text("env"), ...text("memory"), 0x02, 0x00, 0x01]]),
    ...section(
      3,
      kernels.map((_, i) => unsigned(i)),
    ),
    ...section(
      7,
      kernels.map(({ name }, i) => [...text(name), 0x00, ...unsigned(i)]),
    ),
    ...section(10, bodies),
  ]);
}
