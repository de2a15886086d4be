import type { DecisionSpec } from "../fewshot/types.ts";

/**
 * The prototype store: galleries, their support samples, and immutable revisions. It knows nothing of encoders or
 * decisions beyond keeping them; drivers/ hold the implementations, all under one contract suite.
 *
 * Writes are acknowledged when they are durable. A write under the refresh policy `immediate` publishes a revision
 * in the same transaction; otherwise samples wait as *pending* until `publish`.
 */
export interface GalleryStore {
  /** `memory`, `sqlite`, …; for health and messages. */
  readonly driver: string;

  /** Throws GALLERY_EXISTS, INVALID_ARGUMENT. */
  createGallery(gallery: NewGallery): Promise<GalleryInfo>;
  galleries(): Promise<readonly GalleryInfo[]>;
  /** Throws GALLERY_NOT_FOUND. */
  gallery(name: string): Promise<GalleryInfo>;
  /** Removes the gallery with its whole history. */
  removeGallery(name: string): Promise<void>;
  /** Holds from the next call on; samples that wait go on waiting until then. */
  setRefresh(name: string, refresh: RefreshPolicy): Promise<void>;

  /**
   * Adds support samples. A sample whose content is in that class already is skipped and counted; one that is in
   * another class is refused for itself alone (`conflicts`), unless `allowOtherClass`. `modelHash` must be the gallery's (MODEL_MISMATCH).
   * A sample that is not valid refuses the whole call: LABEL_INVALID, DIMENSION_MISMATCH, NOT_FINITE, INVALID_ARGUMENT.
   */
  addSamples(
    name: string,
    samples: readonly NewSample[],
    change: Change & { readonly modelHash: string; readonly allowOtherClass?: boolean },
  ): Promise<AddResult>;
  /** Removes single samples by id. Throws INVALID_ARGUMENT for an id that is not in the head revision. */
  removeSamples(name: string, ids: readonly string[], change: Change): Promise<RevisionInfo>;
  /**
   * Pending samples go along with their class, here and in the next two; where a class has nothing else, the head is
   * returned. Throws CLASS_NOT_FOUND, CLASS_EXISTS (use `mergeClasses`), LABEL_INVALID.
   */
  renameClass(name: string, from: string, to: string, change: Change): Promise<RevisionInfo>;
  /** Moves all samples of `from` to `into`; contents that are there already are dropped. */
  mergeClasses(name: string, from: readonly string[], into: string, change: Change): Promise<RevisionInfo>;
  removeClass(name: string, label: string, change: Change): Promise<RevisionInfo>;
  /** A revision with the same samples and another decision. */
  setDecision(name: string, decision: DecisionSpec, change: Change): Promise<RevisionInfo>;
  /**
   * New embeddings for every sample of the head, by another encoder or of other views: one revision, all or nothing.
   * A rollback to an older revision finds the older embeddings again. Throws MODEL_MISMATCH while samples are pending:
   * they would keep the old embeddings; publish them first.
   */
  replaceEmbeddings(name: string, replacement: Replacement, change: Change): Promise<RevisionInfo>;
  /**
   * Makes pending samples part of a new revision. Without pending samples the head is returned. What the class came to
   * hold meanwhile (by a rollback) is dropped.
   */
  publish(name: string, change: Change): Promise<RevisionInfo>;

  /** Newest first. */
  history(name: string, limit?: number): Promise<readonly RevisionInfo[]>;
  /** All that is needed to recognize, of the head or of one revision. Throws REVISION_NOT_FOUND. */
  snapshot(name: string, revision?: number): Promise<GallerySnapshot>;
  diff(name: string, from: number, to: number): Promise<RevisionDiff>;
  /**
   * A new revision with the content (samples, labels, decision, model) of an old one; nothing is erased. Throws
   * REVISION_NOT_FOUND, and MODEL_MISMATCH while samples are pending that were embedded otherwise than the old revision's.
   */
  rollback(name: string, to: number, change: Change): Promise<RevisionInfo>;
  /** Incrementally kept; equal to a recomputation from the samples of the head. */
  classStatistics(name: string): Promise<readonly ClassStatistics[]>;
  /** The kept picture of a sample, or `null` where none was kept. */
  image(name: string, sampleId: string): Promise<KeptImage | null>;
  /** The head's number alone, cheap enough to poll. */
  head(name: string): Promise<number>;

  /**
   * Calls `listener` with a gallery's name within milliseconds after the gallery has a new head or is gone; now and then
   * also when neither is so. With `null` when changes may have been missed, as at the beginning or while the server of
   * the store was away: then look at all. A store in a file tells what was changed through itself alone and not what other
   * processes change: ask for `head` from time to time besides. Returns what ends it.
   */
  subscribe(listener: (gallery: string | null) => void): () => void;

  putApiKey(key: ApiKeyRecord): Promise<void>;
  apiKeys(): Promise<readonly ApiKeyRecord[]>;
  /** Returns whether there was one. */
  removeApiKey(id: string): Promise<boolean>;

  close(): Promise<void>;
}

export interface Replacement {
  readonly model: string;
  readonly modelHash: string;
  readonly dim: number;
  /** Default: the head's. */
  readonly decision?: DecisionSpec;
  /** Keys are the ids of all samples of the head; values as in {@link NewSample.embeddings}. */
  readonly embeddings: ReadonlyMap<string, readonly Float32Array[]>;
}

/** Who changes what, and why; kept with the revision. */
export interface Change {
  readonly who: string;
  /** Default: what was done, such as `rename "A" to "B"`. */
  readonly reason?: string;
}

export type RefreshPolicy =
  | { readonly kind: "immediate" }
  /** A revision after every `samples` new samples. */
  | { readonly kind: "after"; readonly samples: number }
  | { readonly kind: "manual" };

export interface NewGallery {
  /** 1 to 64 of letters, digits, `.`, `_`, `-`; does not begin with a dot. */
  readonly name: string;
  /** Name of the model for the reader, and the encoder's hash. */
  readonly model: string;
  readonly modelHash: string;
  readonly dim: number;
  readonly decision: DecisionSpec;
  /** Default `immediate`. */
  readonly refresh?: RefreshPolicy;
  readonly who: string;
}

export interface GalleryInfo {
  readonly name: string;
  readonly model: string;
  readonly modelHash: string;
  readonly dim: number;
  readonly refresh: RefreshPolicy;
  readonly head: RevisionInfo;
  /** Samples acknowledged but in no revision yet. */
  readonly pending: number;
}

export interface KeptImage {
  readonly bytes: Uint8Array;
  /** `image/jpeg`, … */
  readonly type: string;
  /** Whether these are the bytes that came in, or a thumbnail alone. */
  readonly whole: boolean;
}

export interface NewSample {
  /** See {@link checkLabel}. */
  readonly label: string;
  /** Raw encoder output of the picture as it is, then of its augmented views; each `[dim]`. At least one. */
  readonly embeddings: readonly Float32Array[];
  /** SHA-256 of the encoded picture, lower-case hex. */
  readonly contentHash: string;
  readonly image: KeptImage | null;
  /** File name, address or camera, for the reader. */
  readonly origin: string;
  /** Milliseconds since 1970. */
  readonly time: number;
}

export interface Sample {
  readonly id: string;
  readonly label: string;
  readonly embeddings: readonly Float32Array[];
  readonly contentHash: string;
  readonly origin: string;
  readonly time: number;
  readonly who: string;
}

export interface AddResult {
  readonly added: readonly { readonly id: string; readonly index: number }[];
  /** Indices of samples that their class holds already (or that stand twice in the call). */
  readonly duplicates: readonly number[];
  /** Indices of samples that another class holds, with its name. */
  readonly conflicts: readonly { readonly index: number; readonly label: string }[];
  /** The head after the call: a new revision, or the old one when nothing was published. */
  readonly revision: RevisionInfo;
  readonly pending: number;
}

export interface RevisionInfo {
  /** 0 is the empty gallery; each publication adds 1. */
  readonly number: number;
  /**
   * SHA-256 over model hash, decision and, for each class in the order of its label, the SHA-256 of its sorted content
   * hashes: equal content, equal hash. See revisionHash.
   */
  readonly hash: string;
  readonly parent: number | null;
  readonly time: number;
  readonly who: string;
  readonly reason: string;
  readonly classes: number;
  readonly samples: number;
}

export interface GallerySnapshot {
  readonly gallery: string;
  readonly revision: RevisionInfo;
  readonly model: string;
  readonly modelHash: string;
  readonly dim: number;
  readonly decision: DecisionSpec;
  /** It was stored by a Protoline before the predictive Gaussian, and is kept as it was; see `currentDecision`. */
  readonly decisionIsOlder: boolean;
  /** In the order of enrollment. */
  readonly samples: readonly Sample[];
}

export interface RevisionDiff {
  readonly from: number;
  readonly to: number;
  readonly added: readonly { readonly id: string; readonly label: string }[];
  readonly removed: readonly { readonly id: string; readonly label: string }[];
  readonly relabelled: readonly { readonly id: string; readonly from: string; readonly to: string }[];
  readonly decisionChanged: boolean;
  readonly modelChanged: boolean;
}

/** Of the raw embeddings (first view of each sample) of one class in the head. */
export interface ClassStatistics {
  readonly label: string;
  readonly n: number;
  /** Σ x, shape `[dim]`. */
  readonly sum: Float64Array;
  /** Σ x², element by element, shape `[dim]`. */
  readonly sumOfSquares: Float64Array;
}

export const apiScopes = ["recognize", "read", "enroll", "edit", "admin"] as const;
export type ApiScope = (typeof apiScopes)[number];

export interface ApiKeyRecord {
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the key, hex; the key itself is shown once and never kept. */
  readonly hash: string;
  readonly scopes: readonly ApiScope[];
  readonly created: number;
}
