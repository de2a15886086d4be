import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import type { DatasetPlan, PixelFormat } from "./datasets/types.ts";

/** Grows whenever the same pictures and format would give other bytes. */
const version = 1;
const magic = "PLPIXELS";
/** Magic, key (32 bytes), length of the pixels (8) and their CRC-32 (4), little endian. */
const headBytes = 52;

/** SHA-256 of all that decides the pixels, hex: format, rows, and path, size and date of every source file. */
export async function cacheKey({ pictures, rows }: DatasetPlan, format: PixelFormat): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([version, format]));
  const files = [...new Set(pictures.map(({ archive, path }) => archive ?? path))];
  for (const file of files) {
    const { size, mtimeMs } = await stat(file);
    hash.update(JSON.stringify([file, size, mtimeMs]));
  }
  for (const { archive, path } of pictures) hash.update(JSON.stringify([archive, path]));
  for (const { picture, turns } of rows) hash.update(`${picture},${turns};`);
  return hash.digest("hex");
}

/** The pixels of a cache file, or `null` where it is not there, not whole, or made from something else. */
export async function readCache(path: string, key: string, length: number): Promise<Uint8Array | null> {
  const file = await open(path, "r").catch(() => null);
  if (!file) return null;
  try {
    const head = Buffer.alloc(headBytes);
    await file.read(head, 0, headBytes, 0);
    if (head.toString("latin1", 0, 8) !== magic || head.toString("hex", 8, 40) !== key) return null;
    if (Number(head.readBigUInt64LE(40)) !== length) return null;
    const pixels = new Uint8Array(length);
    for (let filled = 0; filled < length; ) {
      const { bytesRead } = await file.read(
        pixels,
        filled,
        Math.min(length - filled, 2 ** 28),
        headBytes + filled,
      );
      if (bytesRead === 0) return null;
      filled += bytesRead;
    }
    return crc32(pixels) === head.readUInt32LE(48) ? pixels : null;
  } finally {
    await file.close();
  }
}

/** Writes the file beside its place and moves it there whole. */
export async function writeCache(path: string, key: string, pixels: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const part = `${path}.${randomUUID()}`;
  try {
    const file = await open(part, "wx");
    try {
      const head = Buffer.alloc(headBytes);
      head.write(magic, 0, "latin1");
      head.write(key, 8, "hex");
      head.writeBigUInt64LE(BigInt(pixels.length), 40);
      head.writeUInt32LE(crc32(pixels), 48);
      await file.writeFile(head);
      await file.writeFile(pixels);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
