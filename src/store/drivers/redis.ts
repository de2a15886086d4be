import { ProtolineError, quote } from "../../core/index.ts";
import { type ServerAddress, serverAddress } from "../address.ts";
import {
  type Backend,
  createQueue,
  type EmbeddingSet,
  type GalleryRow,
  type Member,
  type RevisionRow,
  type SampleRow,
  type Tables,
} from "../backend.ts";
import { byLabel } from "../hash.ts";
import type { ApiKeyRecord, ClassStatistics } from "../store.ts";
import { bytesOfSums, bytesOfViews, sumsOfBytes, viewsOfBytes } from "./bytes.ts";
import { connect } from "./redis-connection.ts";
import { type Hashes, openHashes } from "./redis-hashes.ts";

export interface RedisOptions {
  /** How long a change waits for one of another process, in milliseconds. Default 5000. */
  readonly busyMs?: number;
}

/** How often a reader whom changes overtake begins again before he locks them out. */
const patience = 3;

/**
 * Keys of a Redis server that begin with a prefix; any number of processes may share them. `address` is
 * `redis://USER:PASSWORD@HOST:PORT/NUMBER`, `rediss:` over TLS, with `?prefix=NAME:` besides, default `protoline:`.
 *
 * Changes go one after the other under a lock, are gathered here, and done by one script; a reader who sees that a change
 * was made meanwhile reads again. How durable a change is when it is acknowledged depends on the server: see
 * docs/stores.md.
 */
export async function openRedis(address: string, { busyMs = 5000 }: RedisOptions = {}): Promise<Backend> {
  const at = serverAddress(address, {
    name: "prefix",
    fallback: "protoline:",
    pattern: /^[A-Za-z0-9_.:-]{1,64}$/,
    rule: "1 to 64 letters, digits, dots, colons, underscores or hyphens",
  });
  const connection = await connect(at, busyMs);
  const queue = createQueue();
  const channel = `${at.part}news`;
  const listeners = new Set<(gallery: string | null) => void>();
  let listening = false;

  async function lookOnce<T>(
    work: (tables: Tables) => Promise<T>,
  ): Promise<{ readonly whole: boolean; readonly result: () => T }> {
    const before = await connection.clock();
    let result: () => T;
    try {
      const value = await work(createTables(openHashes(connection.send).hashes, at, () => undefined));
      result = () => value;
    } catch (error) {
      result = () => {
        throw error;
      };
    }
    return { whole: (await connection.clock()) === before, result };
  }

  return {
    driver: "redis",
    async read(work) {
      for (let i = 0; i < patience; i++) {
        const { whole, result } = await lookOnce(work);
        if (whole) return result();
      }
      return queue(() =>
        connection.locked(() => work(createTables(openHashes(connection.send).hashes, at, () => undefined))),
      );
    },
    write: (work) =>
      queue(() =>
        connection.locked(async ({ commit }) => {
          const { hashes, commands } = openHashes(connection.send);
          const touched = new Set<string>();
          const result = await work(createTables(hashes, at, (gallery) => touched.add(gallery)));
          const news = [...touched].map((gallery) => ["PUBLISH", channel, gallery] as const);
          await commit([...commands(), ...news]);
          return result;
        }),
      ),
    subscribe(listener) {
      listeners.add(listener);
      if (!listening)
        connection.listen(channel, (gallery) => {
          for (const one of listeners) one(gallery);
        });
      listening = true;
      return () => void listeners.delete(listener);
    },
    close: () =>
      queue(async () => {
        listeners.clear();
        connection.close();
      }),
  };
}

/**
 * The hashes and their fields:
 *
 * | key | field | value |
 * | --- | --- | --- |
 * | galleries | name | gallery |
 * | ids | last | number of the newest gallery |
 * | keys | id | API key |
 * | G:sets | number | embedding set |
 * | G:revisions | number | revision with its decision |
 * | G:samples | seq | sample |
 * | G:contents | content hash | seqs of the samples that have it |
 * | G:embeddings:SET | seq | float32 `[views, dim]` |
 * | G:images | content hash | type and whole as JSON, a line break, the bytes |
 * | G:pending | seq | label |
 * | G:members | seq and since | label and until |
 * | G:current | seq | label and since: the head's members |
 * | G:of:LABEL | seq | content hash: the same by class |
 * | G:classes | label | n and hash |
 * | G:sums | label | float64 `[2, dim]`: sum, sum of squares |
 */
function createTables(
  hashes: Hashes,
  { shown, part }: ServerAddress,
  touch: (gallery: string) => void,
): Tables {
  const of = (gallery: number, what: string): string => `${part}${gallery}:${what}`;
  const [galleries, ids, keys] = [`${part}galleries`, `${part}ids`, `${part}keys`];
  const bySeq = <T extends { readonly seq: number }>(rows: T[]): T[] => rows.sort((a, b) => a.seq - b.seq);

  function must<T>(value: T | null, what: string): T {
    if (value !== null) return value;
    throw new ProtolineError("STORE_BROKEN", {
      expected: `whole ${what} at ${quote(shown, 200)}, prefix ${quote(part)}`,
      got: "a value that is damaged or missing",
      todo: "Bring the server's data back from a backup.",
    });
  }
  function parse<T>(bytes: Buffer | null, what: string): T {
    try {
      return JSON.parse(String(must(bytes, what))) as T;
    } catch {
      return must<T>(null, what);
    }
  }
  const put = (key: string, field: string | number, value: unknown): void =>
    hashes.set(key, field, JSON.stringify(value));

  const setOf = async (gallery: number, set: number): Promise<EmbeddingSet> =>
    parse(await hashes.get(of(gallery, "sets"), set), "embedding sets");
  const viewsOf = async (
    gallery: number,
    set: number,
    seqs: readonly number[],
  ): Promise<Float32Array[][]> => {
    const { dim } = await setOf(gallery, set);
    const found = await hashes.many(of(gallery, `embeddings:${set}`), seqs);
    return found.map((bytes) => must(bytes && viewsOfBytes(bytes, dim), "embeddings"));
  };
  const rowsOf = async (gallery: number, seqs: readonly number[]): Promise<SampleRow[]> =>
    (await hashes.many(of(gallery, "samples"), seqs)).map((bytes) => parse(bytes, "samples"));
  /** Members with what is known of them: the sample's row. */
  const withRows = async (gallery: number, members: { readonly seq: number; readonly label: string }[]) => {
    const rows = await rowsOf(
      gallery,
      bySeq(members).map(({ seq }) => seq),
    );
    return members.map(({ label }, i) => ({ ...rows[i]!, label }));
  };
  const membersOf = async (gallery: number, revision: number) =>
    withRows(
      gallery,
      [...(await hashes.all(of(gallery, "members")))].flatMap(([field, bytes]) => {
        const [seq, since] = field.split(" ").map(Number) as [number, number];
        const [label, until] = parse<[string, number | null]>(bytes, "members");
        return since <= revision && (until === null || revision < until) ? [{ seq, label }] : [];
      }),
    );
  const plain = ({ seq, label, contentHash }: Member): Member => ({ seq, label, contentHash });
  const seqsWith = async (gallery: number, contentHash: string): Promise<number[]> => {
    const bytes = await hashes.get(of(gallery, "contents"), contentHash);
    return bytes ? parse(bytes, "contents") : [];
  };

  return {
    async gallery(name) {
      const bytes = await hashes.get(galleries, name);
      return bytes && parse<GalleryRow>(bytes, "galleries");
    },
    galleries: async () =>
      [...(await hashes.all(galleries)).values()]
        .map((bytes) => parse<GalleryRow>(bytes, "galleries"))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    async insertGallery(row) {
      const id = Number((await hashes.get(ids, "last")) ?? 0) + 1;
      hashes.set(ids, "last", `${id}`);
      put(galleries, row.name, { ...row, id });
      touch(row.name);
      return id;
    },
    updateGallery(row) {
      put(galleries, row.name, row);
      touch(row.name);
    },
    async deleteGallery(gallery) {
      for (const [name, bytes] of await hashes.all(galleries))
        if (parse<GalleryRow>(bytes, "galleries").id === gallery) {
          hashes.delete(galleries, name);
          touch(name);
        }
      const sets = await hashes.fields(of(gallery, "sets"));
      const labels = await hashes.fields(of(gallery, "classes"));
      const several = [...sets.map((set) => `embeddings:${set}`), ...labels.map((label) => `of:${label}`)];
      const one = "sets revisions samples contents images pending members current classes sums".split(" ");
      for (const what of [...one, ...several]) hashes.drop(of(gallery, what));
    },

    embeddingSet: setOf,
    insertEmbeddingSet: (gallery, row) => put(of(gallery, "sets"), row.number, row),

    async revision(gallery, revision) {
      const bytes = await hashes.get(of(gallery, "revisions"), revision);
      return bytes && parse<RevisionRow>(bytes, "revisions");
    },
    async revisions(gallery, limit) {
      const numbers = (await hashes.fields(of(gallery, "revisions"))).map(Number).sort((a, b) => b - a);
      const found = await hashes.many(of(gallery, "revisions"), numbers.slice(0, limit));
      return found.map((bytes) => parse<RevisionRow>(bytes, "revisions").info);
    },
    insertRevision: (gallery, row) => put(of(gallery, "revisions"), row.info.number, row),

    async sample(gallery, seq) {
      const bytes = await hashes.get(of(gallery, "samples"), seq);
      return bytes && parse<SampleRow>(bytes, "samples");
    },
    async insertSample(gallery, row, label) {
      put(of(gallery, "samples"), row.seq, row);
      hashes.set(of(gallery, "pending"), row.seq, label);
      put(of(gallery, "contents"), row.contentHash, [...(await seqsWith(gallery, row.contentHash)), row.seq]);
    },
    insertEmbeddings: (gallery, set, seq, views) =>
      hashes.set(of(gallery, `embeddings:${set}`), seq, bytesOfViews(views)),
    firstViews: async (gallery, set, seqs) => (await viewsOf(gallery, set, seqs)).map(([first]) => first!),
    async image(gallery, contentHash) {
      const value = await hashes.get(of(gallery, "images"), contentHash);
      if (value === null) return null;
      const end = value.indexOf(10);
      const [type, whole] = parse<[string, boolean]>(value.subarray(0, end), "images");
      return { bytes: Uint8Array.from(value.subarray(end + 1)), type, whole };
    },
    async keepImage(gallery, contentHash, { bytes, type, whole }) {
      const key = of(gallery, "images");
      // The sample itself is in already; without another of its content there is no picture to look for.
      const first = (await seqsWith(gallery, contentHash)).length === 1;
      const there = first ? null : await hashes.get(key, contentHash);
      if (there) {
        const [, kept] = parse<[string, boolean]>(there.subarray(0, there.indexOf(10)), "images");
        if (kept || !whole) return;
      }
      hashes.set(key, contentHash, Buffer.concat([Buffer.from(`${JSON.stringify([type, whole])}\n`), bytes]));
    },
    async holders(gallery, contentHashes) {
      const found = await hashes.many(of(gallery, "contents"), contentHashes);
      const held = contentHashes.flatMap((contentHash, i) =>
        (found[i] ? parse<number[]>(found[i], "contents") : []).map((seq) => ({ contentHash, seq })),
      );
      const seqs = held.map(({ seq }) => seq);
      const [current, pending] = await Promise.all(
        ["current", "pending"].map((what) => hashes.many(of(gallery, what), seqs)),
      );
      return held.flatMap(({ contentHash }, i) => {
        const label = pending![i]
          ? String(pending![i])
          : current![i] && parse<[string, number]>(current![i], "members")[0];
        return label === null || label === undefined ? [] : [{ contentHash, label }];
      });
    },

    async pending(gallery) {
      const all = [...(await hashes.all(of(gallery, "pending")))];
      const members = all.map(([seq, label]) => ({ seq: Number(seq), label: String(label) }));
      return (await withRows(gallery, members)).map(plain);
    },
    countPending: async (gallery) => (await hashes.fields(of(gallery, "pending"))).length,
    relabelPending: (gallery, seq, label) => hashes.set(of(gallery, "pending"), seq, label),
    clearPending: (gallery) => hashes.drop(of(gallery, "pending")),
    async dropPending(gallery, seqs) {
      const sets = seqs.length > 0 ? await hashes.fields(of(gallery, "sets")) : [];
      for (const { seq, contentHash } of await rowsOf(gallery, seqs)) {
        for (const what of ["pending", "samples", ...sets.map((set) => `embeddings:${set}`)])
          hashes.delete(of(gallery, what), seq);
        const others = (await seqsWith(gallery, contentHash)).filter((other) => other !== seq);
        if (others.length > 0) put(of(gallery, "contents"), contentHash, others);
        else for (const what of ["contents", "images"]) hashes.delete(of(gallery, what), contentHash);
      }
    },

    members: async (gallery, revision) => (await membersOf(gallery, revision)).map(plain),
    async classMembers(gallery, label) {
      const all = [...(await hashes.all(of(gallery, `of:${label}`)))];
      return bySeq(all.map(([seq, hash]) => ({ seq: Number(seq), label, contentHash: String(hash) })));
    },
    async samples(gallery, revision, set) {
      const members = await membersOf(gallery, revision);
      const views = await viewsOf(
        gallery,
        set,
        members.map(({ seq }) => seq),
      );
      return members.map((member, i) => ({ ...member, embeddings: views[i]! }));
    },
    async openMember(gallery, seq, label, since) {
      const [{ contentHash }] = (await rowsOf(gallery, [seq])) as [SampleRow];
      put(of(gallery, "members"), `${seq} ${since}`, [label, null]);
      put(of(gallery, "current"), seq, [label, since]);
      hashes.set(of(gallery, `of:${label}`), seq, contentHash);
    },
    async closeMember(gallery, seq, until) {
      const bytes = await hashes.get(of(gallery, "current"), seq);
      const [label, since] = parse<[string, number]>(bytes, "members");
      put(of(gallery, "members"), `${seq} ${since}`, [label, until]);
      hashes.delete(of(gallery, "current"), seq);
      hashes.delete(of(gallery, `of:${label}`), seq);
    },

    classes: async (gallery) =>
      [...(await hashes.all(of(gallery, "classes")))].map(([label, bytes]) => {
        const [n, hash] = parse<[number, string]>(bytes, "classes");
        return { label, n, hash };
      }),
    async statistics(gallery, label) {
      const labels = label === undefined ? await hashes.fields(of(gallery, "classes")) : [label];
      const [classes, sums] = await Promise.all(
        ["classes", "sums"].map((what) => hashes.many(of(gallery, what), labels)),
      );
      return labels
        .flatMap((label, i): ClassStatistics[] => {
          if (!classes![i]) return [];
          const both = must(sums![i] ? sumsOfBytes(sums![i]) : null, "statistics");
          const dim = both.length / 2;
          const [n] = parse<[number, string]>(classes![i], "classes");
          return [{ label, n, sum: both.slice(0, dim), sumOfSquares: both.slice(dim) }];
        })
        .sort(byLabel);
    },
    putClass(gallery, { label, n, sum, sumOfSquares }, hash) {
      put(of(gallery, "classes"), label, [n, hash]);
      hashes.set(of(gallery, "sums"), label, Buffer.concat([bytesOfSums(sum), bytesOfSums(sumOfSquares)]));
    },
    deleteClass(gallery, label) {
      for (const what of ["classes", "sums"]) hashes.delete(of(gallery, what), label);
    },

    apiKeys: async () =>
      [...(await hashes.all(keys)).values()]
        .map((bytes) => parse<ApiKeyRecord>(bytes, "API keys"))
        .sort((a, b) => (a.id < b.id ? -1 : 1)),
    putApiKey: (key) => put(keys, key.id, key),
    async removeApiKey(id) {
      const there = (await hashes.get(keys, id)) !== null;
      if (there) hashes.delete(keys, id);
      return there;
    },
  };
}
