import { readFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";

/** The entries of a zip file whose names pass `wanted`: stored and deflated ones, without zip64 and encryption. */
export function* unzip(
  path: string,
  wanted: (name: string) => boolean,
): Generator<{ readonly name: string; readonly bytes: Uint8Array }> {
  const file = readFileSync(path);
  // The end record stands before a comment of at most 65,535 bytes.
  const end = file.lastIndexOf("PK\x05\x06", undefined, "latin1");
  if (end < 0) throw new Error(`${path} is no zip file`);
  const count = file.readUInt16LE(end + 10);
  let at = file.readUInt32LE(end + 16);
  for (let i = 0; i < count; i++) {
    const method = file.readUInt16LE(at + 10);
    const size = file.readUInt32LE(at + 20);
    const nameLength = file.readUInt16LE(at + 28);
    const local = file.readUInt32LE(at + 42);
    const name = file.toString("utf8", at + 46, at + 46 + nameLength);
    if (wanted(name)) {
      const from = local + 30 + file.readUInt16LE(local + 26) + file.readUInt16LE(local + 28);
      const packed = file.subarray(from, from + size);
      yield { name, bytes: method === 0 ? packed : inflateRawSync(packed) };
    }
    at += 46 + nameLength + file.readUInt16LE(at + 30) + file.readUInt16LE(at + 32);
  }
}
