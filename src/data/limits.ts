import { ProtolineError, quote } from "../core/index.ts";
import type { ImageFormat } from "./sniff.ts";
import type { ImageLimits, Picture } from "./types.ts";

/** What every decoder refuses, in the same words. */

export const defaultImageLimits: ImageLimits = {
  maxBytes: 32 * 1024 * 1024,
  maxPixels: 100_000_000,
  minSide: 8,
};

/** Grey that shows through transparent pixels: the middle of the range, which an encoder sees as nearly nothing. */
export const alphaBackground = 128;

/** @throws IMAGE_EMPTY, IMAGE_TOO_LARGE */
export function checkBytes(length: number, { maxBytes }: Pick<ImageLimits, "maxBytes">): void {
  if (length === 0)
    throw new ProtolineError("IMAGE_EMPTY", {
      expected: "a picture",
      got: "0 bytes",
      todo: "Check that the camera or the copy had finished writing the file.",
    });
  if (length > maxBytes)
    throw new ProtolineError("IMAGE_TOO_LARGE", {
      expected: `at most ${maxBytes} bytes`,
      got: `${length}`,
      todo: "Save the picture as JPEG, or raise the limit on bytes.",
    });
}

/** @throws IMAGE_TOO_LARGE, IMAGE_TOO_SMALL */
export function checkSize(
  { width, height }: Pick<Picture, "width" | "height">,
  { maxPixels, minSide }: ImageLimits,
): void {
  if (width * height > maxPixels)
    throw new ProtolineError("IMAGE_TOO_LARGE", {
      expected: `at most ${maxPixels} pixels`,
      got: `${width} x ${height}`,
      todo: "Make the picture smaller, or raise the limit on pixels.",
    });
  if (Math.min(width, height) < minSide)
    throw new ProtolineError("IMAGE_TOO_SMALL", {
      expected: `sides of at least ${minSide} pixels`,
      got: `${width} x ${height}`,
      todo: "Send the picture of the camera itself, not an icon or a placeholder.",
    });
}

export function unsupported(looksLike: string): ProtolineError {
  return new ProtolineError("IMAGE_UNSUPPORTED", {
    expected: "a JPEG, PNG, WebP, TIFF, GIF or BMP picture",
    got: `what looks like ${looksLike}`,
    todo: "Save the picture in one of these formats; the end of the file's name does not count, its content does.",
  });
}

export function broken(format: ImageFormat, cause: unknown): ProtolineError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ProtolineError("IMAGE_BROKEN", {
    expected: `a whole ${format.toUpperCase()} picture`,
    got: `one whose decoder says ${quote(reason.trim().replaceAll(/\s+/g, " "), 160)}`,
    todo: "The file is cut off or damaged: copy it again or take the picture again.",
    cause,
  });
}
