import { existsSync } from "node:fs";
import { join } from "node:path";
import { ProtolineError, quote, sha256 } from "../core/index.ts";
import { isUrl } from "../data/index.ts";
import { builtIn, isBuiltIn } from "./built-in.ts";
import { readBundle, readModelFile } from "./bundle.ts";
import type { Bundle } from "./bundle-bytes.ts";
import { learnedFrom } from "./learned.ts";
import { findLearned } from "./learned-folder.ts";
import { type ModelSources, modelSources } from "./sources.ts";
import { type ZooRow, zooManifest, zooRow } from "./zoo.ts";

/** Where a bundle came from. */
export type Place = "built in" | "cache" | "mirror" | "imported" | "learned" | "path";

export interface Found extends Bundle {
  readonly place: Place;
  /** Path of the file or folder, or `null` for what is built in. */
  readonly path: string | null;
}

/**
 * The bundle behind a name or path, without any download. A name is looked up among the built-in models, the zoo,
 * the imported and the learned models, in that order; what is none of them is a path.
 * Throws MODEL_NOT_FOUND, MODEL_HASH_MISMATCH, BUNDLE_INVALID.
 */
export async function findBundle(
  nameOrPath: string,
  sources: ModelSources = modelSources(process.env),
): Promise<Found> {
  if (isBuiltIn(nameOrPath))
    return { ...(await builtIn[nameOrPath].bundle()), place: "built in", path: null };
  const row = zooRow(nameOrPath);
  if (row) return zooBundle(row, sources);
  const imported = importedPath(nameOrPath, sources);
  if (imported && existsSync(imported))
    return { ...(await readBundle(imported)), place: "imported", path: imported };
  const from = learnedFrom(nameOrPath);
  const learned = from && sources.learned ? await findLearned(sources.learned, from.hash) : null;
  if (learned) return { ...(await readBundle(learned)), place: "learned", path: learned };
  if (existsSync(nameOrPath)) return { ...(await readBundle(nameOrPath)), place: "path", path: nameOrPath };
  if (from)
    throw new ProtolineError("MODEL_NOT_FOUND", {
      expected: `the model ${quote(nameOrPath)}, which was learned on a gallery, in the folder of learned models`,
      got: sources.learned ? `none of that name in ${quote(sources.learned, 300)}` : "no such folder",
      todo: "Name the folder that has it (--learned, or PROTOLINE_LEARNED), or roll the gallery back to a revision before it.",
    });
  throw new ProtolineError("MODEL_NOT_FOUND", {
    expected: "the name of a model, or the path of a bundle",
    got: quote(nameOrPath),
    todo: "Run `protoline models list` to see the names.",
  });
}

/** Folder of the imported model `name` in the cache, or `null` for what can be no name. */
export function importedPath(name: string, { cache }: ModelSources): string | null {
  return /^[a-z0-9][a-z0-9-]{0,63}$/.test(name) ? join(cache, name) : null;
}

/**
 * The best encoder at hand without a download, for a new gallery whose user names none: `mobilenet-v1` when its file
 * is in the cache or in a mirror folder, else the built-in `compact`. `why` is half a sentence for the
 * user, to stand after the name.
 */
export async function defaultModel(
  sources: ModelSources = modelSources(process.env),
): Promise<{ readonly model: string; readonly why: string }> {
  const best = zooRow("mobilenet-v1")!;
  if (zooFile(best, sources)) return { model: best.name, why: "the most accurate model on this machine" };
  return {
    model: "compact",
    why: `built in; ${best.name} is more accurate, and \`protoline models pull ${best.name}\` gets it`,
  };
}

/** Where a zoo model's file lies: in the cache, or else in a mirror folder; `null` where neither has it. */
export function zooFile(
  { file }: ZooRow,
  { cache, mirror }: ModelSources,
): { readonly path: string; readonly place: Place } | null {
  const cached = join(cache, file);
  if (existsSync(cached)) return { path: cached, place: "cache" };
  const mirrored = mirror && !isUrl(mirror) ? join(mirror, file) : null;
  return mirrored && existsSync(mirrored) ? { path: mirrored, place: "mirror" } : null;
}

async function zooBundle(row: ZooRow, sources: ModelSources): Promise<Found> {
  const found = zooFile(row, sources);
  if (!found)
    throw new ProtolineError("MODEL_NOT_FOUND", {
      expected: `${row.file} in the cache or in a mirror folder`,
      got: "neither holds it",
      todo: `Run \`protoline models pull ${row.name}\`, or use the built-in model \`compact\`.`,
    });
  const model = await readModelFile(found.path);
  const got = sha256(model);
  if (got !== row.sha256)
    throw new ProtolineError("MODEL_HASH_MISMATCH", {
      expected: `SHA-256 ${row.sha256} for ${row.file}`,
      got: `${got} in ${quote(found.path)}`,
      todo: `Delete the file and run \`protoline models pull ${row.name}\`.`,
    });
  return { manifest: zooManifest(row), model, ...found };
}
