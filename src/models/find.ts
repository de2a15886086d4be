import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ProtolineError, quote } from "../core/index.ts";
import type { Bundle } from "./bundle.ts";
import { isUrl, type ModelSources, modelSources } from "./sources.ts";
import { type ZooRow, zoo, zooManifest, zooRow } from "./zoo.ts";

/** The bundle behind a name or path, without any download. Throws MODEL_NOT_FOUND, MODEL_HASH_MISMATCH. */
export async function findBundle(
  nameOrPath: string,
  sources: ModelSources = modelSources({}),
): Promise<Bundle> {
  const row = zooRow(nameOrPath);
  if (row) return zooBundle(row, sources);
  throw new ProtolineError("MODEL_NOT_FOUND", {
    expected: `one of ${zoo.map(({ name }) => name).join(", ")}, or the path of a bundle`,
    got: quote(nameOrPath),
    todo: "Run `protoline models list`.",
  });
}

/** Folders that may hold a zoo model's file. */
function folders({ cache, mirror }: ModelSources): string[] {
  return mirror && !isUrl(mirror) ? [cache, mirror] : [cache];
}

async function zooBundle(row: ZooRow, sources: ModelSources): Promise<Bundle> {
  for (const folder of folders(sources)) {
    const path = join(folder, row.file);
    const model = await readFile(path).catch(() => null);
    if (!model) continue;
    const got = createHash("sha256").update(model).digest("hex");
    if (got !== row.sha256)
      throw new ProtolineError("MODEL_HASH_MISMATCH", {
        expected: `SHA-256 ${row.sha256} for ${row.file}`,
        got: `${got} in ${quote(path)}`,
        todo: `Delete the file and run \`protoline models pull ${row.name}\`.`,
      });
    return { manifest: zooManifest(row), model };
  }
  throw new ProtolineError("MODEL_NOT_FOUND", {
    expected: `${row.file} in the cache or in a mirror folder`,
    got: "neither holds it",
    todo: `Run \`protoline models pull ${row.name}\`, or use the built-in model \`scattering\`.`,
  });
}
