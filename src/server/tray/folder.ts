import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TrayFrame } from "./types.ts";

/** Where frames of the tray outlive the server: one file each, named by the frame's own id. */
export interface TrayFolder {
  /** All frames, oldest first; files that are none are passed over. */
  read(): Promise<TrayFrame[]>;
  write(frame: TrayFrame): Promise<void>;
  remove(id: string): Promise<void>;
}

const end = ".frame";
const part = ".part";

/** A line of JSON, then the picture's bytes. */
function pack({ bytes, embedding, ...rest }: TrayFrame): Buffer {
  const numbers = embedding && Buffer.from(embedding.buffer, embedding.byteOffset, embedding.byteLength);
  const head = { ...rest, embedding: numbers?.toString("base64") ?? null };
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes]);
}

function unpack(file: Buffer): TrayFrame {
  const split = file.indexOf(10);
  const { embedding, ...rest } = JSON.parse(file.toString("utf8", 0, split)) as Omit<
    TrayFrame,
    "embedding"
  > & {
    embedding: string | null;
  };
  const numbers = embedding === null ? null : Uint8Array.from(Buffer.from(embedding, "base64"));
  return {
    ...rest,
    bytes: file.subarray(split + 1),
    embedding: numbers && new Float32Array(numbers.buffer),
  };
}

/** @param folder is chosen by whoever starts the server, never by a request; it is made where there is none. */
export function trayFolder(folder: string): TrayFolder {
  const path = (id: string): string => join(folder, `${id}${end}`);
  return {
    async read() {
      await mkdir(folder, { recursive: true });
      const frames: TrayFrame[] = [];
      for (const name of await readdir(folder)) {
        if (name.endsWith(part)) await rm(join(folder, name), { force: true });
        if (!name.endsWith(end)) continue;
        try {
          frames.push(unpack(await readFile(join(folder, name))));
        } catch {
          // Half a file of a server that was killed while it wrote it: the frame is lost, the others are not.
          await rm(join(folder, name), { force: true });
        }
      }
      return frames.sort((a, b) => a.time - b.time);
    },
    async write(frame) {
      const half = `${path(frame.id)}${part}`;
      try {
        await writeFile(half, pack(frame));
        await rename(half, path(frame.id));
      } catch (error) {
        // On a full disk it would only take what space there is.
        await rm(half, { force: true });
        throw error;
      }
    },
    remove: (id) => rm(path(id), { force: true }),
  };
}
