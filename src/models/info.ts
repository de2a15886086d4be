import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type ModelSummary, readModel, summarize } from "../onnx/index.ts";
import { builtIn } from "./built-in.ts";
import { readBundle } from "./bundle.ts";
import { modelHash } from "./encode.ts";
import { findBundle, importedPath, type Place, zooFile } from "./find.ts";
import { learnedNames } from "./learned-folder.ts";
import { type ModelSources, modelSources } from "./sources.ts";
import type { Manifest } from "./types.ts";
import { zoo, zooManifest, zooRow } from "./zoo.ts";

export interface ModelInfo {
  readonly manifest: Manifest;
  readonly modelHash: string;
  /** `null` where the file is not on this machine. */
  readonly place: Place | null;
  readonly path: string | null;
  /** Inputs, outputs, operators and weights of the file; `null` where it is not on this machine. */
  readonly summary: ModelSummary | null;
}

/** What is known of a model by name or path. Throws as {@link findBundle}, but a zoo model need not be here. */
export async function modelInfo(
  nameOrPath: string,
  sources: ModelSources = modelSources(process.env),
): Promise<ModelInfo> {
  const row = zooRow(nameOrPath);
  if (row && !zooFile(row, sources)) {
    const manifest = zooManifest(row);
    return { manifest, modelHash: modelHash(manifest), place: null, path: null, summary: null };
  }
  const { manifest, model, place, path } = await findBundle(nameOrPath, sources);
  return { manifest, modelHash: modelHash(manifest), place, path, summary: summarize(readModel(model)) };
}

export interface ListedModel {
  readonly name: string;
  readonly description: string;
  readonly embeddingDim: number;
  readonly bytes: number;
  readonly license: string;
  /** `null` where the file is not on this machine. */
  readonly place: Place | null;
}

/** All models by name: built in, of the zoo, imported into the cache, learned on galleries. Broken ones are left out. */
export async function listModels(
  sources: ModelSources = modelSources(process.env),
): Promise<readonly ListedModel[]> {
  const listed = (manifest: Manifest, description: string, place: Place | null): ListedModel => ({
    name: manifest.name,
    description,
    embeddingDim: manifest.embeddingDim,
    bytes: manifest.model.bytes,
    license: manifest.provenance.license,
    place,
  });
  const models: ListedModel[] = [];
  for (const { bundle, description } of Object.values(builtIn))
    models.push(listed((await bundle()).manifest, description, "built in"));
  for (const row of zoo)
    models.push(listed(zooManifest(row), row.description, zooFile(row, sources)?.place ?? null));
  for (const name of (await readdir(sources.cache).catch(() => [])).sort()) {
    const path = importedPath(name, sources);
    if (!path || !existsSync(join(path, "manifest.json"))) continue;
    const bundle = await readBundle(path).catch(() => null);
    if (bundle) models.push(listed(bundle.manifest, bundle.manifest.provenance.origin, "imported"));
  }
  for (const name of sources.learned ? await learnedNames(sources.learned) : []) {
    const bundle = await readBundle(join(sources.learned!, name)).catch(() => null);
    if (bundle) models.push(listed(bundle.manifest, bundle.manifest.provenance.origin, "learned"));
  }
  return models;
}
