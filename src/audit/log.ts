import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type FileHandle, open, readFile, rename, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { isProtolineError, ProtolineError, quote } from "../core/index.ts";
import { type AuditEvent, beginning, formatLine, lineHash } from "./chain.ts";
import { fullFile, fullFiles, type Head, headFile, headText, lockFile, readHead } from "./files.ts";
import { readFiles } from "./verify.ts";

export interface AuditLogOptions {
  /** Where lines are written; its folder must exist. One process at a time. */
  readonly file: string;
  /** Secret of the HMAC, at least 16 characters. Default none: plain SHA-256. */
  readonly key?: string | null;
  /** Bytes after which the file is put aside as `FILE.<number of its first line>`. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Milliseconds since 1970. Default the clock. */
  readonly now?: () => number;
}

export interface AuditLog {
  /**
   * Resolves with the line's number when it is on the disk; an `end` when it is with the system. Throws AUDIT_UNAVAILABLE when it cannot be written; the
   * next call tries again.
   */
  append(event: AuditEvent): Promise<number>;
  /** The last line. */
  head(): Head;
  /** Whether the last line could be written. */
  up(): boolean;
  close(): Promise<void>;
}

const unavailable = (file: string, got: string, cause?: unknown): ProtolineError =>
  new ProtolineError("AUDIT_UNAVAILABLE", {
    expected: `an audit log at ${quote(file, 300)} that can be written`,
    got,
    todo: "Nothing was changed. Make space or restore the rights, and try again.",
    cause,
  });

/** Locks of this very process. */
const held = new Set<string>();

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * One writer a file, or two chains would run into each other. The lock holds the process id; that of a process that is
 * gone, or of this very number (as in a container that was started anew), is taken over.
 */
function lock(file: string): () => void {
  const path = resolve(lockFile(file));
  const holder = existsSync(path) ? Number(readFileSync(path, "latin1")) : 0;
  if (held.has(path) || (holder > 0 && holder !== process.pid && isAlive(holder)))
    throw new ProtolineError("AUDIT_UNAVAILABLE", {
      expected: `an audit log at ${quote(file, 300)} that nobody else writes`,
      got: `one that process ${holder} writes`,
      todo: "Give each process a file of its own, with --audit or PROTOLINE_AUDIT.",
    });
  rmSync(path, { force: true });
  // "wx" lets one of two win that start at the same time.
  writeFileSync(path, String(process.pid), { flag: "wx" });
  held.add(path);
  return () => {
    held.delete(path);
    rmSync(path, { force: true });
  };
}

interface Start {
  readonly head: Head;
  /** Number of the first line of the file that is written. */
  readonly first: number;
  /** Bytes of its whole lines. */
  readonly size: number;
  /** Whether half a line stands behind them. */
  readonly torn: boolean;
}

/**
 * Where the log ends. The written file is read, and the full one before it; `protoline audit verify` reads them all.
 * Throws AUDIT_BROKEN: going on would bury what is wrong.
 */
async function findStart(file: string, key: string | null): Promise<Start> {
  const broken = (got: string): ProtolineError =>
    new ProtolineError("AUDIT_BROKEN", {
      expected: `an audit log at ${quote(file, 300)} that is whole, to go on with`,
      got,
      todo: "Keep the files as they are, look at them with protoline audit verify, and begin another log.",
    });
  const full = (await fullFiles(file)).slice(-1);
  let head: Head = { seq: 0, hash: beginning };
  let [first, size, torn] = [0, 0, false];
  const files = existsSync(file) ? [...full, file] : full;
  for await (const read of readFiles(files, key, full.length > 0 ? null : head)) {
    if ("problem" in read) {
      const { problem } = read;
      if (!read.torn || problem.file !== file)
        throw broken(`line ${problem.line} of ${quote(problem.file, 300)}: ${problem.wrong}`);
      torn = true;
      break;
    }
    const { line } = read;
    head = { seq: line.seq, hash: line.hash };
    if (read.file !== file) continue;
    size = read.end;
    first ||= line.seq;
  }
  const noted = await readHead(file);
  if (noted === "broken" || (noted === null && head.seq > 0))
    throw broken(`no note of its last line in ${quote(headFile(file), 300)}`);
  // One line more than the note is what a crash leaves; fewer were cut off, half a line that was noted too.
  if (noted && (noted.seq > head.seq || (noted.seq === head.seq && noted.hash !== head.hash)))
    throw broken(`line ${head.seq} as its last, where line ${noted.seq} was noted`);
  return { head, first: first || head.seq + 1, size, torn };
}

/** A write to a disk that fills up takes a part and is no error; the next one is. */
async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; )
    at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
}

/**
 * Opens a log for writing, or begins one. Half a line at its end, as a crash leaves it, was never acknowledged: it is
 * cut off, and a line says so.
 *
 * @throws AUDIT_UNAVAILABLE, AUDIT_BROKEN, INVALID_ARGUMENT for a key that is too short.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { file, key = null, maxBytes = 64 * 2 ** 20, now = Date.now } = options;
  if (key !== null && key.length < 16)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a key of at least 16 characters for the audit log",
      got: `one of ${key.length}`,
      todo: "Make one with: openssl rand -base64 32",
    });
  let unlock: () => void;
  try {
    unlock = lock(file);
  } catch (error) {
    if (isProtolineError(error)) throw error;
    throw unavailable(file, quote((error as Error).message, 300), error);
  }
  let handle: FileHandle | null = null;
  let heads: FileHandle | null = null;
  let inode = 0;
  let [queue, up, closed] = [Promise.resolve(), true, false];
  const shut = async (): Promise<void> => {
    await handle?.close();
    handle = null;
    await heads?.close();
    heads = null;
    unlock();
  };

  try {
    let { head, first, size, torn } = await findStart(file, key);
    /** What stands behind the whole lines is of an attempt that failed. */
    let dirty = torn;

    const openFile = async (): Promise<FileHandle> => {
      const opened = await open(file, size === 0 ? "a" : "r+").then(async (it) => {
        await it.close();
        return open(file, "r+");
      });
      inode = (await opened.stat()).ino;
      return opened;
    };
    const noteHead = async (): Promise<void> => {
      heads ??= await open(headFile(file), "w");
      // Not forced to the disk: a note that is behind is taken, one that is ahead never comes about.
      await writeAll(heads, Buffer.from(headText(head), "latin1"), 0);
    };

    const rotate = async (): Promise<void> => {
      await handle?.close();
      handle = null;
      await rename(file, fullFile(file, first));
      [size, first] = [0, head.seq + 1];
      const folder = await open(dirname(resolve(file)), "r");
      await folder.sync().finally(() => folder.close());
    };

    const write = async (event: AuditEvent): Promise<number> => {
      if (handle && size >= maxBytes) await rotate();
      handle ??= await openFile();
      const found = await stat(file);
      if (found.ino !== inode || (!dirty && found.size !== size))
        throw new Error("the file was moved or changed by somebody else");
      if (dirty) await handle.truncate(size);
      dirty = true;
      const line = { seq: head.seq + 1, time: new Date(now()).toISOString(), prev: head.hash, event };
      const { text, hash } = formatLine(line, key);
      const bytes = Buffer.from(`${text}\n`);
      await writeAll(handle, bytes, size);
      // The end of a change waits for the next line's force: the process may die, the machine alone could lose it, and
      // then the begin without an end says that the outcome is not known.
      if (event.phase !== "end") await handle.datasync();
      const before = head;
      head = { seq: line.seq, hash };
      try {
        await noteHead();
      } catch (error) {
        head = before;
        throw error;
      }
      size += bytes.length;
      dirty = false;
      return line.seq;
    };

    const append = (event: AuditEvent): Promise<number> => {
      const written = queue.then(async () => {
        if (closed) throw unavailable(file, "one that is closed");
        try {
          const seq = await write(event);
          up = true;
          return seq;
        } catch (error) {
          up = false;
          throw unavailable(file, quote((error as Error).message, 300), error);
        }
      });
      queue = written.then(
        () => undefined,
        () => undefined,
      );
      return written;
    };

    await noteHead().catch((error: unknown) => {
      throw unavailable(file, quote((error as Error).message, 300), error);
    });
    if (torn) {
      const half = (await readFile(file)).subarray(size);
      await append({
        phase: "note",
        action: "audit.repair",
        who: "protoline",
        caller: "audit log",
        request: null,
        gallery: null,
        reason: "half a line at the end, as a crash leaves it, was cut off",
        old: { bytes: half.length, sha256: lineHash(half, null) },
        new: null,
      });
    }
    return {
      append,
      head: () => head,
      up: () => up,
      close: async () => {
        await queue;
        if (!closed) {
          await handle?.datasync().catch(() => undefined);
          await shut();
        }
        closed = true;
      },
    };
  } catch (error) {
    await shut();
    throw error;
  }
}
