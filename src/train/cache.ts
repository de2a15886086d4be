import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";

/** What decides an embedding beside the picture's bytes. */
export interface CacheKey {
  readonly modelHash: string;
  /** Name of the views, and of how they are drawn. */
  readonly views: string;
  /** Numbers that are kept a picture: views × embeddingDim. */
  readonly length: number;
}

/**
 * Embeddings on disk by content hash. A cache alone: deleting it costs time and nothing else.
 *
 * One folder a key. Each run that has something to add writes a file of its own, so that processes never share one;
 * a record is SHA-256 of the picture (32 bytes), CRC-32 of the numbers (4), the numbers (float32, little endian).
 * Records have one length, hence a tail that a crash cut off is recognized and skipped, as is one whose sum is wrong.
 */
export interface EmbeddingCache {
  /** The numbers of a picture by the SHA-256 of its bytes (lower-case hex), where they are there and whole. */
  get(hash: string): Promise<Float32Array | null>;
  add(hash: string, numbers: Float32Array): Promise<void>;
  close(): Promise<void>;
}

const headBytes = 36;

export async function openEmbeddingCache(
  dir: string,
  { modelHash, views, length }: CacheKey,
): Promise<EmbeddingCache> {
  const name = createHash("sha256").update(`1\n${modelHash}\n${views}\n${length}`).digest("hex").slice(0, 32);
  const folder = join(dir, name);
  const recordBytes = headBytes + 4 * length;
  const readers: FileHandle[] = [];
  const index = new Map<string, { readonly reader: FileHandle; readonly at: number }>();
  const record = Buffer.alloc(recordBytes);
  let writer: FileHandle | null = null;

  const files = (await readdir(folder).catch(unlessMissing)).filter((file) => file.endsWith(".bin"));
  for (const file of files) {
    const reader = await open(join(folder, file), "r");
    readers.push(reader);
    const { size } = await reader.stat();
    for (let at = 0; at + recordBytes <= size; at += recordBytes) {
      await reader.read(record, 0, 32, at);
      index.set(record.toString("hex", 0, 32), { reader, at });
    }
  }

  return {
    async get(hash) {
      const place = index.get(hash);
      if (!place) return null;
      const body = Buffer.alloc(recordBytes);
      const { bytesRead } = await place.reader.read(body, 0, recordBytes, place.at);
      const numbers = body.subarray(headBytes);
      if (bytesRead < recordBytes || crc32(numbers) !== body.readUInt32LE(32)) return null;
      return Float32Array.from({ length }, (_, i) => numbers.readFloatLE(4 * i));
    },
    async add(hash, numbers) {
      if (!writer) {
        await mkdir(folder, { recursive: true });
        writer = await openNext(folder, files.length);
      }
      const record = Buffer.alloc(recordBytes);
      record.write(hash, 0, "hex");
      numbers.forEach((value, i) => {
        record.writeFloatLE(value, headBytes + 4 * i);
      });
      record.writeUInt32LE(crc32(record.subarray(headBytes)), 32);
      await writer.write(record);
    },
    async close() {
      for (const handle of [...readers, writer]) await handle?.close();
    },
  };
}

function unlessMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === "ENOENT") return [];
  throw error;
}

/** The first free number from `from` on, made exclusively: two processes never get one file. */
async function openNext(folder: string, from: number): Promise<FileHandle> {
  for (let number = from; ; number++) {
    try {
      return await open(join(folder, `${String(number).padStart(6, "0")}.bin`), "wx");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}
