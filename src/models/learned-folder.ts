import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { writeBundle } from "./bundle.ts";
import type { Bundle } from "./bundle-bytes.ts";
import { learnedFrom } from "./learned.ts";

/** The folder of learned models: a bundle each, under its name. Several servers may share it. */

/** Names of the models in the folder; none where there is no folder. */
export async function learnedNames(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder).catch(() => []);
  return entries.filter((name) => learnedFrom(name) !== null).sort();
}

/**
 * Path of the model with this hash, or `null`. What is asked for is compared with what the folder holds and never becomes a path
 * itself: it may come from a file that somebody imported.
 */
export async function findLearned(folder: string, modelHash: string): Promise<string | null> {
  const found = (await learnedNames(folder)).find((name) => modelHash.startsWith(learnedFrom(name)!.hash));
  return found === undefined ? null : join(folder, found);
}

/** Puts a learned model into the folder. `made` is false where it was there already: equal training, equal model. */
export async function keepLearned(
  bundle: Bundle,
  folder: string,
): Promise<{ readonly path: string; readonly made: boolean }> {
  const path = join(folder, bundle.manifest.name);
  if (existsSync(path)) return { path, made: false };
  await writeBundle(bundle, path);
  return { path, made: true };
}
