import { createSha256, isProtolineError, joinBytes, ProtolineError, quote } from "../core/index.ts";
import { isOlderDecision } from "../fewshot/index.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { checkDecision, checkRefresh, isRecord, isSha256, show } from "./check.ts";
import { contentHashOf } from "./hash.ts";
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

/** The lines of the head of a gallery. Throws GALLERY_NOT_FOUND. */
export async function* packGallery(
  store: GalleryStore,
  name: string,
  { images = true }: ExportOptions = {},
): AsyncGenerator<string> {
  const hash = createSha256();
  const line = (value: unknown): string => {
    const text = `${JSON.stringify(value)}\n`;
    hash.update(text);
    return text;
  };
  const { refresh } = await store.gallery(name);
  const { revision, model, modelHash, dim, decision, decisionIsOlder, samples } = await store.snapshot(name);
  // An older decision travels in today's form, and the content is named with that.
  const revisionHash = decisionIsOlder ? contentHashOf(modelHash, decision, samples) : revision.hash;
  yield line({ format, version, name, model, modelHash, dim, decision, refresh, revisionHash });
  for (const { id, embeddings, ...sample } of samples) {
    const image = images ? await store.image(name, id) : null;
    yield line({
      ...sample,
      embeddings: embeddings.map(({ buffer, byteOffset, byteLength }) =>
        toBase64(new Uint8Array(buffer, byteOffset, byteLength)),
      ),
      image: image && { ...image, bytes: toBase64(image.bytes) },
    });
  }
  yield `${JSON.stringify({ sha256: hash.digest() })}\n`;
}

/**
 * Makes a gallery from the bytes of {@link packGallery}'s lines; its first revision has the hash of the packed one.
 * What is cut short or altered is refused as a whole. Throws GALLERY_FILE_INVALID, GALLERY_EXISTS, INVALID_ARGUMENT.
 */
export async function unpackGallery(
  store: GalleryStore,
  plain: AsyncIterable<Uint8Array>,
  { name, who }: ImportOptions,
): Promise<GalleryInfo> {
  if (name !== undefined) checkGalleryName(name);
  let made: string | undefined;
  try {
    const lines = split(plain);
    const header = await readHeader(lines);
    const gallery = name ?? header.name;
    await store.createGallery({ ...header, name: gallery, refresh: { kind: "manual" }, who });
    made = gallery;
    await readSamples(store, gallery, header, lines);
    const { hash } = await store.publish(gallery, { who, reason: `import ${quote(header.name)}` });
    const { asWritten } = header;
    const named = isOlderDecision(asWritten)
      ? contentHashOf(header.modelHash, asWritten, (await store.snapshot(gallery)).samples)
      : hash;
    if (named !== header.revisionHash)
      throw broken("the content that the header names", `hash ${quote(named)}`);
    await store.setRefresh(gallery, header.refresh);
    return await store.gallery(gallery);
  } catch (error) {
    if (made !== undefined) await store.removeGallery(made);
    throw contentError(error);
  }
}

/** What the content of a file makes the store throw is the file's fault. */
function contentError(error: unknown): unknown {
  return isProtolineError(error) &&
    /^(INVALID_ARGUMENT|LABEL_INVALID|DIMENSION_MISMATCH|NOT_FINITE)$/.test(error.code)
    ? broken(error.expected, error.got)
    : error;
}

type Header = Omit<NewGallery, "who"> &
  Required<Pick<NewGallery, "refresh">> & {
    readonly revisionHash: string;
    /** The decision as the file has it, which an older one has in another form. */
    readonly asWritten: unknown;
  };

interface Line {
  readonly value: Record<string, unknown>;
  /** SHA-256 of all lines before this one. */
  readonly before: string;
}

/** The lines of the file, parsed. */
async function* split(plain: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  const hash = createSha256();
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of plain) {
    let from = 0;
    for (let to = chunk.indexOf(10); to >= 0; to = chunk.indexOf(10, from)) {
      const bytes = joinBytes([...parts, chunk.subarray(from, to + 1)]);
      yield { value: parse(new TextDecoder().decode(bytes)), before: hash.digest() };
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
    asWritten: decision,
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

function decode(text: unknown): Uint8Array {
  const bytes = typeof text === "string" ? fromBase64(text) : undefined;
  if (!bytes) throw broken("base64", typeof text === "string" ? quote(text, 40) : typeof text);
  return bytes;
}

export function broken(
  expected: string,
  got: string,
  todo = "Export the gallery again; nothing was imported.",
): ProtolineError {
  return new ProtolineError("GALLERY_FILE_INVALID", { expected, got, todo });
}
