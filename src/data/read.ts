import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { ProtolineError, quote } from "../core/index.ts";
import { decodePicture } from "./decode.ts";
import { checkBytes, defaultImageLimits } from "./limits.ts";
import type { ImageLimits, Picture } from "./types.ts";

/**
 * The encoded bytes of an image file, read once, never more than the limit.
 *
 * @throws IMAGE_NOT_FOUND, IMAGE_EMPTY, IMAGE_TOO_LARGE (from the file's size, before it is read).
 */
export async function readImageFile(path: string, limits: Partial<ImageLimits> = {}): Promise<Uint8Array> {
  const bounds = { ...defaultImageLimits, ...limits };
  try {
    // Asked before opening: a pipe or a device would wait for its other end, or never end.
    if (!(await stat(path)).isFile()) throw notFound(path, "something that is no file");
    const file = await open(path, constants.O_RDONLY);
    try {
      const { size } = await file.stat();
      checkBytes(size, bounds);
      // A file that still grows: what was there at the moment of opening counts.
      const bytes = new Uint8Array(size);
      let filled = 0;
      while (filled < size) {
        const { bytesRead } = await file.read(bytes, filled, size - filled, filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof ProtolineError) throw cause;
    throw notFound(path, reasonOf(cause), cause);
  }
}

/** {@link readImageFile}, then {@link decodePicture}. */
export async function readPicture(path: string, limits: Partial<ImageLimits> = {}): Promise<Picture> {
  return decodePicture(await readImageFile(path, limits), limits);
}

/** The system's code in words. */
export function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "an unknown failure";
  const words: Record<string, string> = {
    ENOENT: "nothing of that name",
    ENOTDIR: "a file where a folder should be",
    EACCES: "no permission to read it",
    EPERM: "no permission to read it",
    ELOOP: "a link that leads back to itself",
    ENAMETOOLONG: "a name that is too long",
    EISDIR: "a folder",
  };
  return words[code] ?? code;
}

function notFound(path: string, got: string, cause?: unknown): ProtolineError {
  return new ProtolineError("IMAGE_NOT_FOUND", {
    expected: `a readable image file at ${quote(path, 200)}`,
    got,
    todo: "Check the path and the permissions of the file.",
    cause,
  });
}
