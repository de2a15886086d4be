import type { Embeddings, ProtolineError } from "../core/index.ts";
import type { ImageLimits, Preprocess, Region } from "../data/types.ts";
import type { DecisionPriors, DecisionSpec, ViewKind } from "../fewshot/types.ts";

/** Where a model came from, for the audit and for the reader. */
export interface Provenance {
  readonly origin: string;
  readonly license: string;
  /** Data that it was trained on, one line. */
  readonly trainedOn: string;
}

/** How a model was trained further on the pictures of a gallery. */
export interface Learned {
  /** The model that it began with. */
  readonly from: { readonly name: string; readonly modelHash: string };
  readonly gallery: string;
  readonly revision: number;
  readonly steps: number;
  readonly seed: number;
  /**
   * Beginnings (16 characters) of the content hashes of all pictures that it was trained on, or that a learned model before it
   * was: what it answers to these says nothing about new ones.
   */
  readonly shown: readonly string[];
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
  /** Of a model that was trained further on a gallery. Its name says so, too; see {@link learnedName}. */
  readonly learned?: Learned;
}

/** A picture that is still encoded, and what is to be looked at of it. */
export interface EncodedPicture {
  readonly bytes: Uint8Array;
  readonly region?: Region;
  /** Views beside the picture as it is. */
  readonly views: readonly ViewKind[];
  readonly limits?: Partial<ImageLimits>;
}

export interface PictureEmbedding {
  /** `[1 + views, embeddingDim]`. */
  readonly embeddings: Embeddings;
  /** Milliseconds until it was decoded and preprocessed, and of its share of the forward pass. */
  readonly ms: { readonly decode: number; readonly embed: number };
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
  /**
   * Decodes, preprocesses and embeds on other threads, where the encoder has some: then the thread that asks stays free. One entry
   * a picture, in order; what is wrong with one stands in its place. The bytes stay the caller's.
   */
  embedEncoded?(pictures: readonly EncodedPicture[]): Promise<readonly (PictureEmbedding | ProtolineError)[]>;
  close(): Promise<void>;
}
