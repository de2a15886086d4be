import type { DecisionSpec } from "../fewshot/types.ts";
import type { Encoder } from "../models/types.ts";
import type { Change, GalleryStore, RevisionInfo } from "../store/pure.ts";

/**
 * Puts embeddings of all samples of a gallery's head in place, by id, with the decision that compares them. `null` where
 * the gallery was changed since its samples were listed: list them again.
 *
 * @throws what `replaceEmbeddings` of the store throws of an unchanged gallery.
 */
export async function replaceAll(
  store: GalleryStore,
  gallery: string,
  { modelHash, embeddingDim: dim, manifest }: Encoder,
  decision: DecisionSpec,
  embeddings: ReadonlyMap<string, readonly Float32Array[]>,
  change: Change,
): Promise<RevisionInfo | null> {
  try {
    const replacement = { model: manifest.name, modelHash, dim, decision, embeddings };
    return await store.replaceEmbeddings(gallery, replacement, change);
  } catch (error) {
    const { pending } = await store.gallery(gallery);
    const { samples } = await store.snapshot(gallery);
    const unchanged = pending === 0 && samples.length === embeddings.size;
    if (unchanged && samples.every(({ id }) => embeddings.has(id))) throw error;
    return null;
  }
}
