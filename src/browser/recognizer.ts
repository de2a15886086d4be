import type { Encoder } from "../models/pure.ts";
import { type CoreOptions, GalleryRecognizer, prepare } from "../recognizer/pure.ts";
import { createStore, type GalleryStore, openMemory } from "../store/pure.ts";
import { openIndexedDb } from "./indexeddb.ts";
import { type BrowserImage, browserReader } from "./pictures.ts";

export interface BrowserRecognizerOptions extends CoreOptions<BrowserImage> {
  readonly encoder: Encoder;
  /** An open store (then the caller closes it). Default: in memory, gone with the page. */
  readonly store?: GalleryStore;
  /** Default `default`; made when it does not exist. */
  readonly gallery?: string;
}

/** The recognizer of the library, over a browser's pictures. The encoder is closed by whoever opened it. */
export class Recognizer extends GalleryRecognizer<BrowserImage> {
  /** @throws MODEL_MISMATCH when the gallery was made by another model and `onModelMismatch` is `refuse`. */
  static async open(options: BrowserRecognizerOptions): Promise<Recognizer> {
    const { encoder, gallery = "default" } = options;
    const store = options.store ?? createStore(openMemory());
    const owned = options.store ? [] : [store];
    try {
      const existing = (await store.galleries()).find(({ name }) => name === gallery);
      const parts = { encoder, store, gallery, reader: browserReader(options.limits), options, owned };
      const recognizer = new Recognizer(parts, await prepare(parts, existing));
      await recognizer.takeOver();
      return recognizer;
    } catch (error) {
      for (const part of owned) await part.close();
      throw error;
    }
  }
}

/**
 * Opens a store: `memory:`, gone with the page, or `indexeddb:NAME`, which stays in this browser. The caller closes it.
 * Throws STORE_BROKEN, STORE_NEWER.
 */
export async function openStore(address: "memory:" | `indexeddb:${string}`): Promise<GalleryStore> {
  return createStore(
    address === "memory:"
      ? openMemory()
      : await openIndexedDb(address.slice("indexeddb:".length) || undefined),
  );
}
