import sharp from "sharp";
import { ProtolineError } from "../core/index.ts";
import { BmpError, type BmpHeader, decodeBmp, readBmpHeader } from "./bmp.ts";
import { alphaBackground, broken, checkBytes, checkSize, defaultImageLimits, unsupported } from "./limits.ts";
import { type ImageFormat, sniff } from "./sniff.ts";
import type { ImageLimits, Picture } from "./types.ts";

export { alphaBackground, defaultImageLimits };

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
