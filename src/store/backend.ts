import type { DecisionSpec } from "../fewshot/types.ts";
import type {
  ApiKeyRecord,
  ClassStatistics,
  KeptImage,
  RefreshPolicy,
  RevisionInfo,
  Sample,
} from "./store.ts";

/**
 * What a driver has to bring: transactions over a few plain tables. All rules (duplicates, conflicts, hashes,
 * statistics, refresh policies) live above it in createStore, so that drivers cannot differ in them.
 *
 * Nothing but its tables is awaited in a transaction's work: IndexedDB would end the transaction.
 *
 * Galleries are addressed by the number that insertGallery gave them, samples by their number `seq` in the gallery:
 * 1, 2, … in the order of enrollment, never used twice.
 */
export interface Backend {
  readonly driver: string;
  /** A consistent view of one moment. `work` may be called again where a driver finds that it was not one. */
  read<T>(work: (tables: Tables) => Promise<T>): Promise<T>;
  /** Atomic and alone: all that `work` wrote is durable when this resolves; nothing of it remains when it rejects. */
  write<T>(work: (tables: Tables) => Promise<T>): Promise<T>;
  /**
   * Calls `listener` with the name of each gallery that a commit wrote to or removed, by whatever process, within
   * milliseconds; with `null` at the beginning and after an interruption, when some may have been missed. Returns what
   * ends it. Left out where a database tells nothing by itself.
   */
  subscribe?(listener: (gallery: string | null) => void): () => void;
  close(): Promise<void>;
}

/** A driver answers at once or by a promise, as its database does. */
export type Awaitable<T> = T | Promise<T>;

export interface Tables {
  gallery(name: string): Awaitable<GalleryRow | null>;
  /** Sorted by name. */
  galleries(): Awaitable<readonly GalleryRow[]>;
  insertGallery(row: Omit<GalleryRow, "id">): Awaitable<number>;
  updateGallery(row: GalleryRow): Awaitable<void>;
  /** With everything in it. */
  deleteGallery(gallery: number): Awaitable<void>;

  embeddingSet(gallery: number, set: number): Awaitable<EmbeddingSet>;
  insertEmbeddingSet(gallery: number, row: EmbeddingSet): Awaitable<void>;

  revision(gallery: number, revision: number): Awaitable<RevisionRow | null>;
  /** Newest first. */
  revisions(gallery: number, limit: number): Awaitable<readonly RevisionInfo[]>;
  insertRevision(gallery: number, row: RevisionRow): Awaitable<void>;

  sample(gallery: number, seq: number): Awaitable<SampleRow | null>;
  /** A new sample, pending under `label`. */
  insertSample(gallery: number, row: SampleRow, label: string): Awaitable<void>;
  insertEmbeddings(
    gallery: number,
    set: number,
    seq: number,
    views: readonly Float32Array[],
  ): Awaitable<void>;
  /** First views, in the order of `seqs`. */
  firstViews(gallery: number, set: number, seqs: readonly number[]): Awaitable<readonly Float32Array[]>;
  image(gallery: number, contentHash: string): Awaitable<KeptImage | null>;
  /** The first picture of a content stays, except that a whole one takes the place of a thumbnail. */
  keepImage(gallery: number, contentHash: string, image: KeptImage): Awaitable<void>;
  /** Classes of the head and of pending samples that hold these contents. */
  holders(gallery: number, contentHashes: readonly string[]): Awaitable<readonly Holder[]>;

  /** Sorted by seq. */
  pending(gallery: number): Awaitable<readonly Member[]>;
  countPending(gallery: number): Awaitable<number>;
  relabelPending(gallery: number, seq: number, label: string): Awaitable<void>;
  /** The samples stay, no longer pending: they are being published. */
  clearPending(gallery: number): Awaitable<void>;
  /** Forgets pending samples together with their embeddings and pictures. */
  dropPending(gallery: number, seqs: readonly number[]): Awaitable<void>;

  /** The samples of a revision, sorted by seq. */
  members(gallery: number, revision: number): Awaitable<readonly Member[]>;
  /** The samples of one class as written last (in a commit under way: of the coming revision), sorted by seq. */
  classMembers(gallery: number, label: string): Awaitable<readonly Member[]>;
  /** Members with all that belongs to them, sorted by seq. */
  samples(gallery: number, revision: number, set: number): Awaitable<readonly FullSample[]>;
  /** The sample is in the class from this revision on. */
  openMember(gallery: number, seq: number, label: string, revision: number): Awaitable<void>;
  /** The sample is in its class no longer, from this revision on. */
  closeMember(gallery: number, seq: number, revision: number): Awaitable<void>;

  /** The classes of the head. */
  classes(gallery: number): Awaitable<readonly ClassRow[]>;
  /** Sorted by label as JavaScript sorts; of all classes or of one. */
  statistics(gallery: number, label?: string): Awaitable<readonly ClassStatistics[]>;
  putClass(gallery: number, statistics: ClassStatistics, hash: string): Awaitable<void>;
  deleteClass(gallery: number, label: string): Awaitable<void>;

  /** Sorted by id. */
  apiKeys(): Awaitable<readonly ApiKeyRecord[]>;
  putApiKey(key: ApiKeyRecord): Awaitable<void>;
  removeApiKey(id: string): Awaitable<boolean>;
}

export interface GalleryRow {
  readonly id: number;
  readonly name: string;
  readonly refresh: RefreshPolicy;
  /** Number of the newest revision. */
  readonly head: number;
  /** How many samples and embedding sets there ever were. */
  readonly seqs: number;
  readonly sets: number;
}

/** Embeddings of one encoder and one choice of views; replaceEmbeddings begins another. */
export interface EmbeddingSet {
  readonly number: number;
  readonly model: string;
  readonly modelHash: string;
  readonly dim: number;
}

export interface RevisionRow {
  readonly info: RevisionInfo;
  readonly decision: DecisionSpec;
  readonly set: number;
}

export interface SampleRow {
  readonly seq: number;
  readonly contentHash: string;
  readonly origin: string;
  readonly time: number;
  readonly who: string;
}

export type FullSample = SampleRow & Pick<Sample, "label" | "embeddings">;

export interface Member {
  readonly seq: number;
  readonly label: string;
  readonly contentHash: string;
}

export interface Holder {
  readonly contentHash: string;
  readonly label: string;
}

export interface ClassRow {
  readonly label: string;
  readonly n: number;
  /** See classHash. */
  readonly hash: string;
}

/** Runs tasks one after the other, for drivers with a single connection. */
export function createQueue(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const next = last.then(task, task);
    last = next;
    return next;
  };
}
