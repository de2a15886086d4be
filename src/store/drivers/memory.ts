import { createPace } from "../../core/index.ts";
import {
  type Backend,
  type ClassRow,
  createQueue,
  type EmbeddingSet,
  type GalleryRow,
  type Holder,
  type Member,
  type RevisionRow,
  type SampleRow,
  type Tables,
} from "../backend.ts";
import { byLabel } from "../hash.ts";
import type { ApiKeyRecord, ClassStatistics, KeptImage } from "../store.ts";

interface Membership {
  readonly seq: number;
  readonly label: string;
  readonly from: number;
  readonly to: number | null;
}

interface Stored {
  readonly sets: Map<number, EmbeddingSet>;
  readonly revisions: Map<number, RevisionRow>;
  readonly samples: Map<number, SampleRow>;
  /** By `set seq`. */
  readonly embeddings: Map<string, readonly Float32Array[]>;
  readonly images: Map<string, KeptImage>;
  readonly pending: Map<number, string>;
  /** By `seq from`. */
  readonly members: Map<string, Membership>;
  /** The memberships of the head, by seq. */
  readonly current: Map<number, Membership>;
  readonly classes: Map<string, { readonly row: ClassRow; readonly statistics: ClassStatistics }>;
}

/** Everything in this process's memory; gone when the store is closed. */
export function openMemory(): Backend {
  const galleries = new Map<number, GalleryRow>();
  const stored = new Map<number, Stored>();
  const keys = new Map<string, ApiKeyRecord>();
  const queue = createQueue();
  /** Frames are answered on this thread meanwhile: awaited in what is called for a whole gallery. */
  const pace = createPace();
  let lastId = 0;
  /** What undoes the writes of the transaction that runs, oldest first. */
  let undo: (() => void)[] = [];

  function put<K, V>(map: Map<K, V>, key: K, value: V): void {
    const before = map.get(key);
    undo.push(() => (before === undefined ? map.delete(key) : map.set(key, before)));
    map.set(key, value);
  }
  function drop<K, V>(map: Map<K, V>, key: K): boolean {
    const before = map.get(key);
    if (before !== undefined) undo.push(() => map.set(key, before));
    return map.delete(key);
  }
  const of = (gallery: number): Stored => stored.get(gallery)!;
  const bySeq = <T extends { readonly seq: number }>(rows: T[]): T[] => rows.sort((a, b) => a.seq - b.seq);

  const tables: Tables = {
    gallery: (name) => [...galleries.values()].find((row) => row.name === name) ?? null,
    galleries: () => [...galleries.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    insertGallery(row) {
      const id = ++lastId;
      put(galleries, id, { ...row, id });
      put(stored, id, {
        sets: new Map(),
        revisions: new Map(),
        samples: new Map(),
        embeddings: new Map(),
        images: new Map(),
        pending: new Map(),
        members: new Map(),
        current: new Map(),
        classes: new Map(),
      });
      return id;
    },
    updateGallery: (row) => put(galleries, row.id, row),
    deleteGallery(gallery) {
      drop(galleries, gallery);
      drop(stored, gallery);
    },

    embeddingSet: (gallery, set) => of(gallery).sets.get(set)!,
    insertEmbeddingSet: (gallery, row) => put(of(gallery).sets, row.number, row),

    revision: (gallery, revision) => of(gallery).revisions.get(revision) ?? null,
    revisions: (gallery, limit) =>
      [...of(gallery).revisions.values()]
        .map(({ info }) => info)
        .reverse()
        .slice(0, limit),
    insertRevision: (gallery, row) => put(of(gallery).revisions, row.info.number, row),

    sample: (gallery, seq) => of(gallery).samples.get(seq) ?? null,
    insertSample(gallery, row, label) {
      put(of(gallery).samples, row.seq, row);
      put(of(gallery).pending, row.seq, label);
    },
    async insertEmbeddings(gallery, set, seq, views) {
      await pace();
      put(
        of(gallery).embeddings,
        `${set} ${seq}`,
        views.map((view) => view.slice()),
      );
    },
    firstViews: (gallery, set, seqs) => seqs.map((seq) => of(gallery).embeddings.get(`${set} ${seq}`)![0]!),
    image(gallery, contentHash) {
      const image = of(gallery).images.get(contentHash);
      return image ? { ...image, bytes: image.bytes.slice() } : null;
    },
    keepImage(gallery, contentHash, image) {
      const { images } = of(gallery);
      const there = images.get(contentHash);
      if (!there || (image.whole && !there.whole))
        put(images, contentHash, { ...image, bytes: Uint8Array.from(image.bytes) });
    },
    holders(gallery, contentHashes) {
      const { samples, current, pending } = of(gallery);
      const wanted = new Set(contentHashes);
      const holders: Holder[] = [];
      const look = (seq: number, label: string): void => {
        const { contentHash } = samples.get(seq)!;
        if (wanted.has(contentHash)) holders.push({ contentHash, label });
      };
      for (const { seq, label } of current.values()) look(seq, label);
      for (const [seq, label] of pending) look(seq, label);
      return holders;
    },

    pending(gallery) {
      const { samples, pending } = of(gallery);
      return bySeq(
        [...pending].map(([seq, label]) => ({ seq, label, contentHash: samples.get(seq)!.contentHash })),
      );
    },
    countPending: (gallery) => of(gallery).pending.size,
    relabelPending: (gallery, seq, label) => put(of(gallery).pending, seq, label),
    clearPending(gallery) {
      const { pending } = of(gallery);
      for (const seq of [...pending.keys()]) drop(pending, seq);
    },
    dropPending(gallery, seqs) {
      const { samples, pending, embeddings, images } = of(gallery);
      for (const seq of seqs) {
        const { contentHash } = samples.get(seq)!;
        drop(pending, seq);
        drop(samples, seq);
        for (const key of [...embeddings.keys()].filter((key) => key.endsWith(` ${seq}`)))
          drop(embeddings, key);
        if (![...samples.values()].some((row) => row.contentHash === contentHash)) drop(images, contentHash);
      }
    },

    members(gallery, revision) {
      const { samples, members } = of(gallery);
      const rows: Member[] = [];
      for (const { seq, label, from, to } of members.values())
        if (from <= revision && (to === null || revision < to))
          rows.push({ seq, label, contentHash: samples.get(seq)!.contentHash });
      return bySeq(rows);
    },
    async classMembers(gallery, label) {
      await pace();
      const { samples, current } = of(gallery);
      const rows: Member[] = [];
      for (const { seq, label: its } of current.values())
        if (its === label) rows.push({ seq, label, contentHash: samples.get(seq)!.contentHash });
      return bySeq(rows);
    },
    async samples(gallery, revision, set) {
      const { samples, embeddings } = of(gallery);
      return (await tables.members(gallery, revision)).map(({ seq, label }) => ({
        ...samples.get(seq)!,
        label,
        embeddings: embeddings.get(`${set} ${seq}`)!.map((view) => view.slice()),
      }));
    },
    openMember(gallery, seq, label, from) {
      const membership = { seq, label, from, to: null };
      put(of(gallery).members, `${seq} ${from}`, membership);
      put(of(gallery).current, seq, membership);
    },
    closeMember(gallery, seq, to) {
      const { members, current } = of(gallery);
      const membership = current.get(seq)!;
      put(members, `${seq} ${membership.from}`, { ...membership, to });
      drop(current, seq);
    },

    classes: (gallery) => [...of(gallery).classes.values()].map(({ row }) => row),
    statistics(gallery, label) {
      const all = [...of(gallery).classes.values()].map(({ statistics }) => statistics);
      return all
        .filter((statistics) => label === undefined || statistics.label === label)
        .sort(byLabel)
        .map((one) => ({ ...one, sum: one.sum.slice(), sumOfSquares: one.sumOfSquares.slice() }));
    },
    putClass: (gallery, statistics, hash) =>
      put(of(gallery).classes, statistics.label, {
        row: { label: statistics.label, n: statistics.n, hash },
        statistics,
      }),
    deleteClass: (gallery, label) => void drop(of(gallery).classes, label),

    apiKeys: () => [...keys.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    putApiKey: (key) => put(keys, key.id, key),
    removeApiKey: (id) => drop(keys, id),
  };

  return {
    driver: "memory",
    read: (work) => queue(() => work(tables)),
    write: (work) =>
      queue(async () => {
        try {
          return await work(tables);
        } catch (error) {
          for (const step of undo.reverse()) step();
          throw error;
        } finally {
          undo = [];
        }
      }),
    async close() {
      galleries.clear();
      stored.clear();
      keys.clear();
    },
  };
}
