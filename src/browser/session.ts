import { ProtolineError, quote } from "../core/index.ts";
import { type Bundle, type Encoder, encoderOver, type OpenModel } from "../models/pure.ts";
import { loadError, messageOf, runError } from "../runtime/pure.ts";

/** Where a model runs in a browser. */
export type BrowserProvider = "wasm" | "webgpu";

export interface BrowserSessionOptions {
  /**
   * `auto` (default) takes WebGPU where the browser has a real adapter for it, and WASM else or where the model does
   * not load there.
   */
  readonly provider?: BrowserProvider | "auto";
  /**
   * Folder with ONNX Runtime's `ort-wasm-*.mjs` and `.wasm` files, as an address that ends in a slash. Default: where
   * the bundler put them.
   */
  readonly runtimeFiles?: string;
  /** Threads of WASM; the first encoder of a page decides. Default: up to 4 where the page is cross-origin isolated, else 1, as browsers demand. */
  readonly threads?: number;
}

type Runtime = typeof import("onnxruntime-web/wasm");

interface Started {
  readonly runtime: Runtime;
  readonly provider: BrowserProvider;
}

/** An encoder over a bundle in memory. Throws MODEL_BROKEN, MODEL_UNSUPPORTED, PROVIDER_UNAVAILABLE. */
export async function encoderOf(
  { manifest, model }: Bundle,
  options: BrowserSessionOptions = {},
): Promise<Encoder & { readonly provider: BrowserProvider }> {
  const { provider = "auto" } = options;
  const gpu = provider !== "wasm" && (await hasWebGpu(provider === "webgpu"));
  if (provider === "webgpu" && !gpu)
    throw new ProtolineError("PROVIDER_UNAVAILABLE", {
      expected: "a browser with WebGPU, an adapter for it, and WebAssembly's promise integration",
      got: "one without",
      todo: 'Use the provider "wasm", or "auto".',
    });
  const open = async (on: BrowserProvider): Promise<OpenModel> =>
    openModel(await start(on, options), model, manifest.input, manifest.output);
  if (!gpu) return { ...encoderOver(manifest, await open("wasm")), provider: "wasm" };
  try {
    return { ...encoderOver(manifest, await open("webgpu")), provider: "webgpu" };
  } catch (error) {
    if (provider === "webgpu") throw error;
    return { ...encoderOver(manifest, await open("wasm")), provider: "wasm" };
  }
}

/** The runtime's build with WebGPU suspends WebAssembly while the device computes, which not every browser can. */
async function hasWebGpu(software: boolean): Promise<boolean> {
  const { gpu } = navigator as Navigator & {
    readonly gpu?: {
      requestAdapter(): Promise<{ readonly info?: { readonly isFallbackAdapter?: boolean } } | null>;
    };
  };
  if (!gpu || !("Suspending" in WebAssembly)) return false;
  const adapter = await gpu.requestAdapter().catch(() => null);
  // An adapter in software is slower than WASM: only who asks for WebGPU gets it.
  return adapter !== null && (software || adapter.info?.isFallbackAdapter !== true);
}

async function start(
  provider: BrowserProvider,
  { runtimeFiles, threads }: BrowserSessionOptions,
): Promise<Started> {
  const runtime: Runtime =
    provider === "webgpu" ? await import("onnxruntime-web/jspi") : await import("onnxruntime-web/wasm");
  const { wasm } = runtime.env;
  runtime.env.logLevel = "fatal";
  wasm.numThreads = globalThis.crossOriginIsolated
    ? (threads ?? Math.min(4, navigator.hardwareConcurrency || 1))
    : 1;
  if (runtimeFiles !== undefined) wasm.wasmPaths = new URL(runtimeFiles, document.baseURI).href;
  return { runtime, provider };
}

async function openModel(
  { runtime, provider }: Started,
  model: Uint8Array,
  input: string,
  output: string,
): Promise<OpenModel> {
  const session = await runtime.InferenceSession.create(model, {
    executionProviders: [provider],
    logSeverityLevel: 4,
  }).catch((error: unknown) => {
    if (/failed to fetch|importing|backend/i.test(messageOf(error)))
      throw new ProtolineError("PROVIDER_UNAVAILABLE", {
        expected: "ONNX Runtime's WebAssembly files where the page looks for them",
        got: quote(messageOf(error), 300),
        todo: "Serve the runtime's files beside the page, and name their folder as runtimeFiles.",
        cause: error,
      });
    throw loadError(error, "the model");
  });
  /** The runtime runs one thing at a time. */
  let last: Promise<unknown> = Promise.resolve();
  return {
    inputs: session.inputMetadata.flatMap((info) => (info.isTensor ? [{ shape: info.shape }] : [])),
    run(data, shape) {
      const running = last.then(async () => {
        const tensor = new runtime.Tensor("float32", data, shape);
        try {
          return (await session.run({ [input]: tensor }, [output]))[output]!;
        } catch (error) {
          throw runError(error);
        } finally {
          tensor.dispose();
        }
      });
      last = running.catch(() => undefined);
      return running;
    },
    close: () => session.release(),
  };
}
