import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type ErrorCode, isProtolineError, ProtolineError, quote } from "../core/index.ts";

/** A file to fetch, and what is known of it beforehand. */
export interface DownloadJob {
  /** Its name for the reader. */
  readonly file: string;
  /** Where it is put; folders above it are made. */
  readonly target: string;
  /** Address, or path of a file in a mirror folder. */
  readonly from: string;
  /** `null`: whatever comes. */
  readonly bytes: number | null;
  /** Lower-case hex. `null`: unchecked, and a broken download of an earlier call is not gone on with. */
  readonly sha256: string | null;
  /** Codes of the errors, and the variables of the environment that their remedies name. */
  readonly words: {
    readonly failed: ErrorCode;
    readonly mismatch: ErrorCode;
    readonly mirror: string;
    readonly folder: string;
  };
}

export interface DownloadOptions {
  /** Bytes on disk so far, of all; 0 of all while the server has not said how many. */
  readonly onProgress?: (received: number, total: number) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds without a byte after which a connection counts as broken. Default 30,000. */
  readonly idleMs?: number;
  /** Milliseconds before the second attempt, doubled for each further one. Default 500. */
  readonly retryMs?: number;
}

/** Attempts that may fail in a row without a new byte. */
const attempts = 4;
/** A part that nobody has written to for this long, ms, was left by a process that is gone. */
const abandonedMs = 60_000;

/**
 * Fetches a file from a folder or over HTTP. The bytes go to a part file, which a broken download leaves behind and the
 * next one goes on with (HTTP Range). Size and SHA-256 are checked, where they are known, and then `accept`, before the
 * file gets its name, by an atomic rename. Each process writes a part of its own, so two that fetch at once do not meet.
 *
 * @param accept throws when the whole part, at the path it is given, is not what was wanted.
 * @throws the job's codes, and what `accept` throws.
 */
export async function download(
  job: DownloadJob,
  options: DownloadOptions = {},
  accept: (part: string) => Promise<void> = async () => {},
): Promise<void> {
  const { target, from, sha256 } = job;
  let part: string | undefined;
  try {
    await mkdir(dirname(target), { recursive: true });
    part = await claimPart(job);
    const resumed = await sizeOf(part);
    await fill(part, job, options);
    if (resumed > 0 && (await hashOf(part)) !== sha256) {
      // The older part may be of another version of the file: one fresh start decides.
      await rm(part);
      await fill(part, job, options);
    }
    await refuseWrongHash(part, job);
    await accept(part).catch(async (error: unknown) => {
      await rm(part!, { force: true });
      throw error;
    });
    await rename(part, target);
  } catch (error) {
    if (part && sha256 === null) await rm(part, { force: true }).catch(() => {});
    else if (part) await rename(part, `${target}.part`).catch(() => {});
    throw isProtolineError(error) ? error : downloadError(error, from, job);
  }
}

/** Whether a mirror is a web address rather than a folder. */
export function isUrl(mirror: string): boolean {
  return /^https?:\/\//i.test(mirror);
}

/** Where a mirror keeps a file. */
export function inMirror(mirror: string, file: string): string {
  return isUrl(mirror) ? `${mirror.replace(/\/+$/, "")}/${file}` : join(mirror, file);
}

/**
 * A part file of this call's own: one that was left behind, or a new name. Taking one over is a rename, which only
 * one process can win. Without a hash nobody could tell whether an old part belongs to the file.
 */
async function claimPart({ target, bytes, sha256 }: DownloadJob): Promise<string> {
  const folder = dirname(target);
  const file = basename(target);
  const own = join(folder, `${file}.part.${randomUUID()}`);
  if (sha256 === null) return own;
  for (const name of await readdir(folder)) {
    if (name !== `${file}.part` && !name.startsWith(`${file}.part.`)) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(() => null);
    if (!found || (name !== `${file}.part` && Date.now() - found.mtimeMs < abandonedMs)) continue;
    if (bytes !== null && found.size > bytes) {
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
async function fill(part: string, job: DownloadJob, options: DownloadOptions): Promise<void> {
  if (!isUrl(job.from)) {
    await copyFile(job.from, part);
    const size = await sizeOf(part);
    options.onProgress?.(size, job.bytes ?? size);
    return;
  }
  const state: Resume = { validator: null };
  for (let failures = 0; ; ) {
    const before = await sizeOf(part);
    try {
      await request(part, job, options, state);
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
async function request(
  part: string,
  job: DownloadJob,
  { onProgress, signal, idleMs = 30_000 }: DownloadOptions,
  state: Resume,
): Promise<void> {
  const { from, bytes } = job;
  let received = await sizeOf(part);
  if (received === bytes) return;
  // Bytes that nothing can check later are gone on with only where the server can tell that they are of the same file.
  if (received > 0 && job.sha256 === null && !state.validator) received = 0;
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
        throw failed(job, problem, "Check the address of the mirror, and that it holds the file.");
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
    const length = response.headers.get("content-length");
    const total = bytes ?? (length === null ? null : received + Number(length));

    const file = await open(part, resumes ? "a" : "w");
    try {
      for await (const chunk of response.body) {
        watch.refresh();
        received += chunk.byteLength;
        if (bytes !== null && received > bytes) throw wrongFile(job, `more than ${bytes} bytes`);
        await file.writeFile(chunk);
        onProgress?.(received, total ?? 0);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    if (total !== null && received < total)
      throw new Error(`the connection ended after ${received} of ${total} bytes`);
  } catch (error) {
    if (isProtolineError(error) && error.code === job.words.mismatch) await rm(part, { force: true });
    throw idle.signal.aborted ? idle.signal.reason : error;
  } finally {
    clearTimeout(watch);
  }
}

async function refuseWrongHash(part: string, job: DownloadJob): Promise<void> {
  if (job.sha256 === null) return;
  const got = await hashOf(part);
  if (got === job.sha256) return;
  await rm(part, { force: true });
  throw wrongFile(job, `SHA-256 ${got}`);
}

function wrongFile({ file, from, bytes, sha256, words }: DownloadJob, got: string): ProtolineError {
  return new ProtolineError(words.mismatch, {
    expected: `${bytes} bytes with SHA-256 ${sha256} for ${file}`,
    got: `${got} from ${quote(from, 200)}`,
    todo: "The file was not kept. Check what the mirror or address serves.",
  });
}

type Named = Pick<DownloadJob, "file" | "words"> & Partial<Pick<DownloadJob, "sha256">>;

function failed({ file, words }: Named, got: string, todo: string, cause?: unknown): ProtolineError {
  return new ProtolineError(words.failed, { expected: `the file ${file}`, got, todo, cause });
}

const diskErrors = new Set(["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EFBIG", "EIO"]);

function isDiskError(error: unknown): boolean {
  return diskErrors.has((error as NodeJS.ErrnoException).code ?? "");
}

/** Anything that went wrong on the way, as a coded error. */
export function downloadError(error: unknown, from: string, job: Named): ProtolineError {
  const { code, name, message, cause } = error as NodeJS.ErrnoException;
  const { mirror, folder } = job.words;
  const again = `run the command again${job.sha256 === null ? "" : "; it goes on where it stopped"}.`;
  if (code === "ENOSPC" || code === "EDQUOT")
    return failed(job, "a full disk", `Free some space and ${again}`, error);
  if (code === "ENOENT")
    return failed(
      job,
      `no such file ${quote(from, 200)}`,
      `Check ${mirror} and that it holds the file.`,
      error,
    );
  if (isDiskError(error))
    return failed(
      job,
      `a disk error (${code})`,
      `Check the permissions of the cache and of the mirror folder, or set ${folder}.`,
      error,
    );
  if (name === "AbortError") return failed(job, "a cancelled download", `To have the file, ${again}`, error);
  // fetch hides the reason in its cause.
  const reason = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : undefined;
  return failed(
    job,
    `${quote(reason ?? message, 200)} from ${quote(from, 200)}`,
    `Check the network and ${again}`,
    error,
  );
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (found) => found.size,
    () => 0,
  );
}

/** SHA-256 of a file, lower-case hex, or `null` where there is none. */
export async function hashOf(path: string): Promise<string | null> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  return hash.digest("hex");
}
