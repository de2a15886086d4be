import { join } from "node:path";
import { ProtolineError, quote } from "../core/index.ts";
import { type DownloadOptions, download, downloadError, hashOf, inMirror } from "../data/index.ts";
import { isBuiltIn } from "./built-in.ts";
import { type ModelSources, modelSources } from "./sources.ts";
import { type ZooRow, zoo, zooRow } from "./zoo.ts";

export interface PullOptions extends DownloadOptions {
  /** Default: from the environment, see {@link modelSources}. */
  readonly sources?: ModelSources;
}

export interface Pulled {
  readonly path: string;
  readonly bytes: number;
  /** False when the right file was there already. */
  readonly downloaded: boolean;
}

/**
 * Fetches a zoo model into the cache: from the mirror (folder or URL) where one is set, else from its own address.
 * A broken download leaves a part that the next one goes on with; the SHA-256 is checked before the file gets its name.
 *
 * Throws MODEL_NOT_FOUND, MODEL_DOWNLOAD_FAILED, MODEL_HASH_MISMATCH.
 */
export async function pullModel(name: string, options: PullOptions = {}): Promise<Pulled> {
  const row = zooRow(name);
  if (!row)
    throw new ProtolineError("MODEL_NOT_FOUND", {
      expected: `one of ${zoo.map((entry) => entry.name).join(", ")}`,
      got: quote(name),
      todo: isBuiltIn(name)
        ? `The model ${name} is built in: there is nothing to download.`
        : "Run `protoline models list` to see the names.",
    });
  return pullRow(row, options);
}

const words = {
  failed: "MODEL_DOWNLOAD_FAILED",
  mismatch: "MODEL_HASH_MISMATCH",
  mirror: "PROTOLINE_MIRROR",
  folder: "PROTOLINE_CACHE",
} as const;

/** {@link pullModel} for a row of any table. */
export async function pullRow(row: ZooRow, options: PullOptions = {}): Promise<Pulled> {
  const { file, bytes, sha256, address } = row;
  const { cache, mirror } = options.sources ?? modelSources(process.env);
  const target = join(cache, file);
  const here = await hashOf(target).catch((error: unknown) => {
    throw downloadError(error, target, { file, words });
  });
  if (here === sha256) return { path: target, bytes, downloaded: false };
  const from = mirror ? inMirror(mirror, file) : address;
  if (!from)
    throw new ProtolineError("MODEL_DOWNLOAD_FAILED", {
      expected: `the file ${file}`,
      got: "this file has no public address",
      todo: `Set PROTOLINE_MIRROR to a folder or URL that holds ${file} (SHA-256 ${sha256}).`,
    });
  await download({ file, target, from, bytes, sha256, words }, options);
  return { path: target, bytes, downloaded: true };
}
