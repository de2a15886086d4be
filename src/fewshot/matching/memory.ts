import { assembleKernels, type Kernels, plainKernels } from "./kernels.ts";

/** What is used of WebAssembly; its types are in the libraries for browsers alone. */
interface Wasm {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
}

/** A buffer of zeros and the kernels that work in it. It is freed with the last reference to it. */
export interface KernelMemory {
  readonly buffer: ArrayBuffer;
  readonly kernels: Kernels;
  /** Whether the kernels are WebAssembly. */
  readonly simd: boolean;
}

/** Below this, in bytes, plain loops take about a tenth of a millisecond, and a memory of its own would cost more. */
const smallestSimd = 2 ** 18;
const page = 65536;
let compiled: { readonly wasm: Wasm; readonly module: object } | null | undefined;

/** `simd: false` for plain loops at any size. `bytes` below 2^32. */
export function kernelMemory(bytes: number, simd = true): KernelMemory {
  const found = simd && bytes >= smallestSimd ? simdMemory(bytes) : null;
  if (found) return found;
  const buffer = new ArrayBuffer(Math.ceil(bytes / 8) * 8);
  return { buffer, kernels: plainKernels(buffer), simd: false };
}

/** `null` where there is no WebAssembly with SIMD (`node --jitless`, a page whose policy forbids it). */
function simdMemory(bytes: number): KernelMemory | null {
  try {
    if (compiled === undefined) {
      compiled = null;
      const wasm = (globalThis as { readonly WebAssembly?: Wasm }).WebAssembly;
      if (wasm) compiled = { wasm, module: new wasm.Module(assembleKernels()) };
    }
    if (!compiled) return null;
    const { wasm, module } = compiled;
    const pages = Math.ceil(bytes / page);
    const memory = new wasm.Memory({ initial: pages, maximum: pages });
    const { exports } = new wasm.Instance(module, { env: { memory } });
    return { buffer: memory.buffer, kernels: exports as Kernels, simd: true };
  } catch {
    return null;
  }
}
