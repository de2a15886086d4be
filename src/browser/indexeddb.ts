import { ProtolineError, quote } from "../core/index.ts";
import {
  type Backend,
  byLabel,
  type ClassRow,
  type ClassStatistics,
  type FullSample,
  type KeptImage,
  type Member,
  type Tables,
} from "../store/pure.ts";
import { type Rows, rowsOf } from "./rows.ts";

/** Layout of the database; a change of it needs a step in `onupgradeneeded`. */
const version = 1;

/** Object stores and what their keys are made of; all but the first and the last begin with the gallery's number. */
const layout = {
  galleries: { keyPath: "id", autoIncrement: true },
  sets: { keyPath: ["gallery", "number"] },
  revisions: { keyPath: ["gallery", "number"] },
  samples: { keyPath: ["gallery", "seq"] },
  embeddings: { keyPath: ["gallery", "set", "seq"] },
  images: { keyPath: ["gallery", "contentHash"] },
  pending: { keyPath: ["gallery", "seq"] },
  /** Intervals of revisions, closed ones too; the head's alone are in `current`. */
  members: { keyPath: ["gallery", "seq", "from"] },
  current: { keyPath: ["gallery", "seq"] },
  classes: { keyPath: ["gallery", "label"] },
  keys: { keyPath: "id" },
} as const satisfies Record<string, IDBObjectStoreParameters>;

export type TableName = keyof typeof layout;
const tableNames = Object.keys(layout) as TableName[];
const ofGallery = tableNames.filter((name) => name !== "galleries" && name !== "keys");

const indexes: readonly { on: TableName; name: string; keyPath: string[]; unique: boolean }[] = [
  { on: "galleries", name: "name", keyPath: ["name"], unique: true },
  { on: "samples", name: "content", keyPath: ["gallery", "contentHash"], unique: false },
  { on: "pending", name: "content", keyPath: ["gallery", "contentHash"], unique: false },
  { on: "current", name: "content", keyPath: ["gallery", "contentHash"], unique: false },
  { on: "current", name: "label", keyPath: ["gallery", "label"], unique: false },
];

interface Membership {
  readonly gallery: number;
  readonly seq: number;
  readonly label: string;
  readonly contentHash: string;
  readonly from: number;
  readonly to: number | null;
}

interface ClassEntry {
  readonly gallery: number;
  readonly label: string;
  readonly row: ClassRow;
  readonly statistics: ClassStatistics;
}

/**
 * Galleries in the browser's IndexedDB: they stay when the page is closed, and several pages of one origin may use them
 * at once. A change is one transaction of durability `strict`, which is on the disk when it is acknowledged.
 *
 * @param name of the database. Throws STORE_BROKEN, STORE_NEWER; later STORE_FULL where the browser gives no more space.
 */
export async function openIndexedDb(name = "protoline"): Promise<Backend> {
  const database = await openDatabase(name);

  async function transact<T>(
    mode: "readonly" | "readwrite",
    work: (tables: Tables) => Promise<T>,
  ): Promise<T> {
    let transaction: IDBTransaction;
    try {
      transaction = database.transaction(tableNames, mode, { durability: "strict" });
    } catch (error) {
      throw translate(error, name);
    }
    const ended = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new DOMException("aborted", "AbortError"));
    });
    // Awaited below; until then a failure must not count as unhandled.
    ended.catch(() => undefined);
    try {
      const result = await work(tablesOf((table) => rowsOf(transaction.objectStore(table))));
      await ended;
      return result;
    } catch (error) {
      // Aborts by itself where a request failed.
      try {
        transaction.abort();
      } catch {}
      await ended.catch(() => undefined);
      throw translate(error, name);
    }
  }

  return {
    driver: "indexeddb",
    read: (work) => transact("readonly", work),
    write: (work) => transact("readwrite", work),
    async close() {
      database.close();
    },
  };
}

/** Nothing but these requests is awaited inside a transaction: it would end by itself. */
function tablesOf(table: (name: TableName) => Rows): Tables {
  const bySeq = <T extends { readonly seq: number }>(rows: T[]): T[] => rows.sort((a, b) => a.seq - b.seq);
  const member = ({ seq, label, contentHash }: Member): Member => ({ seq, label, contentHash });
  const membersAt = async (gallery: number, revision: number): Promise<Member[]> =>
    bySeq(
      (await table("members").within<Membership>([gallery]))
        .filter(({ from, to }) => from <= revision && (to === null || revision < to))
        .map(member),
    );

  return {
    gallery: (name) => table("galleries").first([name], "name"),
    galleries: async () =>
      (await table("galleries").within<{ name: string }>([])).sort((a, b) =>
        a.name < b.name ? -1 : 1,
      ) as never,
    insertGallery: async (row) => (await table("galleries").put(row)) as number,
    updateGallery: async (row) => void (await table("galleries").put(row)),
    async deleteGallery(gallery) {
      await table("galleries").remove(gallery);
      for (const name of ofGallery) await table(name).removeWithin([gallery]);
    },

    async embeddingSet(gallery, number) {
      const { gallery: _, ...set } = (await table("sets").get<{ gallery: number }>([gallery, number]))!;
      return set as never;
    },
    insertEmbeddingSet: async (gallery, row) => void (await table("sets").put({ gallery, ...row })),

    async revision(gallery, number) {
      const found = await table("revisions").get<{ row: never }>([gallery, number]);
      return found ? found.row : null;
    },
    revisions: async (gallery, limit) =>
      (await table("revisions").within<{ row: { info: never } }>([gallery]))
        .map(({ row }) => row.info)
        .reverse()
        .slice(0, limit),
    insertRevision: async (gallery, row) =>
      void (await table("revisions").put({ gallery, number: row.info.number, row })),

    async sample(gallery, seq) {
      const found = await table("samples").get<{ gallery: number }>([gallery, seq]);
      if (!found) return null;
      const { gallery: _, ...sample } = found;
      return sample as never;
    },
    async insertSample(gallery, row, label) {
      await table("samples").put({ gallery, ...row });
      await table("pending").put({ gallery, seq: row.seq, label, contentHash: row.contentHash });
    },
    insertEmbeddings: async (gallery, set, seq, views) =>
      void (await table("embeddings").put({ gallery, set, seq, views })),
    async firstViews(gallery, set, seqs) {
      const all = await Promise.all(
        seqs.map((seq) => table("embeddings").get<{ views: Float32Array[] }>([gallery, set, seq])),
      );
      return all.map((found) => found!.views[0]!);
    },
    async image(gallery, contentHash) {
      const found = await table("images").get<{ image: KeptImage }>([gallery, contentHash]);
      return found ? found.image : null;
    },
    async keepImage(gallery, contentHash, image) {
      const there = await table("images").get<{ image: KeptImage }>([gallery, contentHash]);
      if (!there || (image.whole && !there.image.whole))
        await table("images").put({
          gallery,
          contentHash,
          // Copied: a view into a larger buffer would be kept with all of it.
          image: { ...image, bytes: Uint8Array.from(image.bytes) },
        });
    },
    async holders(gallery, contentHashes) {
      const found = await Promise.all(
        contentHashes.flatMap((contentHash) =>
          (["current", "pending"] as const).map((name) =>
            table(name).all<Member>([gallery, contentHash], "content"),
          ),
        ),
      );
      return found.flat().map(({ contentHash, label }) => ({ contentHash, label }));
    },

    pending: async (gallery) => (await table("pending").within<Member>([gallery])).map(member),
    countPending: (gallery) => table("pending").count([gallery]),
    async relabelPending(gallery, seq, label) {
      const found = await table("pending").get<Member>([gallery, seq]);
      await table("pending").put({ ...found, label });
    },
    clearPending: (gallery) => table("pending").removeWithin([gallery]),
    async dropPending(gallery, seqs) {
      for (const seq of seqs) {
        const sample = await table("samples").get<Member>([gallery, seq]);
        await table("pending").remove([gallery, seq]);
        await table("samples").remove([gallery, seq]);
        const sets = await table("sets").within<{ number: number }>([gallery]);
        for (const { number } of sets) await table("embeddings").remove([gallery, number, seq]);
        const content: [number, string] = [gallery, sample!.contentHash];
        if ((await table("samples").first(content, "content")) === null)
          await table("images").remove(content);
      }
    },

    members: membersAt,
    classMembers: async (gallery, label) =>
      bySeq((await table("current").all<Member>([gallery, label], "label")).map(member)),
    async samples(gallery, revision, set) {
      const members = await membersAt(gallery, revision);
      return Promise.all(
        members.map(async ({ seq, label }): Promise<FullSample> => {
          const [sample, embeddings] = await Promise.all([
            table("samples").get<FullSample & { gallery: number }>([gallery, seq]),
            table("embeddings").get<{ views: Float32Array[] }>([gallery, set, seq]),
          ]);
          const { gallery: _, ...row } = sample!;
          return { ...row, label, embeddings: embeddings!.views };
        }),
      );
    },
    async openMember(gallery, seq, label, from) {
      const { contentHash } = (await table("samples").get<Member>([gallery, seq]))!;
      const membership: Membership = { gallery, seq, label, contentHash, from, to: null };
      await table("members").put(membership);
      await table("current").put(membership);
    },
    async closeMember(gallery, seq, to) {
      const membership = await table("current").get<Membership>([gallery, seq]);
      await table("members").put({ ...membership, to });
      await table("current").remove([gallery, seq]);
    },

    classes: async (gallery) => (await table("classes").within<ClassEntry>([gallery])).map(({ row }) => row),
    async statistics(gallery, label) {
      const all = await table("classes").within<ClassEntry>(
        label === undefined ? [gallery] : [gallery, label],
      );
      return all.map(({ statistics }) => statistics).sort(byLabel);
    },
    putClass: async (gallery, statistics, hash) =>
      void (await table("classes").put({
        gallery,
        label: statistics.label,
        row: { label: statistics.label, n: statistics.n, hash },
        statistics,
      })),
    deleteClass: (gallery, label) => table("classes").remove([gallery, label]),

    apiKeys: () => table("keys").within([]),
    putApiKey: async (key) => void (await table("keys").put(key)),
    async removeApiKey(id) {
      const there = (await table("keys").get(id)) !== undefined;
      await table("keys").remove(id);
      return there;
    },
  };
}

function openDatabase(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(translate(error, name));
    let request: IDBOpenDBRequest;
    try {
      request = indexedDB.open(name, version);
    } catch (error) {
      return fail(error);
    }
    request.onupgradeneeded = () => {
      const database = request.result;
      for (const table of tableNames)
        database.createObjectStore(table, layout[table] as IDBObjectStoreParameters);
      for (const { on, name: index, keyPath, unique } of indexes)
        request.transaction!.objectStore(on).createIndex(index, keyPath, { unique });
    };
    request.onerror = () => fail(request.error);
    request.onsuccess = () => {
      const database = request.result;
      // Another page wants a newer layout: this one must not stand in its way.
      database.onversionchange = () => database.close();
      resolve(database);
    };
  });
}

/** What IndexedDB says, as a coded error; what is no error of it comes back as it is. */
function translate(error: unknown, name: string): unknown {
  if (!(error instanceof DOMException)) return error;
  const got = quote(`${error.name}: ${error.message}`, 200).slice(1, -1);
  if (error.name === "QuotaExceededError")
    return new ProtolineError("STORE_FULL", {
      expected: `space for the database ${quote(name)} of this page`,
      got,
      todo: "Free space on the disk, or export and remove a gallery; nothing that was acknowledged is lost.",
      cause: error,
    });
  if (error.name === "VersionError")
    return new ProtolineError("STORE_NEWER", {
      expected: `a database ${quote(name)} of layout ${version}`,
      got,
      todo: "Load the newest version of this page.",
      cause: error,
    });
  return new ProtolineError("STORE_BROKEN", {
    expected: `the database ${quote(name)} of this page, open and readable`,
    got,
    todo: "Reload the page. A private window, or a setting that forbids sites to keep data, has no such database.",
    cause: error,
  });
}
