import { setTimeout } from "node:timers/promises";
import type pg from "pg";
import { ProtolineError, quote } from "../../core/index.ts";
import type { ServerAddress } from "../address.ts";
import { translate } from "./postgres-errors.ts";
import { migrations } from "./postgres-schema.ts";

export type Value = string | number | boolean | null | Uint8Array | readonly number[] | readonly string[];
/** A column of a row as pg gives it: 64-bit integers as texts. */
export type Column = string | number | boolean | null | Buffer;

/** Statements within one transaction. They go to the server in their order, one behind the other without a wait. */
export interface Statements {
  /** A failure is told by the next `all`, or at the latest by the commit. */
  run(sql: string, ...values: Value[]): void;
  all(sql: string, ...values: Value[]): Promise<Column[][]>;
  first(sql: string, ...values: Value[]): Promise<Column[] | undefined>;
}

export interface Connection {
  transaction<T>(kind: "read" | "write", work: (statements: Statements) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** How long a connection may take, and how long a statement may be without an answer: then the server counts as gone. */
const connectMs = 5000;
const answerMs = 60_000;
/** A writer that says nothing for so long within its change has died or hangs; the server undoes what it did. */
const silenceMs = 20_000;

/** Connects, and brings the schema to its newest version. Throws STORE_UNAVAILABLE, STORE_NEWER, STORE_BROKEN, STORE_READ_ONLY. */
export async function connect(
  library: typeof pg,
  { url, shown, part: schema }: ServerAddress,
  busyMs: number,
): Promise<Connection> {
  const pool = new library.Pool({ ...settings(url), max: 8, idleTimeoutMillis: 30_000, pipeline: true });
  // A connection that breaks while nobody uses it: the next who needs one makes another.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  const here = `SET LOCAL search_path TO "${schema}"`;
  const begin = {
    // One moment for all statements.
    read: `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${here}`,
    // Each statement sees what was committed before it, so that nothing is older than the lock. A server that is set to
    // acknowledge before it has written is overruled: what is acknowledged here is durable.
    write: `BEGIN ISOLATION LEVEL READ COMMITTED; ${here}; SET LOCAL lock_timeout = ${busyMs};
      SET LOCAL idle_in_transaction_session_timeout = ${silenceMs};
      SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
      SELECT pg_advisory_xact_lock(hashtextextended('protoline ${schema}', 0))`,
  };

  async function transaction<T>(
    kind: keyof typeof begin,
    work: (statements: Statements) => Promise<T>,
  ): Promise<T> {
    const client = await guarded(pool.connect());
    let broken: unknown = null;
    const running: Promise<unknown>[] = [];
    const query = (config: pg.QueryArrayConfig): Promise<pg.QueryArrayResult<Column[]>> => {
      const answer = guarded(client.query<Column[]>(config)).catch((error: unknown) => {
        // The first failure is the cause of all that follow.
        broken ??= error;
        throw broken;
      });
      answer.catch(() => undefined);
      running.push(answer);
      return answer;
    };
    const prepared = (sql: string, values: Value[]) =>
      query({ name: nameOf(sql), text: sql, values, rowMode: "array" });
    const statements: Statements = {
      run: (sql, ...values) => void prepared(sql, values),
      all: async (sql, ...values) => (await prepared(sql, values)).rows,
      first: async (sql, ...values) => (await prepared(sql, values)).rows[0],
    };
    try {
      await query({ text: begin[kind], rowMode: "array" });
      const result = await work(statements);
      await Promise.all(running);
      await query({ text: "COMMIT", rowMode: "array" });
      return result;
    } catch (error) {
      if (broken === null) await query({ text: "ROLLBACK", rowMode: "array" }).catch(() => undefined);
      throw error;
    } finally {
      // After a failure nobody knows which statements the connection has prepared; to end it also rolls back.
      client.release(broken !== null);
    }
  }

  async function guarded<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw translate(error, shown);
    }
  }

  try {
    await transaction("write", (statements) => migrate(statements, schema, shown));
  } catch (error) {
    await pool.end();
    throw error;
  }
  return { transaction, close: () => pool.end() };
}

/** Statements are prepared once a connection, under a name of their own. */
const names = new Map<string, string>();
function nameOf(sql: string): string {
  const there = names.get(sql);
  if (there !== undefined) return there;
  const name = `protoline ${names.size}`;
  names.set(sql, name);
  return name;
}

function settings(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: "protoline",
    connectionTimeoutMillis: connectMs,
    query_timeout: answerMs,
    keepAlive: true,
  };
}

async function migrate({ all, first, run }: Statements, schema: string, shown: string): Promise<void> {
  const where = `${quote(shown, 200)}, schema ${quote(schema)}`;
  const [there] = await all("SELECT 1 FROM pg_namespace WHERE nspname = $1", schema);
  // Not IF NOT EXISTS: that asks for the right to make schemas even where there is nothing to make.
  if (!there) await all(`CREATE SCHEMA "${schema}"`);
  const tables = await all("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema);
  const named = tables.some(([name]) => name === "protoline");
  if (!named && tables.length > 0)
    throw new ProtolineError("STORE_BROKEN", {
      expected: `a schema that is empty or Protoline's at ${where}`,
      got: `${tables.length} tables of another program`,
      todo: "Name another schema with ?schema=NAME; it is made where it does not exist.",
    });
  const version = named ? Number((await first("SELECT version FROM protoline"))?.[0] ?? Number.NaN) : 0;
  if (Number.isNaN(version))
    throw new ProtolineError("STORE_BROKEN", {
      expected: `a version in table protoline at ${where}`,
      got: "none",
      todo: "Bring the database back from a backup, or choose another schema.",
    });
  if (version > migrations.length)
    throw new ProtolineError("STORE_NEWER", {
      expected: `version ${migrations.length} or older at ${where}`,
      got: `version ${version}`,
      todo: "Update Protoline, or choose another store.",
    });
  if (version === migrations.length) return;
  for (const migration of migrations.slice(version))
    for (const statement of statementsOf(migration)) await all(statement);
  run("UPDATE protoline SET version = $1", migrations.length);
}

/** A prepared statement is one statement. */
function statementsOf(migration: string): string[] {
  return migration
    .replaceAll(/--.*$/gm, "")
    .split(";")
    .filter((statement) => statement.trim() !== "");
}

/**
 * Hears what is notified on the channel, over a connection of its own that is made again when it breaks. After that,
 * and at the beginning, `hear` is told `null`: something may have been missed.
 */
export function listen(
  library: typeof pg,
  url: string,
  channel: string,
  hear: (payload: string | null) => void,
): { close(): Promise<void> } {
  const closing = new AbortController();
  let client: pg.Client | undefined;
  const ended = (async () => {
    while (!closing.signal.aborted) {
      client = new library.Client(settings(url));
      const gone = new Promise<void>((resolve) => {
        client!.once("end", resolve);
        client!.on("error", () => resolve());
      });
      client.on("notification", ({ payload = "" }) => hear(payload));
      try {
        await client.connect();
        await client.query(`LISTEN "${channel}"`);
        hear(null);
        if (!closing.signal.aborted) await gone;
      } catch {
        // Said by every call to the store meanwhile; here there is nothing to do but to try again.
      }
      await client.end().catch(() => undefined);
      await setTimeout(retryMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  })();
  return {
    async close() {
      closing.abort();
      await client?.end().catch(() => undefined);
      await ended;
    },
  };
}

const retryMs = 250;
