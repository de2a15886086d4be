import { isProtolineError } from "../core/index.ts";
import type { Encoder } from "../models/types.ts";
import { Recognizer, type RecognizerOptions, type Seen } from "../recognizer/index.ts";
import type { GalleryStore } from "../store/store.ts";
import type { Metrics } from "./metrics.ts";
import type { Models } from "./models.ts";

/** The galleries of one store, each with its recognizer over the encoder of its model; opened when first asked for. */
export interface Galleries {
  /** @throws GALLERY_NOT_FOUND, MODEL_MISMATCH. */
  recognizer(gallery: string): Promise<Recognizer>;
  /** After a change in the store: the open recognizer answers from the head before this returns. */
  changed(gallery: string): Promise<void>;
  /** The gallery is gone. */
  drop(gallery: string): Promise<void>;
  /**
   * Looks for changes that other processes made and the store did not tell of: a store in a file, or a server whose
   * connection broke unseen. What the store tells is followed at once.
   */
  follow(): Promise<void>;
  close(): Promise<void>;
}

/** Whoever looks on while a gallery answers. */
export interface Watcher {
  seen(gallery: string, seen: Seen): void;
  forget(gallery: string): void;
}

export function createGalleries(
  store: GalleryStore,
  encoder: Encoder,
  models: Models,
  options: Pick<RecognizerOptions, "keep" | "onModelMismatch" | "limits">,
  metrics: Metrics,
  /** Told of every answer, and of galleries that are gone. */
  watchers: () => readonly Watcher[],
): Galleries {
  const open = new Map<string, Promise<Recognizer>>();

  const start = async (gallery: string): Promise<Recognizer> => {
    // The recognizer would make a gallery that does not exist; a request must not.
    await store.gallery(gallery);
    const recognizer = await Recognizer.open({
      ...{ ...options, model: encoder, store, gallery },
      encoderFor: (wanted) => models.of(wanted),
      onRecognition: (seen) => {
        for (const watcher of watchers()) watcher.seen(gallery, seen);
      },
    });
    metrics.revision(gallery, recognizer.revision.number);
    return recognizer;
  };

  const drop = async (gallery: string): Promise<void> => {
    const recognizer = open.get(gallery);
    open.delete(gallery);
    metrics.forget(gallery);
    for (const watcher of watchers()) watcher.forget(gallery);
    await recognizer?.then((it) => it.close()).catch(() => undefined);
  };

  const changed = async (gallery: string): Promise<void> => {
    const recognizer = await open.get(gallery)?.catch(() => undefined);
    if (recognizer) metrics.revision(gallery, await recognizer.refresh());
  };

  const look = async (gallery: string): Promise<void> => {
    try {
      const recognizer = await open.get(gallery);
      if (!recognizer) return;
      const { head } = await store.gallery(gallery);
      const { number, hash } = recognizer.revision;
      if (head.number !== number || head.hash !== hash) await changed(gallery);
    } catch (error) {
      // Another gallery of that name, or none: the next request opens it anew or is told so.
      if (isProtolineError(error) && ["GALLERY_NOT_FOUND", "MODEL_MISMATCH"].includes(error.code))
        await drop(gallery);
      else throw error;
    }
  };

  /** Galleries that are looked at, and whether they were told of once more since the look began. */
  const looking = new Map<string, boolean>();
  const hear = async (gallery: string): Promise<void> => {
    if (looking.has(gallery)) return void looking.set(gallery, true);
    try {
      do {
        looking.set(gallery, false);
        await look(gallery);
      } while (looking.get(gallery));
    } catch {
      // The store went away again: `follow` looks once more, and says so where that fails too.
    } finally {
      looking.delete(gallery);
    }
  };
  const unsubscribe = store.subscribe((gallery) => {
    for (const one of gallery === null ? open.keys() : [gallery]) void hear(one);
  });

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
      for (const gallery of open.keys()) await look(gallery);
    },
    close: async () => {
      unsubscribe();
      for (const gallery of [...open.keys()]) await drop(gallery);
    },
  };
}
