import sharp from "sharp";
import { ProtolineError, quote } from "../core/index.ts";
import { BmpError, type BmpHeader, decodeBmp, readBmpHeader } from "./bmp.ts";
import { type ImageFormat, sniff } from "./sniff.ts";
import type { ImageLimits, Picture } from "./types.ts";

export const defaultImageLimits: ImageLimits = {
  maxBytes: 32 * 1024 * 1024,
  maxPixels: 100_000_000,
  minSide: 8,
};

/** Grey that shows through transparent pixels: the middle of the range, which an encoder sees as nearly nothing. */
export const alphaBackground = 128;

/** What a picture's header says. */
export interface PictureInfo {
  readonly format: ImageFormat;
  /** Of the upright picture, pixels. */
  readonly width: number;
  readonly height: number;
  /** EXIF orientation as stored, 1 … 8; 1 is upright. */
  readonly orientation: number;
  /** Colour space as stored: `srgb`, `b-w`, `cmyk`, … */
  readonly space: string;
  readonly bitsPerSample: number;
  readonly hasAlpha: boolean;
}

type Header = PictureInfo & { readonly bmp?: BmpHeader };

/**
 * Reads magic bytes and header; decodes no pixel. The format is what the first bytes say; the file's name plays no part.
 *
 * @throws IMAGE_EMPTY, IMAGE_UNSUPPORTED (names what the file looks like), IMAGE_BROKEN.
 */
export async function probePicture(bytes: Uint8Array): Promise<PictureInfo> {
  const { bmp: _, ...info } = await readHeader(bytes);
  return info;
}

/**
 * Decodes JPEG, PNG, WebP, TIFF (first page), GIF (first frame) and BMP to upright 8-bit sRGB.
 *
 * EXIF orientation is applied; an embedded colour profile and CMYK are converted to sRGB; grey becomes three equal
 * channels; 16 bits keep their upper eight; alpha is flattened on {@link alphaBackground}. Of a polyglot only the picture that
 * the first bytes announce is read; whatever else the file holds is neither interpreted nor part of the result.
 * A picture that is cut off, or damaged so that its decoder notices, is refused as a whole, never completed with grey.
 *
 * @param limits see {@link defaultImageLimits}; all are checked before a pixel is decoded.
 * @throws IMAGE_EMPTY, IMAGE_UNSUPPORTED, IMAGE_TOO_LARGE, IMAGE_TOO_SMALL, IMAGE_BROKEN.
 */
export async function decodePicture(bytes: Uint8Array, limits: Partial<ImageLimits> = {}): Promise<Picture> {
  const bounds = { ...defaultImageLimits, ...limits };
  checkBytes(bytes.length, bounds);
  const header = await readHeader(bytes);
  checkSize(header, bounds);
  const { width, height, bmp } = header;
  if (bmp) return { width, height, data: bmpPixels(bytes, bmp) };

  const { data, info } = await sharp(bytes, { ...reading, limitInputPixels: bounds.maxPixels })
    .autoOrient()
    .flatten({ background: { r: alphaBackground, g: alphaBackground, b: alphaBackground } })
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((cause: unknown) => {
      throw broken(header.format, cause);
    });
  if (info.channels !== 3 || info.width !== width || info.height !== height)
    throw new ProtolineError("INTERNAL", {
      expected: `${width} x ${height} pixels of 3 channels`,
      got: `${info.width} x ${info.height} of ${info.channels}`,
      todo: "Report this picture to the makers of Protoline.",
    });
  return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

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

// A warning of a decoder may mean a torn picture: it is an error. One page or frame alone is read.
const reading = { failOn: "warning", pages: 1, page: 0 } as const;

async function readHeader(bytes: Uint8Array): Promise<Header> {
  checkBytes(bytes.length, { maxBytes: Number.POSITIVE_INFINITY });
  const { format, looksLike } = sniff(bytes);
  if (format === undefined) throw unsupported(looksLike);
  if (format === "bmp") return readBmp(bytes);

  // The limit on pixels is checked by checkSize, with its own words.
  const metadata = await sharp(bytes, { ...reading, limitInputPixels: false })
    .metadata()
    .catch((cause: unknown) => {
      throw broken(format, cause);
    });
  if (metadata.format !== format)
    throw unsupported(`${format} at its beginning and ${metadata.format} within`);
  const { depth } = metadata;
  if (depth !== "uchar" && depth !== "ushort") throw unsupported(`a ${format} with samples of type ${depth}`);
  if (metadata.channels > 4) throw unsupported(`a ${format} of ${metadata.channels} channels`);
  return {
    format,
    width: metadata.autoOrient.width,
    height: metadata.autoOrient.height,
    orientation: metadata.orientation ?? 1,
    space: metadata.space,
    bitsPerSample: metadata.bitsPerSample ?? (depth === "ushort" ? 16 : 8),
    hasAlpha: metadata.hasAlpha,
  };
}

function readBmp(bytes: Uint8Array): Header {
  try {
    const bmp = readBmpHeader(bytes);
    const { width, height, bits } = bmp;
    return {
      format: "bmp",
      width,
      height,
      orientation: 1,
      space: "srgb",
      bitsPerSample: Math.min(bits, 8),
      hasAlpha: false,
      bmp,
    };
  } catch (cause) {
    throw broken("bmp", cause);
  }
}

function bmpPixels(bytes: Uint8Array, header: BmpHeader): Uint8Array {
  try {
    return decodeBmp(bytes, header);
  } catch (cause) {
    if (cause instanceof BmpError) throw broken("bmp", cause);
    throw cause;
  }
}

function checkSize({ width, height }: PictureInfo, { maxPixels, minSide }: ImageLimits): void {
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

function unsupported(looksLike: string): ProtolineError {
  return new ProtolineError("IMAGE_UNSUPPORTED", {
    expected: "a JPEG, PNG, WebP, TIFF, GIF or BMP picture",
    got: `what looks like ${looksLike}`,
    todo: "Save the picture in one of these formats; the end of the file's name does not count, its content does.",
  });
}

function broken(format: ImageFormat, cause: unknown): ProtolineError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ProtolineError("IMAGE_BROKEN", {
    expected: `a whole ${format.toUpperCase()} picture`,
    got: `one whose decoder says ${quote(reason.trim().replaceAll(/\s+/g, " "), 160)}`,
    todo: "The file is cut off or damaged: copy it again or take the picture again.",
    cause,
  });
}
