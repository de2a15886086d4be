import { readFile } from "node:fs/promises";
import { type UnzipFileInfo, unzipSync } from "fflate";
import { ProtolineError, quote } from "../core/index.ts";
import { reasonOf } from "./read.ts";

/** A zip file in memory. */
export interface Zip {
  /** Names of all files in it, in its own order; folders are not among them. */
  readonly names: readonly string[];
  /** Unpacks the files of these names, a few thousand at a time, so that never the whole is unpacked at once. */
  files(names: Iterable<string>): Generator<{ readonly name: string; readonly bytes: Uint8Array }>;
}

/** Files that are unpacked in one go: each further one costs a pass over the zip's directory. */
const atOnce = 4096;

/**
 * Reads a zip file, whole and still packed.
 *
 * @throws DATASET_NOT_FOUND, DATASET_BROKEN (also from `files`).
 */
export async function openZip(path: string): Promise<Zip> {
  const packed = await readFile(path).catch((cause: unknown) => {
    throw new ProtolineError("DATASET_NOT_FOUND", {
      expected: `a readable zip file at ${quote(path, 200)}`,
      got: reasonOf(cause),
      todo: "Check the path, or fetch the file with `protoline data pull`.",
      cause,
    });
  });
  const unpack = (filter: (file: UnzipFileInfo) => boolean): Record<string, Uint8Array> => {
    try {
      return unzipSync(packed, { filter });
    } catch (cause) {
      throw new ProtolineError("DATASET_BROKEN", {
        expected: `a whole zip file at ${quote(path, 200)}`,
        got: `one whose reader says ${quote(cause instanceof Error ? cause.message : String(cause))}`,
        todo: "Delete the file and fetch it again.",
        cause,
      });
    }
  };
  const names: string[] = [];
  unpack(({ name }) => {
    if (!name.endsWith("/")) names.push(name);
    return false;
  });
  return {
    names,
    *files(wanted) {
      const set = new Set(wanted);
      const order = names.filter((name) => set.has(name));
      for (let from = 0; from < order.length; from += atOnce) {
        const some = new Set(order.slice(from, from + atOnce));
        const unpacked = unpack(({ name }) => some.has(name));
        for (const name of some) yield { name, bytes: unpacked[name]! };
      }
    },
  };
}
