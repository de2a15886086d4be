import { ProtolineError, quote } from "../core/index.ts";
import type { DecisionSpec } from "../fewshot/types.ts";
import type { Encoder } from "../models/types.ts";
import type { GalleryStore, Sample } from "../store/pure.ts";
import { embedViews } from "./look.ts";
import { type PictureReader, toViews } from "./views.ts";

export interface KeptPictures {
  readonly store: Pick<GalleryStore, "image">;
  readonly gallery: string;
  readonly encoder: Encoder;
  readonly reader: Pick<PictureReader<never>, "load">;
}

/**
 * Embeds the kept pictures of samples again, by another encoder or with other views: by id of the sample the embedding
 * of the picture as it is, then of its views, each `[dim]`.
 *
 * @throws MODEL_MISMATCH for a sample of which no picture was kept.
 */
export async function embedAgain(
  { store, gallery, encoder, reader }: KeptPictures,
  samples: readonly Pick<Sample, "id" | "label" | "origin" | "contentHash">[],
  views: DecisionSpec["views"]["support"],
): Promise<Map<string, readonly Float32Array[]>> {
  const found = new Map<string, readonly Float32Array[]>();
  async function embeddingsOf(bytes: Uint8Array, contentHash: string): Promise<readonly Float32Array[]> {
    // On the encoder's own threads, where it has some. Views are drawn by the hash of the whole, of which a part may be kept.
    if (encoder.embedEncoded && views.length === 0) {
      const [seen] = await encoder.embedEncoded([{ bytes, views }]);
      if (seen instanceof Error) throw seen;
      return [seen!.embeddings.data];
    }
    const { picture } = await reader.load(bytes);
    const inputs = toViews({ picture, contentHash }, views, encoder.manifest);
    const [embeddings] = await embedViews(encoder, [inputs]);
    return embeddings!;
  }
  for (const { id, label, origin, contentHash } of samples) {
    const kept = await store.image(gallery, id);
    if (!kept)
      throw new ProtolineError("MODEL_MISMATCH", {
        expected: "a kept picture of every sample, to embed it again",
        got: `none of ${quote(origin)} in class ${quote(label)}`,
        todo: "Enroll the pictures again with the model and views that you want.",
      });
    found.set(id, await embeddingsOf(kept.bytes, contentHash));
  }
  return found;
}
