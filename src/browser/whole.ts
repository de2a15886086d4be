import type { ImageFormat } from "../data/pure.ts";

/**
 * What a file of a picture lacks at its end, in words, or `undefined`. Browsers complete a picture that breaks off with
 * grey, which would then be enrolled; Node's decoder refuses it, and so does this.
 */
export function missingEnd(bytes: Uint8Array, format: ImageFormat): string | undefined {
  if (format === "jpeg") return hasJpegEnd(bytes) ? undefined : "premature end of the JPEG";
  if (format === "png") return hasPngEnd(bytes) ? undefined : "the chunk IEND is missing";
  if (format === "webp") {
    const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
    return size + 8 <= bytes.length ? undefined : `${size + 8 - bytes.length} bytes are missing`;
  }
  return undefined;
}

/** Walks the segments to the first scan, so that the end of a thumbnail inside them does not count. */
function hasJpegEnd(bytes: Uint8Array): boolean {
  let at = 2;
  while (bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    // Fill bytes may stand before a marker.
    if (bytes[at + 1] === 0xff) at++;
    else at += 2 + ((bytes[at + 2] ?? 0) << 8) + (bytes[at + 3] ?? 0);
  }
  for (; at + 1 < bytes.length; at++) if (bytes[at] === 0xff && bytes[at + 1] === 0xd9) return true;
  return false;
}

function hasPngEnd(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at))
    if (view.getUint32(at + 4) === 0x49454e44) return true;
  return false;
}
