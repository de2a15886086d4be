import type { Manifest } from "./types.ts";

/** A bundle in memory: the ONNX file without its manifest, and the manifest. */
export interface Bundle {
  readonly manifest: Manifest;
  readonly model: Uint8Array;
}
