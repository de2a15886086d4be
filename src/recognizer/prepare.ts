import { ProtolineError, quote } from "../core/index.ts";
import type { DecisionPriors } from "../fewshot/index.ts";
import type { Encoder } from "../models/types.ts";
import type { GalleryInfo, GalleryStore } from "../store/pure.ts";
import { buildSnapshot, type Snapshot } from "./snapshot.ts";
import type { CoreOptions } from "./types.ts";
import type { PictureReader } from "./views.ts";

/** What a recognizer is made of. */
export interface RecognizerParts<Image> {
  readonly encoder: Encoder;
  readonly store: GalleryStore;
  readonly gallery: string;
  readonly reader: PictureReader<Image>;
  readonly options: CoreOptions;
  /** What `close` closes: parts that the caller opened stay open. */
  readonly owned: readonly { close(): Promise<void> }[];
}

/**
 * The first snapshot of a gallery, which is made where it does not exist; without a decision where another model made
 * it and its pictures are to be embedded again.
 *
 * @param existing the gallery, where the caller has looked it up. Throws MODEL_MISMATCH.
 */
export async function prepare(
  { encoder, store, gallery, options }: Omit<RecognizerParts<unknown>, "reader" | "owned">,
  existing: GalleryInfo | undefined,
): Promise<Snapshot> {
  const info = existing ?? (await create(store, gallery, encoder, options));
  const mismatch = info.modelHash !== encoder.modelHash;
  if (mismatch && options.onModelMismatch !== "reembed") throw modelMismatch(info, encoder);
  const source = await store.snapshot(gallery);
  return mismatch
    ? { source, decision: null, byLabel: new Map(), transformed: new Map() }
    : buildSnapshot(source, priorsOf(encoder));
}

export function priorsOf({ manifest: { priors } }: Encoder): DecisionPriors {
  return { ...priors, baseMean: priors.baseMean ? Float32Array.from(priors.baseMean) : null };
}

async function create(
  store: GalleryStore,
  name: string,
  { manifest, modelHash, embeddingDim }: Encoder,
  { refresh }: CoreOptions,
): Promise<GalleryInfo> {
  try {
    return await store.createGallery({
      name,
      model: manifest.name,
      modelHash,
      dim: embeddingDim,
      decision: manifest.decision,
      ...(refresh && { refresh }),
      who: "protoline",
    });
  } catch (error) {
    // Another process may have made it in the meantime.
    const made = (await store.galleries()).find((gallery) => gallery.name === name);
    if (made) return made;
    throw error;
  }
}

export function modelMismatch(
  gallery: { readonly name: string; readonly model: string; readonly modelHash: string },
  { manifest, modelHash }: Encoder,
): ProtolineError {
  return new ProtolineError("MODEL_MISMATCH", {
    expected: `model ${quote(gallery.model)} (${gallery.modelHash.slice(0, 12)}) that made gallery ${quote(gallery.name)}`,
    got: `${quote(manifest.name)} (${modelHash.slice(0, 12)})`,
    todo: "Open the gallery with its own model, or ask for its kept pictures to be embedded again (reembed).",
  });
}
