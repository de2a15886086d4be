import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { type ErrorCode, isProtolineError, ProtolineError, quote } from "../../core/index.ts";

/** Below this much free space an input or output error is put down to the full disk, in bytes. */
const tight = 1 << 20;

/** What SQLite says, as a coded error; what is no error of SQLite comes back as it is. */
export function translate(error: unknown, path: string): unknown {
  if (isProtolineError(error) || !(error instanceof Error)) return error;
  const code = codeOf(error);
  if (code === "SQLITE_FULL" || (code.startsWith("SQLITE_IOERR") && freeSpace(path) < tight))
    return coded(
      "STORE_FULL",
      path,
      "free space",
      "Free some space and try again; nothing that was acknowledged is lost.",
    );
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED"))
    return coded(
      "STORE_BUSY",
      path,
      "no other process writing for long",
      "Try again, or end the other process.",
    );
  if (code.startsWith("SQLITE_READONLY")) return readOnly(path, error);
  if (/^SQLITE_(CORRUPT|NOTADB|CANTOPEN|IOERR|PERM|AUTH|FORMAT)/.test(code))
    return broken(
      path,
      "a Protoline database that can be read",
      "Check the path and its rights, or bring the file back from a backup.",
      error,
    );
  return error;

  function coded(as: ErrorCode, where: string, expected: string, todo: string): ProtolineError {
    return new ProtolineError(as, {
      expected: `${expected} for ${quote(where, 200)}`,
      got: words(error),
      todo,
      cause: error,
    });
  }
}

export function readOnly(path: string, cause: unknown): ProtolineError {
  return new ProtolineError("STORE_READ_ONLY", {
    expected: `a file and a folder that this user may write at ${quote(path, 200)}`,
    got: words(cause),
    todo: "Give this user the right to write both, or choose another path.",
    cause,
  });
}

export function broken(path: string, expected: string, todo: string, cause: unknown): ProtolineError {
  return new ProtolineError("STORE_BROKEN", {
    expected: `${expected} at ${quote(path, 200)}`,
    got: words(cause),
    todo,
    cause,
  });
}

function words(cause: unknown): string {
  return cause instanceof Error ? quote(cause.message, 200).slice(1, -1) : String(cause);
}

/** libsql gives SQLite's name of an error as `code`, except when it opens the file: there the text ends in the number. */
function codeOf(error: Error & { code?: unknown }): string {
  if (typeof error.code === "string") return error.code;
  return /^ConnectionFailed\(.*: 14"\)$/s.test(error.message) ? "SQLITE_CANTOPEN" : "";
}

function freeSpace(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
