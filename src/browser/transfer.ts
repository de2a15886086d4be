import { ProtolineError } from "../core/index.ts";
import {
  type ExportOptions,
  type GalleryInfo,
  type GalleryStore,
  type ImportOptions,
  packGallery,
  unpackGallery,
} from "../store/pure.ts";

/** The head of a gallery as one file, the same that the server and the command line write and read. */
export async function exportGallery(
  store: GalleryStore,
  name: string,
  options: ExportOptions = {},
): Promise<Blob> {
  const encoder = new TextEncoder();
  const lines = packGallery(store, name, options);
  const plain = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { done, value } = await lines.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      } catch (error) {
        controller.error(error);
      }
    },
  });
  const zipped = plain.pipeThrough(new CompressionStream("gzip"));
  return new Response(zipped, { headers: { "content-type": "application/gzip" } }).blob();
}

/**
 * Makes a gallery from an exported file, whichever store wrote it. A file that is cut short or altered is refused as a
 * whole. Throws GALLERY_FILE_INVALID, GALLERY_EXISTS, INVALID_ARGUMENT.
 */
export async function importGallery(
  store: GalleryStore,
  file: Blob,
  options: ImportOptions,
): Promise<GalleryInfo> {
  return unpackGallery(store, unzip(file), options);
}

async function* unzip(file: Blob): AsyncGenerator<Uint8Array> {
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw new ProtolineError("GALLERY_FILE_INVALID", {
          expected: "a gallery's export, whole",
          got: cause instanceof Error ? cause.message : String(cause),
          todo: "Export the gallery again; nothing was imported.",
          cause,
        });
      });
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
