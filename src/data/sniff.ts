export type ImageFormat = "jpeg" | "png" | "webp" | "tiff" | "gif" | "bmp";

export type Sniffed =
  | { readonly format: ImageFormat; readonly looksLike?: undefined }
  /** Not on the list of formats; `looksLike` says in words what the file seems to be. */
  | { readonly format?: undefined; readonly looksLike: string };

const ascii = (bytes: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...bytes.subarray(from, to));

const startsWith = (bytes: Uint8Array, ...magic: number[]): boolean =>
  magic.every((byte, i) => bytes[i] === byte);

/**
 * Names the format by the first bytes alone: neither a file's name nor what stands further down counts.
 * So a JPEG with a ZIP or a script behind it is a JPEG, and a text file named .jpg is a text file.
 */
export function sniff(bytes: Uint8Array): Sniffed {
  if (startsWith(bytes, 0xff, 0xd8, 0xff)) return { format: "jpeg" };
  if (startsWith(bytes, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return { format: "png" };
  const head = ascii(bytes, 0, 12);
  if (head.startsWith("GIF87a") || head.startsWith("GIF89a")) return { format: "gif" };
  if (head.startsWith("RIFF") && head.endsWith("WEBP")) return { format: "webp" };
  if (startsWith(bytes, 0x49, 0x49, 0x2a, 0x00) || startsWith(bytes, 0x4d, 0x4d, 0x00, 0x2a))
    return { format: "tiff" };
  if (startsWith(bytes, 0x49, 0x49, 0x2b, 0x00) || startsWith(bytes, 0x4d, 0x4d, 0x00, 0x2b))
    return { format: "tiff" };
  // "BM" alone begins many a text: the size of the information header, at 14, must be one that exists.
  if (head.startsWith("BM") && bytes.length > 18 && [12, 40, 52, 56, 64, 108, 124].includes(bytes[14]!))
    return { format: "bmp" };
  return { looksLike: describe(bytes, head) };
}

function describe(bytes: Uint8Array, head: string): string {
  if (head.startsWith("%PDF")) return "a PDF document";
  if (head.slice(4, 8) === "ftyp")
    return /avi[fs]/.test(head.slice(8)) ? "an AVIF image" : "a HEIF image or an MP4 video";
  if (head.startsWith("PK\x03\x04")) return "a ZIP archive";
  if (startsWith(bytes, 0x1f, 0x8b)) return "a gzip archive";
  if (startsWith(bytes, 0xff, 0x0a) || head.slice(4, 8) === "JXL ") return "a JPEG XL image";
  if (head.slice(4, 8) === "jP  " || startsWith(bytes, 0xff, 0x4f, 0xff, 0x51)) return "a JPEG 2000 image";
  if (head.startsWith("8BPS")) return "a Photoshop document";
  if (startsWith(bytes, 0x00, 0x00, 0x01, 0x00)) return "a Windows icon";
  if (head.startsWith("RIFF")) return "a RIFF file that is no WebP image";
  const text = asText(bytes);
  if (text === undefined) return "a binary file of an unknown kind";
  if (text.startsWith("version https://git-lfs")) return "a Git LFS pointer instead of the picture itself";
  if (/<svg[\s>]/i.test(text)) return "an SVG drawing";
  if (/^\s*<(!doctype html|html|head|body|script)/i.test(text)) return "a web page";
  return "a text file";
}

/** The first kilobyte as text, or undefined when it holds bytes that no text has. */
function asText(bytes: Uint8Array): string | undefined {
  const head = bytes.subarray(0, 1024);
  if (head.some((b) => b < 32 && b !== 9 && b !== 10 && b !== 12 && b !== 13)) return undefined;
  try {
    // A character may be cut at the end of the kilobyte: `stream` lets that pass.
    return new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: true });
  } catch {
    return undefined;
  }
}
