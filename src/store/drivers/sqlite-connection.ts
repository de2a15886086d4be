import { accessSync, closeSync, constants, mkdirSync, openSync, readSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout } from "node:timers/promises";
import type Libsql from "libsql";
import { isProtolineError, ProtolineError, quote } from "../../core/index.ts";
import { broken, readOnly, translate } from "./sqlite-errors.ts";
import { applicationId, migrations } from "./sqlite-schema.ts";

export type Value = string | number | null | Uint8Array;
/** A column of a row as libsql gives it. */
export type Column = string | number | null | Buffer;

/** One connection: prepared statements kept by their text, SQLite's errors translated. */
export interface Connection {
  exec(sql: string): void;
  run(sql: string, ...values: Value[]): number;
  all(sql: string, ...values: Value[]): Column[][];
  first(sql: string, ...values: Value[]): Column[] | undefined;
  readonly inTransaction: boolean;
  close(): void;
}

/**
 * Opens or makes the database at `path` and brings it to the newest schema. WAL, so that readers never wait for a
 * writer; `synchronous` FULL, so that what is committed survives a power cut.
 */
export async function connect(path: string, busyMs: number): Promise<Connection> {
  const { default: Database } = await import("libsql");
  return patiently(busyMs, () => {
    const connection = guard(path, () => {
      checkFile(path);
      return wrap(new Database(path, { timeout: blockMs }), path);
    });
    try {
      prepare(connection, path);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  });
}

/** How long SQLite itself may wait for a lock: it blocks the whole process meanwhile. In milliseconds. */
const blockMs = 10;

/**
 * Tries again while another process holds the lock, for `busyMs` milliseconds. Asking often and not ever more seldom,
 * as SQLite would, gets a turn even beside a process that writes without a pause.
 */
export async function patiently<T>(busyMs: number, work: () => T): Promise<T> {
  const end = performance.now() + busyMs;
  for (;;)
    try {
      return work();
    } catch (error) {
      if (!isProtolineError(error) || error.code !== "STORE_BUSY" || performance.now() > end) throw error;
      await setTimeout(2);
    }
}

/**
 * What can be told before SQLite opens the file, in clearer words than its own; and a file of a few bytes, which
 * SQLite would take for an empty database and overwrite.
 */
function checkFile(path: string): void {
  const allows = (place: string, right: number): boolean => {
    try {
      accessSync(place, right);
      return true;
    } catch {
      return false;
    }
  };
  try {
    mkdirSync(dirname(path), { recursive: true });
    const there = statSync(path, { throwIfNoEntry: false });
    if (there?.isDirectory())
      throw broken(path, "a file", "Give the path of a file in that folder.", "a folder");
    if (there && !allows(path, constants.R_OK))
      throw broken(
        path,
        "a file that this user may read",
        "Give this user the right to read it.",
        "no right",
      );
    if (there && there.size > 0) checkHeader(path, there.size);
    // SQLite keeps its log beside the file, so the folder counts too.
    if (![...(there ? [path] : []), dirname(path)].every((place) => allows(place, constants.W_OK)))
      throw readOnly(path, "no right to write");
  } catch (error) {
    if (isProtolineError(error)) throw error;
    throw broken(path, "a path that can be opened", "Check the path and its rights.", error);
  }
}

/** https://www.sqlite.org/fileformat.html#the_database_header */
function checkHeader(path: string, size: number): void {
  const header = Buffer.alloc(100);
  const file = openSync(path, "r");
  try {
    readSync(file, header);
  } finally {
    closeSync(file);
  }
  if (header.toString("latin1", 0, 16) !== "SQLite format 3\0")
    throw broken(path, "a Protoline database", "Choose another path.", "a file that is not a database");
  const pageSize = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
  const promised = pageSize * header.readUInt32BE(28);
  // While there is a log, pages may be in it that the file does not have yet.
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  if (size < promised && log === 0)
    throw broken(
      path,
      `${promised} bytes`,
      "Bring the file back from a backup.",
      `a file cut short at ${size} bytes`,
    );
}

function prepare(db: Connection, path: string): void {
  const version = checkVersion(db, path);
  if (version === 0) db.exec("PRAGMA page_size = 8192");
  const [mode] = db.first("PRAGMA journal_mode = WAL") ?? [];
  if (mode !== "wal")
    throw broken(
      path,
      "a file system with shared memory (WAL)",
      "Keep the store on a local disk.",
      `journal mode ${mode}`,
    );
  db.exec("PRAGMA synchronous = FULL");
  db.exec("PRAGMA foreign_keys = ON");
  // After a large enrollment the log shrinks again to this many bytes.
  db.all("PRAGMA journal_size_limit = 33554432");
  // The write lock, even with nothing to migrate: a file that cannot be written is told now and not at the first picture.
  db.exec("BEGIN IMMEDIATE");
  try {
    // Another process may have migrated meanwhile.
    const from = checkVersion(db, path);
    for (const migration of migrations.slice(from)) db.exec(migration);
    if (from < migrations.length) {
      db.exec(`PRAGMA application_id = ${applicationId}`);
      db.exec(`PRAGMA user_version = ${migrations.length}`);
    }
    db.exec("COMMIT");
  } catch (error) {
    if (db.inTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** The version of the schema, 0 for an empty file. Throws STORE_NEWER and STORE_BROKEN. */
function checkVersion(db: Connection, path: string): number {
  const pragma = (name: string): number => Number(db.first(`PRAGMA ${name}`)?.[0]);
  const version = pragma("user_version");
  const tables = Number(db.first("SELECT count(*) FROM sqlite_schema")?.[0]);
  if (pragma("application_id") !== applicationId && (version !== 0 || tables !== 0))
    throw broken(path, "a Protoline database", "Choose another path.", "a database of another program");
  if (version > migrations.length)
    throw new ProtolineError("STORE_NEWER", {
      expected: `version ${migrations.length} or older at ${quote(path, 200)}`,
      got: `version ${version}`,
      todo: "Update Protoline, or choose another store.",
    });
  return version;
}

function wrap(db: Libsql.Database, path: string): Connection {
  const reading = new Map<string, Libsql.Statement>();
  const writing = new Map<string, Libsql.Statement>();
  const all = (sql: string, values: Value[]): Column[][] =>
    guard(path, () => {
      const statement = cached(reading, sql, () => db.prepare(sql).raw());
      return statement.all(values) as Column[][];
    });
  return {
    exec: (sql) => guard(path, () => void db.exec(sql)),
    run: (sql, ...values) =>
      guard(path, () => cached(writing, sql, () => db.prepare(sql)).run(values).changes),
    all: (sql, ...values) => all(sql, values),
    first: (sql, ...values) => all(sql, values)[0],
    get inTransaction() {
      return db.inTransaction;
    },
    close() {
      try {
        // libsql closes the file only when its statements are collected, which may be never: so that the file is
        // whole without its log, the log goes into it now. Where another process is at work, that one will do it.
        db.exec("PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE)");
      } catch {
        // A full disk or a reader: the log stays, and the next who opens the file reads it.
      }
      reading.clear();
      writing.clear();
      db.close();
    },
  };
}

function cached<T>(map: Map<string, T>, key: string, make: () => T): T {
  const there = map.get(key);
  if (there !== undefined) return there;
  const made = make();
  map.set(key, made);
  return made;
}

function guard<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw translate(error, path);
  }
}
