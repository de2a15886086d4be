import type { Embeddings, ErrorCode } from "../core/index.ts";
import type { ImageLimits, Region } from "../data/types.ts";
import type { AppliedLimit, Candidate, DecisionSpec, Limit, ViewKind } from "../fewshot/types.ts";
import type { Encoder } from "../models/types.ts";
import type { GalleryStore, RefreshPolicy } from "../store/store.ts";

/** A picture from outside: its encoded bytes, or the path of a file that the caller chose. */
export type ImageInput = Uint8Array | string;

/** An encoder for as long as it is needed. */
export interface EncoderLease {
  readonly encoder: Encoder;
  /** It is not used any more; called once. */
  readonly release: () => void;
}

/** Options of a recognizer wherever it runs; `Image` is a picture as it is given there. */
export interface CoreOptions<Image = ImageInput> {
  /** Default `immediate`. Only for a gallery that is made. */
  readonly refresh?: RefreshPolicy;
  /** What is kept of an enrolled picture: the bytes as they came, a thumbnail of 256 px, or nothing. Default `original`. */
  readonly keep?: "original" | "thumbnail" | "none";
  /** When the gallery was made by another model: refuse (default), or embed the kept pictures again. */
  readonly onModelMismatch?: "refuse" | "reembed";
  readonly limits?: Partial<ImageLimits>;
  /** The clock of enrolled samples, milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
  /**
   * The encoder of a gallery's model, or `null` where there is none. With it a gallery may change its model while it is
   * open; see `replaceEmbeddings` and `rollback` of the store. Default none: then such a change is a MODEL_MISMATCH.
   */
  readonly encoderFor?: (gallery: {
    readonly model: string;
    readonly modelHash: string;
  }) => Promise<EncoderLease | null>;
  /** Told of every answer, for a monitor; it must come back at once and throw nothing. Default none. */
  readonly onRecognition?: (seen: Seen<Image>) => void;
}

/** A frame as it was answered. */
export interface Seen<Image = ImageInput> {
  /** As it was given. */
  readonly image: Image;
  /** The part of it that was looked at; `undefined` for all of it. */
  readonly region: Region | undefined;
  readonly answer: Recognition;
  /** Of its first view, `[embeddingDim]`, as the decision compares it. */
  readonly embedding: Float32Array;
  /** Of the frame and its further views as the encoder gave them, `[1 + views, embeddingDim]`. */
  readonly raw: Embeddings;
}

export interface RecognizerOptions extends CoreOptions {
  /** Name of a zoo model, path of a bundle, or an open encoder (then the caller closes it). */
  readonly model?: string | Encoder;
  /** `memory:`, `sqlite:PATH`, or an open store (then the caller closes it). Default `memory:`. */
  readonly store?: string | GalleryStore;
  /** Default `default`; made when it does not exist. */
  readonly gallery?: string;
}

export interface EnrollOptions {
  /** A name for each picture, for the reader. Default: the path, or `image N`. */
  readonly origins?: readonly string[];
  /** Default `unknown`. */
  readonly who?: string;
  readonly reason?: string;
  readonly region?: Region;
  /** Enroll a picture that another class holds too, instead of refusing it. Default false. */
  readonly allowOtherClass?: boolean;
}

/** Picture by picture: a broken one never takes the good ones with it. */
export interface EnrollResult {
  readonly label: string;
  readonly added: readonly { readonly id: string; readonly origin: string }[];
  readonly duplicates: readonly string[];
  readonly rejected: readonly {
    readonly origin: string;
    readonly code: ErrorCode;
    readonly message: string;
  }[];
  readonly revision: number;
  /** Samples that wait for the next revision (refresh policy). */
  readonly pending: number;
  /** Where the class ends now, and how sure that is; `null` while all its samples wait. */
  readonly limit: Limit | null;
  readonly ms: {
    readonly decode: number;
    readonly embed: number;
    readonly store: number;
    readonly total: number;
  };
}

export interface RecognizeOptions {
  readonly region?: Region;
  /** Candidates and nearest support samples returned. Default 3. */
  readonly topK?: number;
}

export interface NearestSupport {
  readonly id: string;
  readonly label: string;
  readonly origin: string;
  /** Cosine distance between the transformed embeddings, 0 … 2. */
  readonly distance: number;
}

interface AnswerBase {
  /** Best first. */
  readonly candidates: readonly Candidate<string>[];
  /** Of the nearest class: what made the frame known or unknown. */
  readonly limit: AppliedLimit<string>;
  /** Why: the support pictures nearest to the frame, among the classes of `candidates`. */
  readonly nearestSupport: readonly NearestSupport[];
  readonly gallery: string;
  readonly revision: number;
  readonly model: string;
  /** SHA-256 of the model and of how it is used: the name alone may come to mean another. */
  readonly modelHash: string;
  readonly ms: {
    readonly decode: number;
    readonly embed: number;
    readonly match: number;
    readonly total: number;
  };
}

/** The answer for one frame. `label` is there exactly when the part is known. */
export type Recognition =
  | (AnswerBase & {
      readonly kind: "known";
      readonly label: string;
      readonly confidence: number;
      readonly distance: number;
    })
  | (AnswerBase & { readonly kind: "ambiguous"; readonly confidence: number; readonly distance: number })
  | (AnswerBase & { readonly kind: "unknown"; readonly confidence: number; readonly distance: number });

export interface TuneOptions {
  /** Views of the pictures that may be chosen; leave out what would change a part's meaning. Default none. */
  readonly views?: readonly ViewKind[];
  /** Whether the choice becomes a revision. Default true. */
  readonly apply?: boolean;
  /** The decision to begin with. Default: that in use. */
  readonly from?: DecisionSpec;
  /** Whether another choice may take its place. Default true; false reports alone. */
  readonly choose?: boolean;
  /** Share of known frames that may be called unknown, in (0, 1). Default: that of the decision. */
  readonly falseRejectRate?: number;
  /** Which part of a large gallery is looked at. Default 1. */
  readonly seed?: number;
  readonly who?: string;
}

export interface RecognizerCore<Image = ImageInput> {
  enroll(label: string, images: readonly Image[], options?: EnrollOptions): Promise<EnrollResult>;
  /** Throws the coded error of a picture that cannot be read; GALLERY_EMPTY when there is nothing to compare with. */
  recognize(image: Image, options?: RecognizeOptions): Promise<Recognition>;
  /** One entry a picture, in order: an answer, or the coded error of that picture. */
  recognizeBatch(
    images: readonly Image[],
    options?: RecognizeOptions,
  ): Promise<readonly (Recognition | Error)[]>;
  /** Raw embeddings of pictures, shape `[n, embeddingDim]`. */
  embed(images: readonly Image[]): Promise<Embeddings>;
  /** Takes the store's head revision as the snapshot; done by itself after every change made through this object. */
  refresh(): Promise<number>;
  close(): Promise<void>;
}
