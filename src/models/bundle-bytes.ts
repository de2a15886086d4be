import { joinBytes, ProtolineError, quote, sha256 } from "../core/index.ts";
import { parseManifest } from "./manifest.ts";
import type { Manifest } from "./types.ts";

/** A bundle in memory: the ONNX file without its manifest, and the manifest. */
export interface Bundle {
  readonly manifest: Manifest;
  readonly model: Uint8Array;
}

/** Key of the manifest in the metadata of a bundle of one file. */
export const manifestKey = "protoline.manifest";

/**
 * Reads a bundle of one file: an ONNX model with the manifest in its metadata.
 * @param where the file's path or address, for messages. Throws BUNDLE_INVALID, MODEL_BROKEN, MODEL_HASH_MISMATCH.
 */
export function parseBundle(bytes: Uint8Array, where: string, manifestName = quote(where)): Bundle {
  const { model, manifest } = splitManifest(bytes, where);
  if (manifest === null)
    throw new ProtolineError("BUNDLE_INVALID", {
      expected: `a manifest in the metadata of the model, under ${manifestKey}`,
      got: `none in ${quote(where)}`,
      todo: "Run `protoline models import` on the file first.",
    });
  return checkedBundle(model, manifest, where, { manifest: manifestName, model: where });
}

/** Model and manifest as a bundle, when they belong together. Throws BUNDLE_INVALID, MODEL_HASH_MISMATCH. */
export function checkedBundle(
  model: Uint8Array,
  text: string,
  where: string,
  names: { readonly manifest: string; readonly model: string },
): Bundle {
  const manifest = parseManifest(parseJson(text, where), names.manifest);
  const got = sha256(model);
  if (got !== manifest.model.sha256)
    throw new ProtolineError("MODEL_HASH_MISMATCH", {
      expected: `SHA-256 ${manifest.model.sha256}, which the manifest promises`,
      got: `${got} in ${quote(names.model)}`,
      todo: "Fetch or import the model again.",
    });
  return { manifest, model };
}

/** Field 14 of ModelProto, `metadata_props`, length-delimited. */
const metadataTag = (14 << 3) | 2;

/** The model's bytes with the manifest's metadata entry appended; protobuf reads a repeated field from any place. */
export function withManifest(model: Uint8Array, manifest: string): Uint8Array {
  const field = (number: number, text: string): Uint8Array[] => {
    const bytes = new TextEncoder().encode(text);
    return [Uint8Array.of((number << 3) | 2), varint(bytes.length), bytes];
  };
  const entry = joinBytes([...field(1, manifestKey), ...field(2, manifest)]);
  return joinBytes([model, Uint8Array.of(metadataTag), varint(entry.length), entry]);
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
  return { model: manifest === null ? bytes : joinBytes(kept), manifest };
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
