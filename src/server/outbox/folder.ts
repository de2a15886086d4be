import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Actor } from "../../audit/index.ts";
import type { Region } from "../../data/types.ts";

/** An enrollment that waits for the store, without its pictures. */
export interface Enrollment {
  readonly gallery: string;
  readonly label: string;
  /** One a picture. */
  readonly origins: readonly string[];
  readonly allowOtherClass: boolean;
  readonly reason: string | null;
  readonly region: Region | null;
  readonly actor: Actor;
  /** When it was taken, milliseconds since 1970. */
  readonly time: number;
}

/** One that is in the folder. */
export interface Kept extends Enrollment {
  readonly id: string;
  /** The order in which enrollments were taken. */
  readonly seq: number;
}

/** One that was refused once the store was back, and why. */
export interface Refused extends Kept {
  readonly code: string;
  readonly message: string;
}

/** What lies in the folder: a file that cannot be read is known by its name alone. */
export type Found = { readonly kept: Kept } | { readonly file: string; readonly error: Error };

/**
 * Enrollments as files, one each: a line of JSON and the pictures' bytes behind it. A file gets its name when it is on
 * the disk, so that one with a name is whole; those that were refused lie in `refused/`, with the reason beside them.
 */
export interface OutboxFolder {
  /** All that wait, in their order; what a crash left half-written was never acknowledged and is removed. */
  waiting(): Promise<readonly Found[]>;
  refused(): Promise<readonly Refused[]>;
  /** Resolves when it is on the disk. */
  keep(seq: number, enrollment: Enrollment, pictures: readonly Uint8Array[]): Promise<Kept>;
  /** `null` when the file is gone. */
  pictures(kept: Kept): Promise<readonly Uint8Array[] | null>;
  remove(kept: Kept): Promise<void>;
  refuse(kept: Kept, code: string, message: string): Promise<Refused>;
  /** Puts a file aside that cannot be read. */
  putAside(file: string): Promise<void>;
}

const end = ".enroll";
const part = ".part";

interface Head extends Kept {
  /** Bytes of each picture. */
  readonly sizes: readonly number[];
}

function unpack(file: Buffer): { readonly head: Head; readonly pictures: readonly Uint8Array[] } {
  const split = file.indexOf(10);
  const head = JSON.parse(file.toString("utf8", 0, Math.max(split, 0))) as Head;
  const pictures: Uint8Array[] = [];
  let at = split + 1;
  for (const size of head.sizes) {
    pictures.push(file.subarray(at, at + size));
    at += size;
  }
  if (at !== file.length) throw new Error(`${file.length} bytes instead of ${at}`);
  return { head, pictures };
}

/** @param folder is chosen by whoever starts the server, never by a request; it is made where there is none. */
export function outboxFolder(folder: string): OutboxFolder {
  const aside = join(folder, "refused");
  const nameOf = ({ seq, id }: Kept): string => `${String(seq).padStart(12, "0")}-${id}${end}`;

  /** Whole and on the disk under its name, or not there. */
  async function write(into: string, name: string, chunks: readonly Uint8Array[]): Promise<void> {
    const [half, whole] = [join(into, `${name}${part}`), join(into, name)];
    try {
      const file = await open(half, "w", 0o600);
      try {
        for (const chunk of chunks) await file.writeFile(chunk);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(half, whole);
      await sync(into);
    } catch (error) {
      for (const path of [half, whole]) await rm(path, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  async function names(of: string, ending: string): Promise<string[]> {
    const all = await readdir(of);
    for (const name of all) if (name.endsWith(part)) await rm(join(of, name), { force: true });
    return all.filter((name) => name.endsWith(ending)).sort();
  }

  return {
    async waiting() {
      await mkdir(aside, { recursive: true });
      const found: Found[] = [];
      for (const file of await names(folder, end))
        try {
          const { sizes: _, ...kept } = unpack(await readFile(join(folder, file))).head;
          found.push({ kept });
        } catch (error) {
          found.push({ file, error: error as Error });
        }
      return found;
    },
    async refused() {
      const there = new Set(await names(aside, end));
      const reasons = (await names(aside, ".json")).filter((name) => there.has(name.slice(0, -5)));
      return Promise.all(
        reasons.map(async (name) => JSON.parse(await readFile(join(aside, name), "utf8")) as Refused),
      );
    },
    async keep(seq, enrollment, pictures) {
      const kept: Kept = { ...enrollment, id: randomUUID(), seq };
      const head: Head = { ...kept, sizes: pictures.map(({ length }) => length) };
      await write(folder, nameOf(kept), [Buffer.from(`${JSON.stringify(head)}\n`), ...pictures]);
      return kept;
    },
    async pictures(kept) {
      try {
        return unpack(await readFile(join(folder, nameOf(kept)))).pictures;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
        throw error;
      }
    },
    remove: (kept) => rm(join(folder, nameOf(kept)), { force: true }),
    async refuse(kept, code, message) {
      const refused: Refused = { ...kept, code, message };
      const name = nameOf(kept);
      // The reason first: a crash in between leaves the enrollment waiting, and it is tried once more.
      await write(aside, `${name}.json`, [Buffer.from(JSON.stringify(refused))]);
      await rename(join(folder, name), join(aside, name));
      return refused;
    },
    putAside: (file) => rename(join(folder, file), join(aside, file)),
  };
}

/** A file's name is on the disk when its folder is. */
async function sync(folder: string): Promise<void> {
  const opened = await open(folder, "r");
  await opened.sync().finally(() => opened.close());
}
