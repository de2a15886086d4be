import type { Embeddings } from "../core/index.ts";
import type { Preprocess } from "../data/types.ts";
import type { DecisionPriors, DecisionSpec } from "../fewshot/types.ts";

/** Where a model came from, for the audit and for the reader. */
export interface Provenance {
  readonly origin: string;
  readonly license: string;
  /** Data that it was trained on, one line. */
  readonly trainedOn: string;
}

/**
 * What a bundle holds beside its ONNX graph. It lies as `manifest.json` next to `model.onnx`, or, in a bundle of one
 * file, inside the graph's metadata under the key `protoline.manifest`.
 */
export interface Manifest {
  readonly format: 1;
  /** Lower-case letters, digits and dashes. */
  readonly name: string;
  readonly version: string;
  readonly model: { readonly sha256: string; readonly bytes: number };
  readonly input: string;
  readonly output: string;
  readonly embeddingDim: number;
  /** How an output `[N, C, H, W]` becomes `[N, C]` (mean) or `[N, 2C]` (mean and deviation over space). */
  readonly pooling: "none" | "mean" | "meanStd";
  readonly preprocess: Preprocess;
  /** The decision that a new gallery starts with. */
  readonly decision: DecisionSpec;
  /** `baseMean` as plain numbers. */
  readonly priors: Omit<DecisionPriors, "baseMean"> & { readonly baseMean: readonly number[] | null };
  readonly provenance: Provenance;
}

/**
 * Preprocessed pictures → embeddings. Safe to call concurrently; `close` waits for what is under way.
 * Making the picture into a tensor is {@link Manifest.preprocess} and belongs to data/.
 */
export interface Encoder {
  readonly manifest: Manifest;
  readonly embeddingDim: number;
  /** SHA-256 over the model file and everything else that shapes an embedding. Embeddings of two hashes never mix. */
  readonly modelHash: string;
  /** `inputs`: one array `[channels × height × width]` a picture. Result `[inputs.length, embeddingDim]`. */
  embed(inputs: readonly Float32Array[]): Promise<Embeddings>;
  close(): Promise<void>;
}
