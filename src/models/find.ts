import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ProtolineError, quote } from "../core/index.ts";
import type { Bundle } from "./bundle.ts";
import { scatteringBundle } from "./scattering.ts";
import { isUrl, type ModelSources, modelSources } from "./sources.ts";
import { type ZooRow, zoo, zooManifest, zooRow } from "./zoo.ts";

/** The bundle behind a name or path, without any download. Throws MODEL_NOT_FOUND, MODEL_HASH_MISMATCH. */
export async function findBundle(
  nameOrPath: string,
  sources: ModelSources = modelSources(process.env),
): Promise<Bundle> {
  if (nameOrPath === "scattering") return scatteringBundle();
  const row = zooRow(nameOrPath);
  if (row) return zooBundle(row, sources);
  throw new ProtolineError("MODEL_NOT_FOUND", {
    expected: `one of scattering, ${zoo.map(({ name }) => name).join(", ")}, or the path of a bundle`,
    got: quote(nameOrPath),
    todo: "Run `protoline models list`.",
  });
}

/**
 * The best encoder at hand without a download, for a new gallery whose user names none: `mobilenet-v1` when its file
 * is in the cache or in a mirror folder, else the built-in `scattering`. `why` is a sentence for the user.
 */
export async function defaultModel(
  sources: ModelSources = modelSources(process.env),
): Promise<{ readonly model: string; readonly why: string }> {
  const best = zooRow("mobilenet-v1")!;
  if (await findFile(best, sources))
    return { model: best.name, why: `Using ${best.name}, the most accurate model that is on this machine.` };
  return {
    model: "scattering",
    why: `Using the built-in model scattering, because ${best.file} is not on this machine; \`protoline models pull ${best.name}\` gets it, and it is more accurate.`,
  };
}

/** Path and content of a zoo model's file, from the cache or else from a mirror folder; `null` where neither has it. */
async function findFile(
  row: ZooRow,
  { cache, mirror }: ModelSources,
): Promise<{ readonly path: string; readonly bytes: Uint8Array } | null> {
  for (const folder of mirror && !isUrl(mirror) ? [cache, mirror] : [cache]) {
    const path = join(folder, row.file);
    const bytes = await readFile(path).catch(() => null);
    if (bytes) return { path, bytes };
  }
  return null;
}

async function zooBundle(row: ZooRow, sources: ModelSources): Promise<Bundle> {
  const found = await findFile(row, sources);
  if (!found)
    throw new ProtolineError("MODEL_NOT_FOUND", {
      expected: `${row.file} in the cache or in a mirror folder`,
      got: "neither holds it",
      todo: `Run \`protoline models pull ${row.name}\`, or use the built-in model \`scattering\`.`,
    });
  const got = createHash("sha256").update(found.bytes).digest("hex");
  if (got !== row.sha256)
    throw new ProtolineError("MODEL_HASH_MISMATCH", {
      expected: `SHA-256 ${row.sha256} for ${row.file}`,
      got: `${got} in ${quote(found.path)}`,
      todo: `Delete the file and run \`protoline models pull ${row.name}\`.`,
    });
  return { manifest: zooManifest(row), model: found.bytes };
}
