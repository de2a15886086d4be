import { ProtolineError, quote } from "../../core/index.ts";
import { type ServerAddress, serverAddress } from "../address.ts";
import { type Backend, createQueue, type Tables } from "../backend.ts";
import { byLabel } from "../hash.ts";
import type { ApiScope, ClassStatistics } from "../store.ts";
import { bytesOfSums, bytesOfViews, sumsOfBytes, viewsOfBytes } from "./bytes.ts";
import { type Column, connect, listen, type Statements } from "./postgres-connection.ts";
import { toGallery, toMember, toRevision, toSample } from "./rows.ts";

export interface PostgresOptions {
  /** How long a change waits for one of another process, in milliseconds. Default 5000. */
  readonly busyMs?: number;
}

/**
 * A schema of a PostgreSQL database; any number of processes may have it open. `address` as libpq has it,
 * with `?schema=NAME` besides, default `protoline`.
 *
 * Changes go one after the other, under an advisory lock of the schema; readers see one moment and wait for nobody.
 */
export async function openPostgres(
  address: string,
  { busyMs = 5000 }: PostgresOptions = {},
): Promise<Backend> {
  const at = serverAddress(address, {
    name: "schema",
    fallback: "protoline",
    pattern: /^(?!pg_)[a-z_][a-z0-9_]{0,39}$/,
    rule: "1 to 40 lower-case letters, digits or underscores, not beginning with a digit or pg_,",
  });
  const { default: library } = await import("pg");
  const connection = await connect(library, at, busyMs);
  const channel = `protoline ${at.part}`;
  const queue = createQueue();
  const listeners = new Set<(gallery: string | null) => void>();
  let listening: { close(): Promise<void> } | undefined;
  return {
    driver: "postgres",
    read: (work) =>
      connection.transaction("read", (statements) => work(createTables(statements, at, channel))),
    // One after the other here already: those who wait for the lock would else hold all connections.
    write: (work) =>
      queue(() =>
        connection.transaction("write", (statements) => work(createTables(statements, at, channel))),
      ),
    subscribe(listener) {
      listeners.add(listener);
      listening ??= listen(library, at.url, channel, (gallery) => {
        for (const one of listeners) one(gallery);
      });
      return () => void listeners.delete(listener);
    },
    async close() {
      listeners.clear();
      await listening?.close();
      await queue(() => connection.close());
    },
  };
}

const galleryColumns = "id, name, refresh, head, seqs, sets";
const revisionColumns = "number, hash, parent, time, who, reason, classes, samples";
const sampleColumns = "s.seq, s.content_hash, s.origin, s.time, s.who";

function createTables(
  { run, all, first }: Statements,
  { shown, part }: ServerAddress,
  channel: string,
): Tables {
  function must<T>(value: T | null | undefined, what: string): T {
    if (value !== null && value !== undefined) return value;
    throw new ProtolineError("STORE_BROKEN", {
      expected: `whole ${what} at ${quote(shown, 200)}, schema ${quote(part)}`,
      got: "a row that is damaged or missing",
      todo: "Bring the database back from a backup.",
    });
  }
  const views = (bytes: Column, dim: number): Float32Array[] =>
    must(viewsOfBytes(Buffer.isBuffer(bytes) ? bytes : Buffer.alloc(0), dim), "embeddings");
  const sums = (bytes: Column): Float64Array => must(sumsOfBytes(bytes as Buffer), "statistics");
  const setOf = async (gallery: number, set: number): Promise<Column[]> =>
    must(
      await first(
        "SELECT number, model, model_hash, dim FROM embedding_set WHERE gallery = $1 AND number = $2",
        gallery,
        set,
      ),
      "embedding sets",
    );
  const dimOf = async (gallery: number, set: number): Promise<number> =>
    Number((await setOf(gallery, set))[3]);
  /** Heard when the change is committed, once a gallery. */
  const tell = (gallery: string): void => run("SELECT pg_notify($1, $2)", channel, gallery);

  return {
    async gallery(name) {
      // Which a text of PostgreSQL cannot hold.
      if (name.includes("\0")) return null;
      const row = await first(`SELECT ${galleryColumns} FROM gallery WHERE name = $1`, name);
      return row ? toGallery(row) : null;
    },
    galleries: async () => (await all(`SELECT ${galleryColumns} FROM gallery ORDER BY name`)).map(toGallery),
    async insertGallery({ name, refresh, head, seqs, sets }) {
      const row = await first(
        "INSERT INTO gallery (name, refresh, head, seqs, sets) VALUES ($1, $2, $3, $4, $5) RETURNING id",
        ...[name, JSON.stringify(refresh), head, seqs, sets],
      );
      tell(name);
      return Number(row![0]);
    },
    updateGallery({ id, name, refresh, head, seqs, sets }) {
      const sql = "UPDATE gallery SET refresh = $1, head = $2, seqs = $3, sets = $4 WHERE id = $5";
      run(sql, JSON.stringify(refresh), head, seqs, sets, id);
      tell(name);
    },
    async deleteGallery(gallery) {
      const row = await first("DELETE FROM gallery WHERE id = $1 RETURNING name", gallery);
      if (row) tell(String(row[0]));
    },

    async embeddingSet(gallery, set) {
      const [number, model, modelHash, dim] = await setOf(gallery, set);
      return {
        number: Number(number),
        model: String(model),
        modelHash: String(modelHash),
        dim: Number(dim),
      };
    },
    insertEmbeddingSet: (gallery, { number, model, modelHash, dim }) =>
      run("INSERT INTO embedding_set VALUES ($1, $2, $3, $4, $5)", gallery, number, model, modelHash, dim),

    async revision(gallery, revision) {
      // A number beyond what a column holds is no revision either.
      if (revision > 0x7fffffff) return null;
      const row = await first(
        `SELECT ${revisionColumns}, decision, embedding_set FROM revision WHERE gallery = $1 AND number = $2`,
        gallery,
        revision,
      );
      if (row === undefined) return null;
      return { info: toRevision(row), decision: JSON.parse(String(row[8])), set: Number(row[9]) };
    },
    revisions: async (gallery, limit) =>
      (
        await all(
          `SELECT ${revisionColumns} FROM revision WHERE gallery = $1 ORDER BY number DESC LIMIT $2`,
          gallery,
          limit,
        )
      ).map(toRevision),
    insertRevision(gallery, { info, decision, set }) {
      const { number, hash, parent, time, who, reason, classes, samples } = info;
      run(
        `INSERT INTO revision (gallery, ${revisionColumns}, decision, embedding_set)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
        ...[gallery, number, hash, parent, time, who, reason, classes, samples],
        ...[JSON.stringify(decision), set],
      );
    },

    async sample(gallery, seq) {
      if (seq > 0x7fffffff) return null;
      const sql = `SELECT ${sampleColumns} FROM sample s WHERE gallery = $1 AND seq = $2`;
      const row = await first(sql, gallery, seq);
      return row ? toSample(row) : null;
    },
    insertSample(gallery, { seq, contentHash, origin, time, who }, label) {
      const sql =
        "INSERT INTO sample (gallery, seq, content_hash, origin, time, who, pending) VALUES ($1, $2, $3, $4, $5, $6, $7)";
      run(sql, gallery, seq, contentHash, origin, time, who, label);
    },
    insertEmbeddings: (gallery, set, seq, vectors) =>
      run("INSERT INTO embedding VALUES ($1, $2, $3, $4)", gallery, set, seq, bytesOfViews(vectors)),
    async firstViews(gallery, set, seqs) {
      const dim = await dimOf(gallery, set);
      const rows = await all(
        "SELECT seq, substr(data, 1, $4) FROM embedding WHERE gallery = $1 AND embedding_set = $2 AND seq = ANY($3)",
        ...[gallery, set, [...seqs], 4 * dim],
      );
      const bySeq = new Map(rows.map(([seq, bytes]) => [Number(seq), bytes]));
      return seqs.map((seq) => views(must(bySeq.get(seq), "embeddings"), dim)[0]!);
    },
    async image(gallery, contentHash) {
      const sql = "SELECT bytes, type, whole FROM image WHERE gallery = $1 AND content_hash = $2";
      const row = await first(sql, gallery, contentHash);
      if (row === undefined) return null;
      return { bytes: Uint8Array.from(row[0] as Buffer), type: String(row[1]), whole: row[2] === true };
    },
    keepImage(gallery, contentHash, { bytes, type, whole }) {
      const sql = `INSERT INTO image (gallery, content_hash, type, whole, bytes) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (gallery, content_hash) DO UPDATE SET type = excluded.type, whole = true, bytes = excluded.bytes
        WHERE excluded.whole AND NOT image.whole`;
      // A copy: it is sent later, when the caller may already use the bytes for something else.
      run(sql, gallery, contentHash, type, whole, Buffer.from(bytes));
    },
    async holders(gallery, contentHashes) {
      const rows = await all(
        `SELECT s.content_hash, coalesce(s.pending, m.label) FROM sample s
        LEFT JOIN membership m ON m.gallery = s.gallery AND m.seq = s.seq AND m.until IS NULL
        WHERE s.gallery = $1 AND s.content_hash = ANY($2) AND (s.pending IS NOT NULL OR m.label IS NOT NULL)`,
        gallery,
        [...contentHashes],
      );
      return rows.map(([contentHash, label]) => ({ contentHash: String(contentHash), label: String(label) }));
    },

    pending: async (gallery) =>
      (
        await all(
          "SELECT seq, pending, content_hash FROM sample WHERE gallery = $1 AND pending IS NOT NULL ORDER BY seq",
          gallery,
        )
      ).map(toMember),
    async countPending(gallery) {
      const sql = "SELECT count(*) FROM sample WHERE gallery = $1 AND pending IS NOT NULL";
      return Number((await first(sql, gallery))![0]);
    },
    relabelPending: (gallery, seq, label) =>
      run("UPDATE sample SET pending = $1 WHERE gallery = $2 AND seq = $3", label, gallery, seq),
    clearPending: (gallery) =>
      run("UPDATE sample SET pending = NULL WHERE gallery = $1 AND pending IS NOT NULL", gallery),
    async dropPending(gallery, seqs) {
      if (seqs.length === 0) return;
      const dropped = await all(
        "DELETE FROM sample WHERE gallery = $1 AND seq = ANY($2) AND pending IS NOT NULL RETURNING content_hash",
        gallery,
        [...seqs],
      );
      const sql = `DELETE FROM image i WHERE gallery = $1 AND content_hash = ANY($2)
        AND NOT EXISTS (SELECT 1 FROM sample s WHERE s.gallery = $1 AND s.content_hash = i.content_hash)`;
      run(
        sql,
        gallery,
        dropped.map(([contentHash]) => String(contentHash)),
      );
    },

    members: async (gallery, revision) =>
      (
        await all(
          `SELECT m.seq, m.label, s.content_hash FROM membership m JOIN sample s USING (gallery, seq)
          WHERE m.gallery = $1 AND m.since <= $2 AND (m.until IS NULL OR m.until > $2) ORDER BY m.seq`,
          gallery,
          revision,
        )
      ).map(toMember),
    classMembers: async (gallery, label) =>
      (
        await all(
          `SELECT m.seq, m.label, s.content_hash FROM membership m JOIN sample s USING (gallery, seq)
          WHERE m.gallery = $1 AND m.label = $2 AND m.until IS NULL ORDER BY m.seq`,
          gallery,
          label,
        )
      ).map(toMember),
    async samples(gallery, revision, set) {
      const dim = await dimOf(gallery, set);
      const rows = await all(
        `SELECT ${sampleColumns}, m.label, e.data FROM membership m JOIN sample s USING (gallery, seq)
        LEFT JOIN embedding e ON e.gallery = m.gallery AND e.embedding_set = $3 AND e.seq = m.seq
        WHERE m.gallery = $1 AND m.since <= $2 AND (m.until IS NULL OR m.until > $2) ORDER BY m.seq`,
        ...[gallery, revision, set],
      );
      return rows.map((row) => ({
        ...toSample(row),
        label: String(row[5]),
        embeddings: views(row[6]!, dim),
      }));
    },
    openMember: (gallery, seq, label, since) =>
      run(
        "INSERT INTO membership (gallery, seq, since, label) VALUES ($1, $2, $3, $4)",
        ...[gallery, seq, since, label],
      ),
    closeMember: (gallery, seq, until) =>
      run(
        "UPDATE membership SET until = $1 WHERE gallery = $2 AND seq = $3 AND until IS NULL",
        ...[until, gallery, seq],
      ),

    classes: async (gallery) =>
      (await all("SELECT label, n, hash FROM class WHERE gallery = $1", gallery)).map(([label, n, hash]) => ({
        label: String(label),
        n: Number(n),
        hash: String(hash),
      })),
    async statistics(gallery, label) {
      const columns = "SELECT label, n, sum, sum_of_squares FROM class WHERE gallery = $1";
      const rows =
        label === undefined
          ? await all(columns, gallery)
          : await all(`${columns} AND label = $2`, gallery, label);
      return rows
        .map(
          (row): ClassStatistics => ({
            label: String(row[0]),
            n: Number(row[1]),
            sum: sums(row[2]!),
            sumOfSquares: sums(row[3]!),
          }),
        )
        .sort(byLabel);
    },
    putClass(gallery, { label, n, sum, sumOfSquares }, hash) {
      const sql = `INSERT INTO class (gallery, label, n, hash, sum, sum_of_squares) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (gallery, label) DO UPDATE SET n = excluded.n, hash = excluded.hash, sum = excluded.sum,
        sum_of_squares = excluded.sum_of_squares`;
      run(sql, gallery, label, n, hash, bytesOfSums(sum), bytesOfSums(sumOfSquares));
    },
    deleteClass: (gallery, label) =>
      run("DELETE FROM class WHERE gallery = $1 AND label = $2", gallery, label),

    apiKeys: async () =>
      (await all("SELECT id, name, hash, scopes, created FROM api_key ORDER BY id")).map((row) => ({
        id: String(row[0]),
        name: String(row[1]),
        hash: String(row[2]),
        scopes: JSON.parse(String(row[3])) as ApiScope[],
        created: Number(row[4]),
      })),
    putApiKey: ({ id, name, hash, scopes, created }) =>
      run(
        `INSERT INTO api_key VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, hash = excluded.hash, scopes = excluded.scopes, created = excluded.created`,
        ...[id, name, hash, JSON.stringify(scopes), created],
      ),
    removeApiKey: async (id) => (await all("DELETE FROM api_key WHERE id = $1 RETURNING id", id)).length > 0,
  };
}
