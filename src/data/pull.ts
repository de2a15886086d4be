import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { ProtolineError } from "../core/index.ts";
import type { DatasetFile } from "./datasets/types.ts";
import { type DownloadOptions, download, hashOf, inMirror } from "./download.ts";
import { findDataset } from "./load.ts";
import { openZip } from "./zip.ts";

/** Where data sets are kept and found. */
export interface DataSources {
  /** Holds each data set in a folder of its name. */
  readonly folder: string;
  /** Folder or http(s) URL laid out in the same way, or `null` for each file's own address. */
  readonly mirror: string | null;
}

/**
 * Reads PROTOLINE_DATA and PROTOLINE_DATA_MIRROR. Default folder: `protoline/data` in `XDG_CACHE_HOME`, else in
 * `LOCALAPPDATA`, else in `~/.cache`. For the edges, which pass the result on.
 */
export function dataSources(env: Readonly<Record<string, string | undefined>>): DataSources {
  const base = env.XDG_CACHE_HOME || env.LOCALAPPDATA || join(homedir(), ".cache");
  return {
    folder: env.PROTOLINE_DATA || join(base, "protoline", "data"),
    mirror: env.PROTOLINE_DATA_MIRROR || null,
  };
}

export interface PulledFile {
  readonly file: string;
  readonly path: string;
  readonly bytes: number;
  /** False when it was there already. */
  readonly downloaded: boolean;
  /** Whether it is the published file to the byte; `null` where no hash of that is known. */
  readonly published: boolean | null;
}

const words = {
  failed: "DATASET_DOWNLOAD_FAILED",
  mismatch: "DATASET_HASH_MISMATCH",
  mirror: "PROTOLINE_DATA_MIRROR",
  folder: "PROTOLINE_DATA",
} as const;

/**
 * Fetches the files of a data set that are not in its folder yet. What comes from its public address must be the
 * published file; a mirror is the user's own and may hold the same pictures packed anew, hence what comes from there is
 * only told apart in `published`. A file that is there is left alone.
 *
 * @throws INVALID_ARGUMENT, DATASET_DOWNLOAD_FAILED, DATASET_HASH_MISMATCH, DATASET_BROKEN
 */
export async function pullDataset(
  name: string,
  { folder, mirror }: DataSources,
  options: Omit<DownloadOptions, "onProgress"> & {
    /** Bytes of the file on disk so far, of all. */
    readonly onProgress?: (file: string, received: number, total: number) => void;
  } = {},
): Promise<PulledFile[]> {
  const { files } = findDataset(name);
  if (files.length === 0)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a data set that is published",
      got: name,
      todo: "The pictures are your own: there is nothing to fetch.",
    });
  const pulled: PulledFile[] = [];
  for (const row of files) {
    const target = join(folder, name, row.file);
    const here = existsSync(target);
    if (!here)
      await fetchFile(row, target, mirror && inMirror(mirror, `${name}/${row.file}`), {
        ...options,
        onProgress: (received, total) => options.onProgress?.(row.file, received, total),
      });
    pulled.push({
      file: row.file,
      path: target,
      bytes: (await stat(target)).size,
      downloaded: !here,
      published: row.sha256 === null ? null : (await hashOf(target)) === row.sha256,
    });
  }
  return pulled;
}

async function fetchFile(
  { file, address, bytes, sha256 }: DatasetFile,
  target: string,
  mirrored: string | null,
  options: DownloadOptions,
): Promise<void> {
  const known = mirrored === null ? { bytes, sha256 } : { bytes: null, sha256: null };
  await download({ file, target, from: mirrored ?? address, ...known, words }, options, async (part) => {
    // Without a hash: an address that answers with a page about the file instead of the file would pass for it.
    if (known.sha256 === null && file.endsWith(".zip")) await openZip(part);
  });
}
