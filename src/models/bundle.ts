import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ProtolineError, quote } from "../core/index.ts";
import { parseManifest } from "./manifest.ts";
import type { Manifest } from "./types.ts";

/** A bundle in memory: the ONNX file without its manifest, and the manifest. */
export interface Bundle {
  readonly manifest: Manifest;
  readonly model: Uint8Array;
}

const modelFile = "model.onnx";
const manifestFile = "manifest.json";

/** Key of the manifest in the metadata of a bundle of one file. */
export const manifestKey = "protoline.manifest";

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Reads a bundle: a folder with `model.onnx` and `manifest.json`, or one `.onnx` file with the manifest in its metadata.
 *
 * The hash in the manifest is the SHA-256 of the model file without the metadata entry `protoline.manifest`; all other
 * bytes count, in their order. So a model has one hash in both forms, and the form of one file is the model's own
 * bytes with that entry appended.
 *
 * Throws MODEL_NOT_FOUND, BUNDLE_INVALID, MODEL_BROKEN, MODEL_HASH_MISMATCH.
 */
export async function readBundle(path: string): Promise<Bundle> {
  const folder = await isFolder(path);
  const modelPath = folder ? join(path, modelFile) : path;
  const { model, manifest: inside } = splitManifest(await readModelFile(modelPath), modelPath);
  const text = folder ? new TextDecoder().decode(await readModelFile(join(path, manifestFile))) : inside;
  if (text === null)
    throw new ProtolineError("BUNDLE_INVALID", {
      expected: `a manifest in the metadata of the model, under ${manifestKey}`,
      got: `none in ${quote(path)}`,
      todo: "Run `protoline models import` on the file first.",
    });
  const manifest = parseManifest(
    parseJson(text, path),
    quote(folder ? join(basename(path), manifestFile) : basename(path)),
  );
  const got = sha256(model);
  if (got !== manifest.model.sha256)
    throw new ProtolineError("MODEL_HASH_MISMATCH", {
      expected: `SHA-256 ${manifest.model.sha256}, which the manifest promises`,
      got: `${got} in ${quote(modelPath)}`,
      todo: "Fetch or import the model again.",
    });
  return { manifest, model };
}

/** Writes a bundle: one file where `path` ends in `.onnx`, else a folder. What was there is replaced whole. */
export async function writeBundle({ manifest, model }: Bundle, path: string): Promise<void> {
  const part = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  await mkdir(dirname(path), { recursive: true });
  try {
    if (path.endsWith(".onnx")) await write(part, withManifest(model, JSON.stringify(manifest)));
    else {
      await mkdir(part);
      await write(join(part, modelFile), model);
      await write(join(part, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
      await rm(path, { recursive: true, force: true });
    }
    await rename(part, path);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

/** Field 14 of ModelProto, `metadata_props`, length-delimited. */
const metadataTag = (14 << 3) | 2;

/** The model's bytes with the manifest's metadata entry appended; protobuf reads a repeated field from any place. */
export function withManifest(model: Uint8Array, manifest: string): Uint8Array {
  const field = (number: number, text: string): Uint8Array[] => {
    const bytes = new TextEncoder().encode(text);
    return [Uint8Array.of((number << 3) | 2), varint(bytes.length), bytes];
  };
  const entry = Buffer.concat([...field(1, manifestKey), ...field(2, manifest)]);
  return Buffer.concat([model, Uint8Array.of(metadataTag), varint(entry.length), entry]);
}

/** Takes the manifest's metadata entry out of a model file. Throws MODEL_BROKEN. */
export function splitManifest(
  bytes: Uint8Array,
  path: string,
): { readonly model: Uint8Array; readonly manifest: string | null } {
  const kept: Uint8Array[] = [];
  let manifest: string | null = null;
  let start = 0;
  for (const { tag, begin, end, next } of fields(bytes, path)) {
    if (tag === metadataTag) {
      const entry = bytes.subarray(begin, end);
      const text = new Map<number, string>();
      for (const part of fields(entry, path))
        text.set(part.tag >>> 3, new TextDecoder().decode(entry.subarray(part.begin, part.end)));
      if (text.get(1) === manifestKey) {
        manifest = text.get(2) ?? "";
        start = next;
        continue;
      }
    }
    kept.push(bytes.subarray(start, next));
    start = next;
  }
  return { model: manifest === null ? bytes : Buffer.concat(kept), manifest };
}

interface Field {
  readonly tag: number;
  /** Where the content lies, and where the next field begins. */
  readonly begin: number;
  readonly end: number;
  readonly next: number;
}

/** The fields of a protobuf message, one level deep. */
function* fields(bytes: Uint8Array, path: string): Generator<Field> {
  let position = 0;
  const broken = (): ProtolineError =>
    new ProtolineError("MODEL_BROKEN", {
      expected: "an ONNX model file",
      got: `${quote(path)}, which breaks off or is something else at byte ${position}`,
      todo: "Check that the file is a complete .onnx file, and fetch or export it again.",
    });
  const number = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[position++];
      if (byte === undefined) throw broken();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw broken();
  };
  while (position < bytes.length) {
    const tag = number();
    const wire = tag & 7;
    let begin = position;
    let length = 0;
    if (wire === 0) number();
    else if (wire === 1) length = 8;
    else if (wire === 5) length = 4;
    else if (wire === 2) {
      length = number();
      begin = position;
    } else throw broken();
    position += length;
    if (position > bytes.length || tag < 8) throw broken();
    yield { tag, begin, end: position, next: position };
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  do {
    const rest = Math.floor(value / 128);
    bytes.push((value % 128) | (rest > 0 ? 128 : 0));
    value = rest;
  } while (value > 0);
  return Uint8Array.from(bytes);
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ProtolineError("BUNDLE_INVALID", {
      expected: "a manifest that is JSON",
      got: `${quote((error as Error).message)} in the manifest of ${quote(path)}`,
      todo: "Correct the manifest, or import the model again.",
      cause: error,
    });
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Throws MODEL_NOT_FOUND. */
export async function readModelFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new ProtolineError("MODEL_NOT_FOUND", {
      expected: "a readable file; a bundle is a folder with model.onnx and manifest.json, or one .onnx file",
      got: `${quote(path)} (${(error as NodeJS.ErrnoException).code})`,
      todo: "Check the path and its permissions.",
      cause: error,
    });
  }
}

/** Writes a new file through to the disk, so that a rename never leads to half of it. */
async function write(path: string, content: Uint8Array | string): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}
