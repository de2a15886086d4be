import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { isProtolineError, ProtolineError, quote } from "../core/index.ts";
import { isUrl, type ModelSources, modelSources } from "./sources.ts";
import { type ZooRow, zoo, zooRow } from "./zoo.ts";

export interface PullOptions {
  /** Default: from the environment, see {@link modelSources}. */
  readonly sources?: ModelSources;
  /** Bytes on disk so far, of all. */
  readonly onProgress?: (received: number, total: number) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds without a byte after which a connection counts as broken. Default 30,000. */
  readonly idleMs?: number;
  /** Milliseconds before the second attempt, doubled for each further one. Default 500. */
  readonly retryMs?: number;
}

export interface Pulled {
  readonly path: string;
  readonly bytes: number;
  /** False when the right file was there already. */
  readonly downloaded: boolean;
}

/** Attempts that may fail in a row without a new byte. */
const attempts = 4;
/** A part that nobody has written to for this long, ms, was left by a process that is gone. */
const abandonedMs = 60_000;

/**
 * Fetches a zoo model into the cache: from the mirror (folder or URL) where one is set, else from its own address.
 *
 * The bytes go to a part file, which a broken download leaves behind and the next one goes on with (HTTP Range). The
 * SHA-256 is checked before the file gets its name, by an atomic rename. Each process writes a part of its own, so
 * two that pull at once do not meet.
 *
 * Throws MODEL_NOT_FOUND, MODEL_DOWNLOAD_FAILED, MODEL_HASH_MISMATCH.
 */
export async function pullModel(name: string, options: PullOptions = {}): Promise<Pulled> {
  const row = zooRow(name);
  if (!row)
    throw new ProtolineError("MODEL_NOT_FOUND", {
      expected: `one of ${zoo.map((entry) => entry.name).join(", ")}`,
      got: quote(name),
      todo:
        name === "scattering"
          ? "The model scattering is built in: there is nothing to download."
          : "Run `protoline models list` to see the names.",
    });
  return pullRow(row, options);
}

/** {@link pullModel} for a row of any table. */
export async function pullRow(row: ZooRow, options: PullOptions = {}): Promise<Pulled> {
  const { cache, mirror } = options.sources ?? modelSources(process.env);
  const target = join(cache, row.file);
  const from = mirror ? source(mirror, row.file) : row.address;
  let part: string | undefined;
  try {
    if ((await hashOf(target)) === row.sha256) return { path: target, bytes: row.bytes, downloaded: false };
    if (!from)
      throw failed(
        row,
        "this file has no public address",
        `Set PROTOLINE_MIRROR to a folder or URL that holds ${row.file} (SHA-256 ${row.sha256}).`,
      );
    await mkdir(cache, { recursive: true });
    part = await claimPart(cache, row);
    const resumed = await sizeOf(part);
    await fill(part, from, row, options);
    if (resumed > 0 && (await hashOf(part)) !== row.sha256) {
      // The older part may be of another version of the file: one fresh start decides.
      await rm(part);
      await fill(part, from, row, options);
    }
    await refuseWrongHash(part, from, row);
    await rename(part, target);
    return { path: target, bytes: row.bytes, downloaded: true };
  } catch (error) {
    if (part) await rename(part, join(cache, `${row.file}.part`)).catch(() => {});
    throw isProtolineError(error) ? error : downloadError(error, from ?? target, row);
  }
}

function source(mirror: string, file: string): string {
  return isUrl(mirror) ? `${mirror.replace(/\/+$/, "")}/${file}` : join(mirror, file);
}

/**
 * A part file of this call's own: one that was left behind, or a new name. Taking one over is a rename, which only
 * one process can win.
 */
async function claimPart(cache: string, { file, bytes }: ZooRow): Promise<string> {
  const own = join(cache, `${file}.part.${randomUUID()}`);
  for (const name of await readdir(cache)) {
    if (name !== `${file}.part` && !name.startsWith(`${file}.part.`)) continue;
    const path = join(cache, name);
    const found = await stat(path).catch(() => null);
    if (!found || (name !== `${file}.part` && Date.now() - found.mtimeMs < abandonedMs)) continue;
    if (found.size > bytes) {
      await rm(path, { force: true });
      continue;
    }
    const won = await rename(path, own).then(
      () => true,
      () => false,
    );
    if (!won) continue;
    // It is this call's now, and not abandoned.
    await utimes(own, new Date(), new Date()).catch(() => {});
    return own;
  }
  return own;
}

/** Brings a part to its full length, from a folder or over HTTP with as many attempts as make progress. */
async function fill(part: string, from: string, row: ZooRow, options: PullOptions): Promise<void> {
  if (!isUrl(from)) {
    await copyFile(from, part);
    options.onProgress?.(await sizeOf(part), row.bytes);
    return;
  }
  const state: Resume = { validator: null };
  for (let failures = 0; ; ) {
    const before = await sizeOf(part);
    try {
      await download(part, from, row, options, state);
      return;
    } catch (error) {
      if (isProtolineError(error) || options.signal?.aborted || isDiskError(error)) throw error;
      failures = (await sizeOf(part)) > before ? 1 : failures + 1;
      if (failures >= attempts) throw error;
      await wait((options.retryMs ?? 500) * 2 ** (failures - 1), undefined, { signal: options.signal });
    }
  }
}

interface Resume {
  /** ETag or date of the bytes that this process has begun with. */
  validator: string | null;
}

/** One request: the rest of the part where the server can, else the whole. */
async function download(
  part: string,
  from: string,
  row: ZooRow,
  { onProgress, signal, idleMs = 30_000 }: PullOptions,
  state: Resume,
): Promise<void> {
  let received = await sizeOf(part);
  if (received === row.bytes) return;
  const idle = new AbortController();
  const watch = setTimeout(() => idle.abort(new Error(`no data for ${idleMs} ms`)), idleMs);
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (received > 0) {
    headers.range = `bytes=${received}-`;
    if (state.validator) headers["if-range"] = state.validator;
  }
  try {
    const response = await fetch(from, {
      headers,
      signal: signal ? AbortSignal.any([signal, idle.signal]) : idle.signal,
    });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      const problem = `HTTP ${response.status} from ${quote(from)}`;
      if (response.status === 416) await rm(part, { force: true });
      else if (response.status < 500 && response.status !== 429 && response.status !== 408)
        throw failed(row, problem, "Check the address of the mirror, and that it holds the file.");
      throw new Error(problem);
    }
    const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
    const resumes = response.status === 206 && Number(range?.[1]) === received;
    if (!resumes) {
      if (response.status === 206) throw new Error("the server sent another range than was asked for");
      received = 0;
    }
    const tag = response.headers.get("etag");
    state.validator = tag && !tag.startsWith("W/") ? tag : response.headers.get("last-modified");

    const file = await open(part, resumes ? "a" : "w");
    try {
      for await (const chunk of response.body) {
        watch.refresh();
        received += chunk.byteLength;
        if (received > row.bytes) throw wrongFile(from, row, `more than ${row.bytes} bytes`);
        await file.writeFile(chunk);
        onProgress?.(received, row.bytes);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    if (received < row.bytes) throw new Error(`the connection ended after ${received} of ${row.bytes} bytes`);
  } catch (error) {
    if (isProtolineError(error) && error.code === "MODEL_HASH_MISMATCH") await rm(part, { force: true });
    throw idle.signal.aborted ? idle.signal.reason : error;
  } finally {
    clearTimeout(watch);
  }
}

async function refuseWrongHash(part: string, from: string, row: ZooRow): Promise<void> {
  const got = await hashOf(part);
  if (got === row.sha256) return;
  await rm(part, { force: true });
  throw wrongFile(from, row, `SHA-256 ${got}`);
}

function wrongFile(from: string, row: ZooRow, got: string): ProtolineError {
  return new ProtolineError("MODEL_HASH_MISMATCH", {
    expected: `${row.bytes} bytes with SHA-256 ${row.sha256} for ${row.file}`,
    got: `${got} from ${quote(from, 200)}`,
    todo: "The file was not kept. Check what the mirror or address serves.",
  });
}

function failed(row: ZooRow, got: string, todo: string, cause?: unknown): ProtolineError {
  return new ProtolineError("MODEL_DOWNLOAD_FAILED", { expected: `the file ${row.file}`, got, todo, cause });
}

const diskErrors = new Set(["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EFBIG", "EIO"]);

function isDiskError(error: unknown): boolean {
  return diskErrors.has((error as NodeJS.ErrnoException).code ?? "");
}

/** Anything that went wrong on the way, as a coded error. */
export function downloadError(error: unknown, from: string, row: ZooRow): ProtolineError {
  const { code, name, message, cause } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT")
    return failed(
      row,
      "a full disk",
      "Free some space and run the command again; it goes on where it stopped.",
      error,
    );
  if (code === "ENOENT")
    return failed(
      row,
      `no such file ${quote(from, 200)}`,
      "Check PROTOLINE_MIRROR and that it holds the file.",
      error,
    );
  if (isDiskError(error))
    return failed(
      row,
      `a disk error (${code})`,
      "Check the permissions of the cache and of the mirror folder, or set PROTOLINE_CACHE.",
      error,
    );
  if (name === "AbortError")
    return failed(row, "a cancelled download", "Run the command again; it goes on where it stopped.", error);
  // fetch hides the reason in its cause.
  const reason = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : undefined;
  return failed(
    row,
    `${quote(reason ?? message, 200)} from ${quote(from, 200)}`,
    "Check the network and run the command again; it goes on where it stopped.",
    error,
  );
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (found) => found.size,
    () => 0,
  );
}

/** SHA-256 of a file, hex, or `null` where there is none. */
async function hashOf(path: string): Promise<string | null> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  return hash.digest("hex");
}
