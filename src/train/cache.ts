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
  /** Those of `hashes` (lower-case hex) that are there and whole. */
  load(hashes: ReadonlySet<string>): Promise<Map<string, Float32Array>>;
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
  let writer: FileHandle | null = null;

  const files = async (): Promise<string[]> => {
    try {
      return (await readdir(folder)).filter((file) => file.endsWith(".bin")).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  };

  return {
    async load(hashes) {
      const found = new Map<string, Float32Array>();
      const record = Buffer.alloc(recordBytes);
      for (const file of await files()) {
        const handle = await open(join(folder, file), "r");
        try {
          for (let at = 0; found.size < hashes.size; at += recordBytes) {
            const { bytesRead } = await handle.read(record, 0, headBytes, at);
            if (bytesRead < headBytes) break;
            const hash = record.toString("hex", 0, 32);
            if (!hashes.has(hash) || found.has(hash)) continue;
            const rest = await handle.read(record, headBytes, 4 * length, at + headBytes);
            if (rest.bytesRead < 4 * length) break;
            const body = record.subarray(headBytes);
            if (crc32(body) === record.readUInt32LE(32)) found.set(hash, fromBytes(body));
          }
        } finally {
          await handle.close();
        }
      }
      return found;
    },
    async add(hash, numbers) {
      if (!writer) {
        await mkdir(folder, { recursive: true });
        writer = await openNext(folder, (await files()).length);
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
      await writer?.close();
      writer = null;
    },
  };
}

function fromBytes(body: Buffer): Float32Array {
  return Float32Array.from({ length: body.length / 4 }, (_, i) => body.readFloatLE(4 * i));
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
