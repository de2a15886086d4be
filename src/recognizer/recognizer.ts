import { defaultModel, openEncoder } from "../models/index.ts";
import { openStore } from "../store/index.ts";
import { GalleryRecognizer } from "./gallery-recognizer.ts";
import { fileReader } from "./pictures.ts";
import { prepare } from "./prepare.ts";
import type { ImageInput, RecognizerOptions } from "./types.ts";

/** A {@link GalleryRecognizer} of files and encoded bytes, on this machine. */
export class Recognizer extends GalleryRecognizer<ImageInput> {
  /**
   * Opens or makes the gallery. Without `model`, an existing gallery opens the model that it was made by, and a new
   * one takes the best that is at hand without a download.
   *
   * @throws MODEL_MISMATCH when the gallery was made by another model and `onModelMismatch` is `refuse`.
   */
  static async open(options: RecognizerOptions = {}): Promise<Recognizer> {
    const gallery = options.gallery ?? "default";
    const owned: { close(): Promise<void> }[] = [];
    let release = (): void => undefined;
    try {
      const store =
        typeof options.store === "object" ? options.store : await openStore(options.store ?? "memory:");
      if (typeof options.store !== "object") owned.unshift(store);
      const existing = (await store.galleries()).find(({ name }) => name === gallery);
      const lease = existing ? ((await options.encoderFor?.(existing)) ?? null) : null;
      if (lease) release = lease.release;
      const encoder =
        lease?.encoder ??
        (typeof options.model === "object"
          ? options.model
          : await openEncoder(options.model ?? existing?.model ?? (await defaultModel()).model));
      if (!lease && typeof options.model !== "object") owned.unshift(encoder);

      const parts = { encoder, release, store, gallery, reader: fileReader(options.limits), options, owned };
      const recognizer = new Recognizer(parts, await prepare(parts, existing));
      await recognizer.takeOver();
      return recognizer;
    } catch (error) {
      release();
      for (const part of owned) await part.close();
      throw error;
    }
  }
}
