import { inSlices, ProtolineError, quote } from "../core/index.ts";
import type { DecisionPriors } from "../fewshot/index.ts";
import { learnedFrom } from "../models/pure.ts";
import type { Encoder } from "../models/types.ts";
import type { GalleryInfo, GalleryStore } from "../store/pure.ts";
import { buildSnapshot, type Snapshot } from "./snapshot.ts";
import type { CoreOptions } from "./types.ts";
import type { PictureReader } from "./views.ts";

/** What a recognizer is made of. */
export interface RecognizerParts<Image> {
  readonly encoder: Encoder;
  /** Told when the encoder is not used any more. Default: nobody asks. */
  readonly release?: () => void;
  readonly store: GalleryStore;
  readonly gallery: string;
  readonly reader: PictureReader<Image>;
  readonly options: CoreOptions<Image>;
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
  { encoder, store, gallery, options }: Omit<RecognizerParts<never>, "reader" | "owned">,
  existing: GalleryInfo | undefined,
): Promise<Snapshot> {
  const info = existing ?? (await create(store, gallery, encoder, options));
  const mismatch = info.modelHash !== encoder.modelHash;
  if (mismatch && options.onModelMismatch !== "reembed") throw modelMismatch(info, encoder);
  const source = await store.snapshot(gallery);
  return mismatch
    ? { source, decision: null, byLabel: new Map(), transformed: new Map() }
    : inSlices(buildSnapshot(source, priorsOf(encoder)));
}

export function priorsOf({ manifest: { priors } }: Encoder): DecisionPriors {
  return { ...priors, baseMean: priors.baseMean ? Float32Array.from(priors.baseMean) : null };
}

async function create(
  store: GalleryStore,
  name: string,
  { manifest, modelHash, embeddingDim }: Encoder,
  { refresh }: Pick<CoreOptions, "refresh">,
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
  { manifest, modelHash }: { readonly manifest: { readonly name: string }; readonly modelHash: string },
): ProtolineError {
  return new ProtolineError("MODEL_MISMATCH", {
    expected: `model ${quote(gallery.model)} (${gallery.modelHash.slice(0, 12)}) that made gallery ${quote(gallery.name)}`,
    got: `${quote(manifest.name)} (${modelHash.slice(0, 12)})`,
    todo: learnedFrom(gallery.model)
      ? "Its encoder was learned on it: name the folder that holds that model (--learned, or PROTOLINE_LEARNED), roll the gallery back to a revision before it, or ask for its kept pictures to be embedded again (reembed)."
      : "Open the gallery with its own model, or ask for its kept pictures to be embedded again (reembed).",
  });
}
