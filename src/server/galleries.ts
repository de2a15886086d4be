import { isProtolineError } from "../core/index.ts";
import type { Encoder } from "../models/types.ts";
import { Recognizer, type RecognizerOptions } from "../recognizer/index.ts";
import type { GalleryStore } from "../store/store.ts";
import type { Metrics } from "./metrics.ts";

/** The galleries of one store, each with its recognizer over the one encoder; opened when first asked for. */
export interface Galleries {
  /** @throws GALLERY_NOT_FOUND, MODEL_MISMATCH. */
  recognizer(gallery: string): Promise<Recognizer>;
  /** After a change in the store: the open recognizer answers from the head before this returns. */
  changed(gallery: string): Promise<void>;
  /** The gallery is gone. */
  drop(gallery: string): Promise<void>;
  /** Follows changes that other processes made. */
  follow(): Promise<void>;
  close(): Promise<void>;
}

export function createGalleries(
  store: GalleryStore,
  encoder: Encoder,
  options: Pick<RecognizerOptions, "keep" | "onModelMismatch" | "limits">,
  metrics: Metrics,
): Galleries {
  const open = new Map<string, Promise<Recognizer>>();

  const start = async (gallery: string): Promise<Recognizer> => {
    // The recognizer would make a gallery that does not exist; a request must not.
    await store.gallery(gallery);
    const recognizer = await Recognizer.open({ ...options, model: encoder, store, gallery });
    metrics.revision(gallery, recognizer.revision.number);
    return recognizer;
  };

  const drop = async (gallery: string): Promise<void> => {
    const recognizer = open.get(gallery);
    open.delete(gallery);
    metrics.forget(gallery);
    await recognizer?.then((it) => it.close()).catch(() => undefined);
  };

  const changed = async (gallery: string): Promise<void> => {
    const recognizer = await open.get(gallery)?.catch(() => undefined);
    if (recognizer) metrics.revision(gallery, await recognizer.refresh());
  };

  return {
    recognizer: (gallery) => {
      let recognizer = open.get(gallery);
      if (!recognizer) {
        recognizer = start(gallery);
        open.set(gallery, recognizer);
        // One that fails to open is tried again by the next request.
        recognizer.catch(() => open.get(gallery) === recognizer && open.delete(gallery));
      }
      return recognizer;
    },
    changed,
    drop,
    follow: async () => {
      for (const [gallery, opening] of open)
        try {
          const { revision } = await opening;
          const { head } = await store.gallery(gallery);
          if (head.number !== revision.number || head.hash !== revision.hash) await changed(gallery);
        } catch (error) {
          // Another gallery of that name, or none: the next request opens it anew or is told so.
          if (isProtolineError(error) && ["GALLERY_NOT_FOUND", "MODEL_MISMATCH"].includes(error.code))
            await drop(gallery);
          else throw error;
        }
    },
    close: async () => {
      for (const gallery of [...open.keys()]) await drop(gallery);
    },
  };
}
