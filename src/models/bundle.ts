import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ProtolineError, quote } from "../core/index.ts";
import { type Bundle, checkedBundle, parseBundle, splitManifest, withManifest } from "./bundle-bytes.ts";

const modelFile = "model.onnx";
const manifestFile = "manifest.json";

/**
 * Reads a bundle: a folder with `model.onnx` and `manifest.json`, or one `.onnx` file with the manifest in its metadata.
 *
 * The hash in the manifest is the SHA-256 of the model file without the metadata entry `protoline.manifest`; all other
 * bytes count, in their order. So a model has one hash in both forms, and the form of one file is the model's own
 * bytes with that entry appended.
 *
 * Throws MODEL_NOT_FOUND, BUNDLE_INVALID, MODEL_BROKEN, MODEL_HASH_MISMATCH.
 */
export async function readBundle(path: string): Promise<Bundle> {
  const folder = await isFolder(path);
  if (!folder) return parseBundle(await readModelFile(path), path, quote(basename(path)));
  const modelPath = join(path, modelFile);
  const { model } = splitManifest(await readModelFile(modelPath), modelPath);
  const text = new TextDecoder().decode(await readModelFile(join(path, manifestFile)));
  return checkedBundle(model, text, path, {
    manifest: quote(join(basename(path), manifestFile)),
    model: modelPath,
  });
}

/** Writes a bundle: one file where `path` ends in `.onnx`, else a folder. What was there is replaced whole. */
export async function writeBundle({ manifest, model }: Bundle, path: string): Promise<void> {
  const part = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  await mkdir(dirname(path), { recursive: true });
  try {
    if (path.endsWith(".onnx")) await write(part, withManifest(model, JSON.stringify(manifest)));
    else {
      await mkdir(part);
      await write(join(part, modelFile), model);
      await write(join(part, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
      await rm(path, { recursive: true, force: true });
    }
    await rename(part, path);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Throws MODEL_NOT_FOUND. */
export async function readModelFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new ProtolineError("MODEL_NOT_FOUND", {
      expected: "a readable file; a bundle is a folder with model.onnx and manifest.json, or one .onnx file",
      got: `${quote(path)} (${(error as NodeJS.ErrnoException).code})`,
      todo: "Check the path and its permissions.",
      cause: error,
    });
  }
}

/** Writes a new file through to the disk, so that a rename never leads to half of it. */
async function write(path: string, content: Uint8Array | string): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}
