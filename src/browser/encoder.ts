import { ProtolineError, quote } from "../core/index.ts";
import { type Encoder, parseBundle } from "../models/pure.ts";
import { type BrowserProvider, type BrowserSessionOptions, encoderOf } from "./session.ts";

/** A bundle of one file: its address, its bytes, or the file itself. */
export type BundleSource = string | URL | Uint8Array | ArrayBuffer | Blob;

export interface BrowserEncoderOptions extends BrowserSessionOptions {
  /** Called while an address is fetched: bytes so far, and of all where the server says so. */
  readonly onProgress?: (bytes: number, of: number | null) => void;
}

/**
 * Opens an encoder over a bundle of one `.onnx` file, the same that Node opens: its hash is checked, its manifest is,
 * and embeddings carry the same model hash.
 * Throws MODEL_NOT_FOUND, MODEL_HASH_MISMATCH, BUNDLE_INVALID, MODEL_BROKEN, MODEL_UNSUPPORTED, PROVIDER_UNAVAILABLE.
 */
export async function openEncoder(
  source: BundleSource,
  options: BrowserEncoderOptions = {},
): Promise<Encoder & { readonly provider: BrowserProvider }> {
  const { bytes, where } = await bytesOf(source, options);
  return encoderOf(parseBundle(bytes, where), options);
}

async function bytesOf(
  source: BundleSource,
  { onProgress }: BrowserEncoderOptions,
): Promise<{ bytes: Uint8Array; where: string }> {
  if (source instanceof Uint8Array) return { bytes: source, where: "the bundle" };
  if (source instanceof ArrayBuffer) return { bytes: new Uint8Array(source), where: "the bundle" };
  if (source instanceof Blob)
    return {
      bytes: new Uint8Array(await source.arrayBuffer()),
      where: source instanceof File ? source.name : "the bundle",
    };
  const address = new URL(source, document.baseURI).href;
  const response = await fetch(address).catch((error: unknown) => {
    throw notFound(address, error instanceof Error ? error.message : String(error), error);
  });
  if (!response.ok || !response.body) throw notFound(address, `status ${response.status}`);
  const length = Number(response.headers.get("content-length")) || null;
  // What is compressed on the way counts more bytes here than the header says.
  const of = response.headers.get("content-encoding") === null ? length : null;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let received = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    received += value.length;
    onProgress?.(received, of);
  }
  return { bytes: new Uint8Array(await new Blob(parts).arrayBuffer()), where: address };
}

function notFound(address: string, got: string, cause?: unknown): ProtolineError {
  return new ProtolineError("MODEL_NOT_FOUND", {
    expected: `a bundle of one .onnx file at ${quote(address, 200)}`,
    got: quote(got),
    todo: "Check the address, and that its server allows this page to read it.",
    cause,
  });
}
