import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { quote } from "../core/index.ts";
import { invalid } from "./check.ts";
import { broken, type ExportOptions, type ImportOptions, packGallery, unpackGallery } from "./packed.ts";
import type { GalleryInfo, GalleryStore } from "./store.ts";

/** {@link packGallery} and {@link unpackGallery} from and to gzipped files. */

/**
 * Writes the head of a gallery to the file `path`, which appears whole or not at all.
 * Throws GALLERY_NOT_FOUND, INVALID_ARGUMENT (the file cannot be written).
 */
export async function exportGallery(
  store: GalleryStore,
  name: string,
  path: string,
  options: ExportOptions = {},
): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await pipeline(
      Readable.from(packGallery(store, name, options)),
      createGzip(),
      createWriteStream(partial, { flush: true }),
    );
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw fileError(error, "a file that can be written", path);
  }
}

/**
 * Makes a gallery from a file that {@link exportGallery} wrote; its first revision has the hash of the exported one.
 * A file that is cut short or altered is refused as a whole.
 * Throws GALLERY_FILE_INVALID, GALLERY_EXISTS, INVALID_ARGUMENT (the file cannot be read).
 */
export async function importGallery(
  store: GalleryStore,
  path: string,
  options: ImportOptions,
): Promise<GalleryInfo> {
  try {
    return await unpackGallery(store, unzip(path), options);
  } catch (error) {
    throw fileError(error, "a file that can be read", path);
  }
}

async function* unzip(path: string): AsyncGenerator<Buffer> {
  const file = createReadStream(path);
  const plain = file.pipe(createGunzip());
  file.once("error", (error) => plain.destroy(error));
  try {
    yield* plain;
  } finally {
    file.destroy();
    plain.destroy();
  }
}

/** What gzip and the disk say, told as such. */
function fileError(error: unknown, expected: string, path: string): unknown {
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (/^Z_/.test(code)) return broken("a gallery's export, whole", message);
  return /^E[A-Z]+$/.test(code) && (error as NodeJS.ErrnoException).syscall !== undefined
    ? invalid(`${expected} at ${quote(path, 200)}`, quote(message), "Check the path and its rights.")
    : error;
}
