import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { isProtolineError, ProtolineError, quote } from "../core/index.ts";
import { checkDecision, checkRefresh, invalid, isRecord, isSha256, show } from "./check.ts";
import { checkGalleryName } from "./labels.ts";
import type { GalleryInfo, GalleryStore, NewGallery, NewSample } from "./store.ts";

/**
 * A gallery's head in one file, the same for all drivers: gzip over lines of JSON. The first line is the header, one
 * line a sample follows (embeddings and pictures in base64, float32 little-endian), the last line is the SHA-256 of
 * all before it. History, pending samples and sample ids stay behind.
 */
const format = "protoline-gallery";
const version = 1;

/** Longest line that is read, in characters; a picture of 100 MB fits. */
const lineLimit = 200_000_000;
const batchSize = 100;

export interface ExportOptions {
  /** Put the kept pictures into the file too. Default true. */
  readonly images?: boolean;
}

export interface ImportOptions {
  /** Default: the name that the gallery had. */
  readonly name?: string;
  readonly who: string;
}

/**
 * Writes the head of a gallery to the file `path`, which appears whole or not at all.
 * Throws GALLERY_NOT_FOUND, INVALID_ARGUMENT (the file cannot be written).
 */
export async function exportGallery(
  store: GalleryStore,
  name: string,
  path: string,
  { images = true }: ExportOptions = {},
): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await pipeline(
      Readable.from(pack(store, name, images)),
      createGzip(),
      createWriteStream(partial, { flush: true }),
    );
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw fileError(error, "a file that can be written", path);
  }
}

/**
 * Makes a gallery from a file that {@link exportGallery} wrote; its first revision has the hash of the exported one.
 * A file that is cut short or altered is refused as a whole.
 * Throws GALLERY_FILE_INVALID, GALLERY_EXISTS, INVALID_ARGUMENT (the file cannot be read).
 */
export async function importGallery(
  store: GalleryStore,
  path: string,
  { name, who }: ImportOptions,
): Promise<GalleryInfo> {
  if (name !== undefined) checkGalleryName(name);
  let made: string | undefined;
  try {
    const lines = split(unzip(path));
    const header = await readHeader(lines);
    const gallery = name ?? header.name;
    await store.createGallery({ ...header, name: gallery, refresh: { kind: "manual" }, who });
    made = gallery;
    await readSamples(store, gallery, header, lines);
    const { hash } = await store.publish(gallery, { who, reason: `import ${quote(header.name)}` });
    if (hash !== header.revisionHash)
      throw broken("the content that the header names", `hash ${quote(hash)}`);
    await store.setRefresh(gallery, header.refresh);
    return await store.gallery(gallery);
  } catch (error) {
    if (made !== undefined) await store.removeGallery(made);
    throw fileError(error, "a file that can be read", path);
  }
}

async function* pack(store: GalleryStore, name: string, images: boolean): AsyncGenerator<string> {
  const hash = createHash("sha256");
  const line = (value: unknown): string => {
    const text = `${JSON.stringify(value)}\n`;
    hash.update(text);
    return text;
  };
  const { refresh } = await store.gallery(name);
  const { revision, model, modelHash, dim, decision, samples } = await store.snapshot(name);
  const revisionHash = revision.hash;
  yield line({ format, version, name, model, modelHash, dim, decision, refresh, revisionHash });
  for (const { id, embeddings, ...sample } of samples) {
    const image = images ? await store.image(name, id) : null;
    yield line({
      ...sample,
      embeddings: embeddings.map(({ buffer, byteOffset, byteLength }) =>
        Buffer.from(buffer, byteOffset, byteLength).toString("base64"),
      ),
      image: image && { ...image, bytes: Buffer.from(image.bytes).toString("base64") },
    });
  }
  yield `${JSON.stringify({ sha256: hash.digest("hex") })}\n`;
}

type Header = Omit<NewGallery, "who"> &
  Required<Pick<NewGallery, "refresh">> & { readonly revisionHash: string };

interface Line {
  readonly value: Record<string, unknown>;
  /** SHA-256 of all lines before this one. */
  readonly before: string;
}

async function* unzip(path: string): AsyncGenerator<Buffer> {
  const file = createReadStream(path);
  const plain = file.pipe(createGunzip());
  file.once("error", (error) => plain.destroy(error));
  try {
    yield* plain;
  } finally {
    file.destroy();
    plain.destroy();
  }
}

/** The lines of the file, parsed. */
async function* split(plain: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  const hash = createHash("sha256");
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of plain) {
    let from = 0;
    for (let to = chunk.indexOf(10); to >= 0; to = chunk.indexOf(10, from)) {
      const bytes = Buffer.concat([...parts, chunk.subarray(from, to + 1)]);
      yield { value: parse(bytes.toString("utf8")), before: hash.copy().digest("hex") };
      hash.update(bytes);
      from = to + 1;
      parts = [];
      length = 0;
    }
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > lineLimit) throw broken("shorter lines", `more than ${lineLimit} characters in one`);
  }
  if (length > 0) throw broken("a last line with the hash", "half a line");
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch {
    // Said below, as of other values.
  }
  throw broken("lines of JSON objects", quote(text, 40));
}

async function readHeader(lines: AsyncGenerator<Line>): Promise<Header> {
  const first = await lines.next();
  const header = first.done ? {} : first.value.value;
  if (header.format !== format) throw broken("a gallery's export", "another file");
  if (header.version !== version)
    throw broken(`version ${version} of the format`, show(header.version), "Update Protoline to read it.");
  const { name, model, modelHash, dim, decision, refresh, revisionHash } = header;
  if (
    typeof name !== "string" ||
    typeof model !== "string" ||
    typeof modelHash !== "string" ||
    typeof dim !== "number" ||
    typeof revisionHash !== "string"
  )
    throw broken("a header with name, model and hashes", "a header without one of them");
  return {
    name,
    model,
    modelHash,
    dim,
    decision: checkDecision(decision),
    refresh: checkRefresh(refresh),
    revisionHash,
  };
}

async function readSamples(
  store: GalleryStore,
  gallery: string,
  { modelHash }: Header,
  lines: AsyncGenerator<Line>,
): Promise<void> {
  let batch: NewSample[] = [];
  let who = "";
  const flush = async (): Promise<void> => {
    const { duplicates } = await store.addSamples(gallery, batch, { who, modelHash, allowOtherClass: true });
    if (duplicates.length > 0) throw broken("each picture once in a class", "one twice");
    batch = [];
  };
  for await (const { value, before } of lines) {
    if (isSha256(value.sha256)) {
      if (value.sha256 !== before) throw broken("the lines that were written", "lines with another hash");
      if (!(await lines.next()).done) throw broken("nothing after the hash", "more lines");
      return flush();
    }
    const { sample, who: whose } = readSample(value);
    if (whose !== who || batch.length === batchSize) await flush();
    who = whose;
    batch.push(sample);
  }
  throw broken("a last line with the hash", "the end of the file");
}

/** Types alone; the store checks what is in them. */
function readSample(line: Record<string, unknown>): { sample: NewSample; who: string } {
  const { label, embeddings, contentHash, image, origin, time, who } = line;
  const texts = [label, contentHash, origin, who].every((text) => typeof text === "string");
  if (
    !texts ||
    typeof time !== "number" ||
    !Array.isArray(embeddings) ||
    (image !== null && !isRecord(image))
  )
    throw broken("samples with label, hash, origin, who, time and embeddings", "one without");
  const sample: NewSample = {
    label: label as string,
    contentHash: contentHash as string,
    origin: origin as string,
    time,
    embeddings: embeddings.map((text) => {
      const bytes = decode(text);
      if (bytes.length % 4 !== 0)
        throw broken("embeddings of whole numbers of floats", `${bytes.length} bytes`);
      return new Float32Array(Uint8Array.from(bytes).buffer);
    }),
    image: image && { type: String(image.type), whole: image.whole === true, bytes: decode(image.bytes) },
  };
  return { sample, who: who as string };
}

function decode(text: unknown): Buffer {
  if (typeof text !== "string") throw broken("base64", typeof text);
  return Buffer.from(text, "base64");
}

function broken(
  expected: string,
  got: string,
  todo = "Export the gallery again; nothing was imported.",
): ProtolineError {
  return new ProtolineError("GALLERY_FILE_INVALID", { expected, got, todo });
}

/** What the content of a file makes the store throw is the file's fault; what the disk says is told as such. */
function fileError(error: unknown, expected: string, path: string): unknown {
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (/^Z_/.test(code)) return broken("a gallery's export, whole", message);
  if (isProtolineError(error)) {
    const content = /^(INVALID_ARGUMENT|LABEL_INVALID|DIMENSION_MISMATCH|NOT_FINITE)$/.test(error.code);
    return content ? broken(error.expected, error.got) : error;
  }
  return /^E[A-Z]+$/.test(code) && (error as NodeJS.ErrnoException).syscall !== undefined
    ? invalid(`${expected} at ${quote(path, 200)}`, quote(message), "Check the path and its rights.")
    : error;
}
