import { createPace } from "../../core/index.ts";
import { type Backend, createQueue, type FullSample, type Tables } from "../backend.ts";
import { byLabel } from "../hash.ts";
import type { ApiScope } from "../store.ts";
import { toGallery, toMember, toRevision, toSample } from "./rows.ts";
import { type Column, type Connection, connect, patiently } from "./sqlite-connection.ts";
import { broken } from "./sqlite-errors.ts";

export interface SqliteOptions {
  /** How long a call waits for another process, in milliseconds. Default 5000. */
  readonly busyMs?: number;
  /** Largest size of the database, in pages of 8192 bytes; beyond it STORE_FULL. Default: what the disk holds. */
  readonly maxPages?: number;
}

/** An SQLite file; several processes may have it open. */
export async function openSqlite(
  path: string,
  { busyMs = 5000, maxPages }: SqliteOptions = {},
): Promise<Backend> {
  const db = await connect(path, busyMs);
  if (maxPages !== undefined) db.all(`PRAGMA max_page_count = ${maxPages}`);
  const tables = createTables(db, path);
  const queue = createQueue();
  const transaction = async <T>(begin: string, work: (tables: Tables) => Promise<T>): Promise<T> => {
    await patiently(busyMs, () => start(db, begin));
    try {
      const result = await work(tables);
      db.exec("COMMIT");
      return result;
    } catch (error) {
      // SQLite has rolled back by itself where the disk was full.
      if (db.inTransaction) db.exec("ROLLBACK");
      throw error;
    }
  };
  return {
    driver: "sqlite",
    read: (work) => queue(() => transaction("BEGIN", work)),
    write: (work) => queue(() => transaction("BEGIN IMMEDIATE", work)),
    close: () => queue(async () => db.close()),
  };
}

/** Begins, and looks: a reader takes its lock with its first look, and must take it here, where it may wait. */
function start(db: Connection, begin: string): void {
  db.exec(begin);
  try {
    db.first("SELECT 1 FROM gallery LIMIT 1");
  } catch (error) {
    if (db.inTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

const galleryColumns = "id, name, refresh, head, seqs, sets";
/** Samples of a whole gallery that are read in one go. */
const samplesAtATime = 64;
const revisionColumns = "number, hash, parent, time, who, reason, classes, samples";
const sampleColumns = "s.seq, s.content_hash, s.origin, s.time, s.who";

/**
 * `INDEXED BY` stands where the planner, which has no statistics here, would read the whole gallery instead.
 */
function createTables(db: Connection, path: string): Tables {
  // SQLite works on this thread, and frames are answered meanwhile: awaited in what is called for a whole gallery.
  const pace = createPace();
  const damaged = (what: string): Error =>
    broken(path, `whole ${what}`, "Bring the file back from a backup.", "a row that is damaged");
  function must(row: Column[] | undefined, what: string): Column[] {
    if (row === undefined) throw damaged(what);
    return row;
  }
  /** `[views, dim]` as one copy, cut into its views. */
  function views(blob: Column, dim: number): Float32Array[] {
    const all = new Float32Array(copy(blob));
    if (all.length === 0 || all.length % dim !== 0) throw damaged("embeddings");
    return Array.from({ length: all.length / dim }, (_, i) => all.subarray(i * dim, (i + 1) * dim));
  }
  function copy(blob: Column): ArrayBuffer {
    if (!(blob instanceof Uint8Array) || blob.length % 4 !== 0) throw damaged("embeddings");
    return blob.buffer.slice(blob.byteOffset, blob.byteOffset + blob.length) as ArrayBuffer;
  }
  const dimOf = (gallery: number, set: number): number =>
    Number(
      must(
        db.first("SELECT dim FROM embedding_set WHERE gallery = ? AND number = ?", gallery, set),
        "embedding sets",
      )[0],
    );

  return {
    gallery(name) {
      const row = db.first(`SELECT ${galleryColumns} FROM gallery WHERE name = ?`, name);
      return row ? toGallery(row) : null;
    },
    galleries: () => db.all(`SELECT ${galleryColumns} FROM gallery ORDER BY name`).map(toGallery),
    insertGallery({ name, refresh, head, seqs, sets }) {
      const [row] = db.all(
        "INSERT INTO gallery (name, refresh, head, seqs, sets) VALUES (?, ?, ?, ?, ?) RETURNING id",
        name,
        JSON.stringify(refresh),
        head,
        seqs,
        sets,
      );
      return Number(row![0]);
    },
    updateGallery({ id, refresh, head, seqs, sets }) {
      const sql = "UPDATE gallery SET refresh = ?, head = ?, seqs = ?, sets = ? WHERE id = ?";
      db.run(sql, JSON.stringify(refresh), head, seqs, sets, id);
    },
    deleteGallery: (gallery) => void db.run("DELETE FROM gallery WHERE id = ?", gallery),

    embeddingSet(gallery, set) {
      const sql = "SELECT number, model, model_hash, dim FROM embedding_set WHERE gallery = ? AND number = ?";
      const row = must(db.first(sql, gallery, set), "embedding sets");
      return {
        number: Number(row[0]),
        model: String(row[1]),
        modelHash: String(row[2]),
        dim: Number(row[3]),
      };
    },
    insertEmbeddingSet: (gallery, { number, model, modelHash, dim }) =>
      void db.run("INSERT INTO embedding_set VALUES (?, ?, ?, ?, ?)", gallery, number, model, modelHash, dim),

    revision(gallery, revision) {
      const sql = `SELECT ${revisionColumns}, decision, embedding_set FROM revision WHERE gallery = ? AND number = ?`;
      const row = db.first(sql, gallery, revision);
      if (row === undefined) return null;
      return { info: toRevision(row), decision: JSON.parse(String(row[8])), set: Number(row[9]) };
    },
    revisions: (gallery, limit) =>
      db
        .all(
          `SELECT ${revisionColumns} FROM revision WHERE gallery = ? ORDER BY number DESC LIMIT ?`,
          gallery,
          limit,
        )
        .map(toRevision),
    insertRevision(gallery, { info, decision, set }) {
      const { number, hash, parent, time, who, reason, classes, samples } = info;
      db.run(
        `INSERT INTO revision (gallery, ${revisionColumns}, decision, embedding_set)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ...[
          gallery,
          number,
          hash,
          parent,
          time,
          who,
          reason,
          classes,
          samples,
          JSON.stringify(decision),
          set,
        ],
      );
    },

    sample(gallery, seq) {
      const row = db.first(
        `SELECT ${sampleColumns} FROM sample s WHERE gallery = ? AND seq = ?`,
        gallery,
        seq,
      );
      return row ? toSample(row) : null;
    },
    insertSample(gallery, { seq, contentHash, origin, time, who }, label) {
      const sql =
        "INSERT INTO sample (gallery, seq, content_hash, origin, time, who, pending) VALUES (?, ?, ?, ?, ?, ?, ?)";
      db.run(sql, gallery, seq, contentHash, origin, time, who, label);
    },
    async insertEmbeddings(gallery, set, seq, vectors) {
      await pace();
      const dim = vectors[0]!.length;
      const all = new Float32Array(vectors.length * dim);
      vectors.forEach((vector, i) => {
        all.set(vector, i * dim);
      });
      const sql = "INSERT INTO embedding (gallery, embedding_set, seq, data) VALUES (?, ?, ?, ?)";
      db.run(sql, gallery, set, seq, Buffer.from(all.buffer));
    },
    firstViews(gallery, set, seqs) {
      const dim = dimOf(gallery, set);
      const sql =
        "SELECT substr(data, 1, ?) FROM embedding WHERE gallery = ? AND embedding_set = ? AND seq = ?";
      return seqs.map((seq) => {
        const [blob] = must(db.first(sql, 4 * dim, gallery, set, seq), "embeddings");
        return views(blob!, dim)[0]!;
      });
    },
    image(gallery, contentHash) {
      const sql = "SELECT bytes, type, whole FROM image WHERE gallery = ? AND content_hash = ?";
      const row = db.first(sql, gallery, contentHash);
      if (row === undefined) return null;
      return { bytes: Uint8Array.from(row[0] as Buffer), type: String(row[1]), whole: row[2] === 1 };
    },
    keepImage(gallery, contentHash, { bytes, type, whole }) {
      const sql = `INSERT INTO image (gallery, content_hash, type, whole, bytes) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET type = excluded.type, whole = excluded.whole, bytes = excluded.bytes
        WHERE excluded.whole > image.whole`;
      db.run(sql, gallery, contentHash, type, whole ? 1 : 0, bytes);
    },
    holders(gallery, contentHashes) {
      const sql = `SELECT coalesce(s.pending, m.label) AS label FROM sample s INDEXED BY sample_content
        LEFT JOIN membership m ON m.gallery = s.gallery AND m.seq = s.seq AND m.until IS NULL
        WHERE s.gallery = ? AND s.content_hash = ? AND (s.pending IS NOT NULL OR m.label IS NOT NULL)`;
      return contentHashes.flatMap((contentHash) =>
        db.all(sql, gallery, contentHash).map(([label]) => ({ contentHash, label: String(label) })),
      );
    },

    pending: (gallery) =>
      db
        .all(
          "SELECT seq, pending, content_hash FROM sample INDEXED BY sample_pending WHERE gallery = ? AND pending IS NOT NULL ORDER BY seq",
          gallery,
        )
        .map(toMember),
    countPending: (gallery) =>
      Number(
        db.first(
          "SELECT count(*) FROM sample INDEXED BY sample_pending WHERE gallery = ? AND pending IS NOT NULL",
          gallery,
        )![0],
      ),
    relabelPending: (gallery, seq, label) =>
      void db.run("UPDATE sample SET pending = ? WHERE gallery = ? AND seq = ?", label, gallery, seq),
    clearPending: (gallery) =>
      void db.run(
        "UPDATE sample INDEXED BY sample_pending SET pending = NULL WHERE gallery = ? AND pending IS NOT NULL",
        gallery,
      ),
    dropPending(gallery, seqs) {
      for (const seq of seqs) {
        const [[contentHash] = []] = db.all(
          "DELETE FROM sample WHERE gallery = ? AND seq = ? AND pending IS NOT NULL RETURNING content_hash",
          gallery,
          seq,
        );
        const sql = `DELETE FROM image WHERE gallery = ?1 AND content_hash = ?2
          AND NOT EXISTS (SELECT 1 FROM sample WHERE gallery = ?1 AND content_hash = ?2)`;
        db.run(sql, gallery, contentHash ?? null);
      }
    },

    members: (gallery, revision) =>
      db
        .all(
          `SELECT m.seq, m.label, s.content_hash FROM membership m JOIN sample s USING (gallery, seq)
          WHERE m.gallery = ?1 AND m.since <= ?2 AND (m.until IS NULL OR m.until > ?2) ORDER BY m.seq`,
          gallery,
          revision,
        )
        .map(toMember),
    async classMembers(gallery, label) {
      await pace();
      return db
        .all(
          `SELECT m.seq, m.label, s.content_hash FROM membership m INDEXED BY membership_head JOIN sample s USING (gallery, seq)
          WHERE m.gallery = ? AND m.label = ? AND m.until IS NULL ORDER BY m.seq`,
          gallery,
          label,
        )
        .map(toMember);
    },
    async samples(gallery, revision, set) {
      const dim = dimOf(gallery, set);
      const found: FullSample[] = [];
      for (;;) {
        const rows = db.all(
          `SELECT ${sampleColumns}, m.label, e.data FROM membership m JOIN sample s USING (gallery, seq)
          LEFT JOIN embedding e ON e.gallery = m.gallery AND e.embedding_set = ?3 AND e.seq = m.seq
          WHERE m.gallery = ?1 AND m.seq > ?4 AND m.since <= ?2 AND (m.until IS NULL OR m.until > ?2)
          ORDER BY m.seq LIMIT ?5`,
          ...[gallery, revision, set, found.at(-1)?.seq ?? -1, samplesAtATime],
        );
        for (const row of rows)
          found.push({ ...toSample(row), label: String(row[5]), embeddings: views(row[6]!, dim) });
        if (rows.length < samplesAtATime) return found;
        await pace();
      }
    },
    openMember: (gallery, seq, label, since) =>
      void db.run(
        "INSERT INTO membership (gallery, seq, since, label) VALUES (?, ?, ?, ?)",
        ...[gallery, seq, since, label],
      ),
    closeMember: (gallery, seq, until) =>
      void db.run(
        "UPDATE membership SET until = ? WHERE gallery = ? AND seq = ? AND until IS NULL",
        ...[until, gallery, seq],
      ),

    classes: (gallery) =>
      db
        .all("SELECT label, n, hash FROM class WHERE gallery = ?", gallery)
        .map((row) => ({ label: String(row[0]), n: Number(row[1]), hash: String(row[2]) })),
    statistics(gallery, label) {
      const sql =
        "SELECT label, n, sum, sum_of_squares FROM class WHERE gallery = ?1 AND (?2 IS NULL OR label = ?2)";
      return db
        .all(sql, gallery, label ?? null)
        .map((row) => ({
          label: String(row[0]),
          n: Number(row[1]),
          sum: new Float64Array(copy(row[2]!)),
          sumOfSquares: new Float64Array(copy(row[3]!)),
        }))
        .sort(byLabel);
    },
    putClass(gallery, { label, n, sum, sumOfSquares }, hash) {
      const sql = `INSERT INTO class (gallery, label, n, hash, sum, sum_of_squares) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET n = excluded.n, hash = excluded.hash, sum = excluded.sum,
        sum_of_squares = excluded.sum_of_squares`;
      db.run(sql, gallery, label, n, hash, bytesOf(sum), bytesOf(sumOfSquares));
    },
    deleteClass: (gallery, label) =>
      void db.run("DELETE FROM class WHERE gallery = ? AND label = ?", gallery, label),

    apiKeys: () =>
      db.all("SELECT id, name, hash, scopes, created FROM api_key ORDER BY id").map((row) => ({
        id: String(row[0]),
        name: String(row[1]),
        hash: String(row[2]),
        scopes: JSON.parse(String(row[3])) as ApiScope[],
        created: Number(row[4]),
      })),
    putApiKey: ({ id, name, hash, scopes, created }) =>
      void db.run(
        "INSERT OR REPLACE INTO api_key VALUES (?, ?, ?, ?, ?)",
        ...[id, name, hash, JSON.stringify(scopes), created],
      ),
    removeApiKey: (id) => db.run("DELETE FROM api_key WHERE id = ?", id) > 0,
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array): Uint8Array {
  return Buffer.from(buffer, byteOffset, byteLength);
}
