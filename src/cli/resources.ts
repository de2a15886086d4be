import { existsSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ProtolineError, quote } from "../core/index.ts";
import type { Encoder, ModelSources } from "../models/index.ts";
import type { Recognizer, RecognizerOptions } from "../recognizer/index.ts";
import type { GalleryStore } from "../store/index.ts";
import { withAudit } from "./audit.ts";
import { type Context, defaultStore } from "./context.ts";

/** The file behind a store's address, or `null` for one that has none. */
export function storeFile(spec: string): string | null {
  if (spec.startsWith("sqlite:")) return spec.slice("sqlite:".length) || null;
  // An address of a server may end so too; `C:\parts.db` is a path.
  return spec.endsWith(".db") && !/^[a-z][a-z0-9]+:/.test(spec) ? spec : null;
}

/**
 * Opens the store for the length of `use`. `existing` refuses a store that is not there, so that a command in the
 * wrong folder says so instead of making an empty one.
 */
export async function withStore<T>(
  context: Context,
  mode: "existing" | "create",
  use: (store: GalleryStore) => Promise<T>,
): Promise<T> {
  const { store: spec } = context;
  const file = storeFile(spec);
  if (file !== null && !existsSync(file)) {
    if (mode === "existing")
      throw new ProtolineError("GALLERY_NOT_FOUND", {
        expected: `a store at ${quote(file, 300)}`,
        got: "no such file",
        todo: "Enroll first (protoline enroll parts/), or name the store with --store sqlite:PATH.",
      });
    await mkdir(dirname(file), { recursive: true });
  }
  const { openStore } = await import("../store/index.ts");
  const store = await openStore(spec);
  try {
    return await withAudit(context, store, use);
  } finally {
    await store.close();
  }
}

/** Where model files are kept and found, from the environment; with a command's options, learned ones too. */
export async function sources(context?: Pick<Context, "learned" | "store">): Promise<ModelSources> {
  const { modelSources } = await import("../models/index.ts");
  return { ...modelSources(process.env), ...(context && { learned: learnedFolder(context) }) };
}

/** Without another, beside the store's file: the two belong together, as a gallery needs the model that was learned on it. */
export function learnedFolder({ learned, store }: Pick<Context, "learned" | "store">): string {
  return learned ?? join(dirname(storeFile(store) ?? storeFile(defaultStore)!), "learned");
}

export async function openModel(context: Context, model: string): Promise<Encoder> {
  const { openEncoder } = await import("../models/index.ts");
  const { threads, provider } = context;
  return openEncoder(model, { sources: await sources(context), threads, provider });
}

/** The model to work with: the one that was named, else the gallery's own, else the best at hand, and then why. */
export async function chooseModel(
  context: Context,
  pinned?: string,
): Promise<{ model: string; why: string }> {
  if (context.model) return { model: context.model, why: "named by --model" };
  if (pinned) return { model: pinned, why: `gallery ${quote(context.gallery)} was made by it` };
  const { defaultModel } = await import("../models/index.ts");
  return defaultModel(await sources());
}

type Options = Omit<RecognizerOptions, "model" | "store" | "gallery">;

/** Opens store, encoder and recognizer for the length of `use`, and closes them in the opposite order. */
export async function withRecognizer<T>(
  context: Context,
  mode: "existing" | "create",
  use: (recognizer: Recognizer) => Promise<T>,
  options: Options = {},
): Promise<T> {
  return withStore(context, mode, async (store) => {
    const existing = (await store.galleries()).find(({ name }) => name === context.gallery);
    // Throws GALLERY_NOT_FOUND in the store's own words.
    if (!existing && mode === "existing") await store.gallery(context.gallery);
    const { model, why } = await chooseModel(context, existing?.model);
    if (!existing) context.note(`new gallery ${quote(context.gallery)} with model ${quote(model)}: ${why}`);
    const encoder = await openModel(context, model);
    try {
      const { Recognizer: Opened } = await import("../recognizer/index.ts");
      const recognizer = await Opened.open({ ...options, store, model: encoder, gallery: context.gallery });
      try {
        return await use(recognizer);
      } finally {
        await recognizer.close();
      }
    } finally {
      await encoder.close();
    }
  });
}

/** What the path leads to. */
export async function kindOf(path: string): Promise<"folder" | "file" | "missing"> {
  const found = await stat(path).catch(() => null);
  if (!found) return "missing";
  return found.isDirectory() ? "folder" : "file";
}
