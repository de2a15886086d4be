import {
  alphaBackground,
  BmpError,
  broken,
  checkBytes,
  checkSize,
  cutRegion,
  decodeBmp,
  defaultImageLimits,
  type ImageFormat,
  type ImageLimits,
  type Picture,
  pictureFromPixels,
  readBmpHeader,
  sniff,
  unsupported,
} from "../data/pure.ts";
import { contentHash, type PictureReader } from "../recognizer/pure.ts";
import { missingEnd } from "./whole.ts";

/**
 * A picture in a browser: a file or its encoded bytes, or pixels that are there already, such as a frame of a camera.
 * Of a video the frame that it shows is taken.
 */
export type BrowserImage =
  | Blob
  | Uint8Array
  | ImageBitmap
  | ImageData
  | VideoFrame
  | HTMLVideoElement
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas;

/**
 * Decodes JPEG, PNG, WebP, GIF (first frame) and BMP to upright 8-bit sRGB as Node's decoder does: EXIF orientation
 * applied, an embedded profile converted, alpha flattened on grey. A file that breaks off is refused. TIFF is not read:
 * browsers have no decoder for it. `limits` on pixels are checked when the size is known, which in a browser is after decoding.
 *
 * @throws IMAGE_EMPTY, IMAGE_UNSUPPORTED, IMAGE_TOO_LARGE, IMAGE_TOO_SMALL, IMAGE_BROKEN.
 */
export async function decodePicture(
  image: BrowserImage,
  limits: Partial<ImageLimits> = {},
): Promise<Picture> {
  const bounds = { ...defaultImageLimits, ...limits };
  if (image instanceof Uint8Array) return decodeBytes(image, bounds);
  if (image instanceof Blob) return decodeBytes((await fileBytes(image, limits))!, bounds);
  if (image instanceof ImageData) {
    checkSize(image, bounds);
    return flatten(image);
  }
  const { width, height } = sizeOf(image);
  checkSize({ width, height }, bounds);
  return draw(image, width, height);
}

async function decodeBytes(bytes: Uint8Array, bounds: ImageLimits): Promise<Picture> {
  checkBytes(bytes.length, bounds);
  const { format, looksLike } = sniff(bytes);
  if (format === undefined) throw unsupported(looksLike);
  if (format === "tiff") throw unsupported("a TIFF, which browsers cannot decode");
  if (format === "bmp") return decodeBitmap(bytes, bounds);
  const missing = missingEnd(bytes, format);
  if (missing) throw broken(format, missing);
  // Copied: the bytes may lie in shared memory, which no Blob takes.
  const blob = new Blob([new Uint8Array(bytes)], { type: `image/${format}` });
  const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" }).catch((cause: unknown) => {
    throw broken(format, cause);
  });
  try {
    checkSize(bitmap, bounds);
    return draw(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

function decodeBitmap(bytes: Uint8Array, bounds: ImageLimits): Picture {
  try {
    const header = readBmpHeader(bytes);
    checkSize(header, bounds);
    return { width: header.width, height: header.height, data: decodeBmp(bytes, header) };
  } catch (cause) {
    if (cause instanceof BmpError) throw broken("bmp" satisfies ImageFormat, cause);
    throw cause;
  }
}

type Drawable = Exclude<BrowserImage, Blob | Uint8Array | ImageData>;

function sizeOf(image: Drawable): { readonly width: number; readonly height: number } {
  if (image instanceof HTMLVideoElement) return { width: image.videoWidth, height: image.videoHeight };
  if (image instanceof HTMLImageElement) return { width: image.naturalWidth, height: image.naturalHeight };
  return "displayWidth" in image
    ? { width: image.displayWidth, height: image.displayHeight }
    : { width: image.width, height: image.height };
}

/** Drawn over the grey that transparent pixels show: a canvas keeps colours multiplied by alpha and loses bits of them. */
function draw(image: CanvasImageSource, width: number, height: number): Picture {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = `rgb(${alphaBackground} ${alphaBackground} ${alphaBackground})`;
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  return pictureFromPixels(bytesOf(context.getImageData(0, 0, width, height)), width, height, "rgba");
}

function flatten(pixels: ImageData): Picture {
  const data = bytesOf(pixels).slice();
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3]! / 255;
    for (let c = i; c < i + 3; c++) data[c] = Math.round(data[c]! * alpha + alphaBackground * (1 - alpha));
  }
  return pictureFromPixels(data, pixels.width, pixels.height, "rgba");
}

const bytesOf = ({ data }: ImageData): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Pictures of a browser for a recognizer. */
export function browserReader(limits: Partial<ImageLimits> | undefined): PictureReader<BrowserImage> {
  return {
    async load(image, region) {
      const bytes = image instanceof Uint8Array ? image : await fileBytes(image, limits);
      const whole = await decodePicture(bytes ?? image, limits);
      return {
        bytes,
        picture: region ? cutRegion(whole, region) : whole,
        // Hashed when asked for: a recognition without further views never asks.
        get contentHash() {
          return contentHash(bytes ?? whole.data, region);
        },
        cut: region !== undefined,
      };
    },
    thumbnail,
    origin: (image, index) => (image instanceof File ? image.name : `image ${index + 1}`),
  };
}

async function fileBytes(
  image: BrowserImage,
  limits: Partial<ImageLimits> | undefined,
): Promise<Uint8Array | null> {
  if (!(image instanceof Blob)) return null;
  checkBytes(image.size, { ...defaultImageLimits, ...limits });
  return new Uint8Array(await image.arrayBuffer());
}

/** A JPEG of the picture whose longer side is at most `side` pixels; a smaller picture keeps its size. */
async function thumbnail({ width, height, data }: Picture, side: number): Promise<Uint8Array> {
  const pixels = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    pixels.data.set(data.subarray(from, from + 3), to);
    pixels.data[to + 3] = 255;
  }
  const scale = Math.min(1, side / Math.max(width, height));
  const bitmap = await createImageBitmap(pixels);
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(width * scale)),
    Math.max(1, Math.round(height * scale)),
  );
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
  return new Uint8Array(await blob.arrayBuffer());
}
