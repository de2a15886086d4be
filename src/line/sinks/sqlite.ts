import { open } from "node:fs/promises";
import type { Database, Statement } from "libsql";
import { ProtolineError, quote } from "../../core/index.ts";
import type { SinkSpec } from "../config.ts";
import { columns, flat } from "../flat.ts";
import type { Sink } from "../types.ts";
import { writableFile } from "./writable.ts";

/** `PRL1`: marks an SQLite file as the results of lines. */
const applicationId = 0x50524c31;
/** SQLite blocks the whole process while it waits for a lock: the line tries again instead. In milliseconds. */
const blockMs = 10;

const schema = `
CREATE TABLE result (
  time TEXT NOT NULL, id TEXT NOT NULL, line TEXT NOT NULL, station TEXT, part TEXT, batch TEXT, shift TEXT,
  origin TEXT NOT NULL, kind TEXT NOT NULL, label TEXT, confidence REAL, distance REAL, threshold REAL,
  model TEXT NOT NULL, revision INTEGER NOT NULL, ms REAL NOT NULL, modelHash TEXT NOT NULL, gallery TEXT NOT NULL,
  result TEXT NOT NULL, -- the whole, JSON
  PRIMARY KEY (line, id)
) STRICT;
CREATE INDEX result_time ON result (time);
CREATE INDEX result_part ON result (part) WHERE part IS NOT NULL;
`;

/**
 * A row a result in the table `result` of an SQLite file, on the disk before it counts (WAL, `synchronous` FULL). Line and
 * id are its key: a result that comes again is there once. Several lines may share a file, and others read it meanwhile.
 */
export function sqliteSink({ path }: Extract<SinkSpec, { kind: "sqlite" }>): Sink {
  let opened: Promise<{ readonly db: Database; readonly insert: Statement }> | undefined;
  const foreign = (): ProtolineError =>
    new ProtolineError("LINE_INVALID", {
      expected: `results of lines, or no file, at ${quote(path, 200)}`,
      got: "a file of another program",
      todo: "Correct `path` of the sink.",
    });
  const start = async () => {
    const { default: Database } = await import("libsql");
    const db = new Database(path, { timeout: blockMs });
    try {
      db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE");
      const value = (sql: string): unknown => (db.prepare(sql).raw().get() as unknown[])[0];
      if (value("PRAGMA application_id") !== applicationId) {
        if (value("SELECT count(*) FROM sqlite_schema") !== 0) throw foreign();
        db.exec(`${schema} PRAGMA application_id = ${applicationId};`);
      }
      db.exec("COMMIT");
      const names = [...columns, "result"];
      const insert = db.prepare(
        `INSERT INTO result (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})
         ON CONFLICT (line, id) DO NOTHING`,
      );
      return { db, insert };
    } catch (error) {
      if (db.inTransaction) db.exec("ROLLBACK");
      db.close();
      throw error;
    }
  };
  const close = async (): Promise<void> => {
    const was = opened;
    opened = undefined;
    const open = await was?.catch(() => null);
    if (!open) return;
    try {
      // libsql lets go of the file late: so that it is whole without its log, the log goes into it now.
      open.db.exec("PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      // A reader or a full disk: the log stays, and who opens the file next reads it.
    }
    open.db.close();
  };
  return {
    name: `sqlite ${path}`,
    async check() {
      const size = await writableFile(path);
      if (size === null || size === 0) return `${path} will be made`;
      const header = Buffer.alloc(100);
      const file = await open(path);
      await file.read(header, 0, 100, 0).finally(() => file.close());
      if (
        header.toString("latin1", 0, 16) !== "SQLite format 3\0" ||
        header.readUInt32BE(68) !== applicationId
      )
        throw foreign();
      return `${path} has ${size} bytes and goes on`;
    },
    async write(result) {
      opened ??= start();
      try {
        const { insert } = await opened;
        const row = flat(result);
        insert.run([...columns.map((column) => row[column]), JSON.stringify(result)]);
      } catch (error) {
        // A full disk or a file that went away: the next try opens it anew.
        await close();
        throw error;
      }
    },
    close,
  };
}
