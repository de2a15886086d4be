/**
 * Windows bitmaps, which libvips does not read in its prebuilt form: 1, 4, 8, 16, 24 and 32 bits a pixel, palettes,
 * run lengths (RLE4, RLE8), bit fields, rows from bottom to top or from top to bottom. A fourth channel is ignored, as
 * Windows does: most writers leave it zero. Format: Microsoft, "Bitmap Storage" (BITMAPFILEHEADER, BITMAPINFOHEADER, V4, V5).
 */

export interface BmpHeader {
  readonly width: number;
  readonly height: number;
  readonly bottomUp: boolean;
  readonly bits: number;
  /** 0 none, 1 RLE8, 2 RLE4, 3 and 6 bit fields. */
  readonly compression: number;
  readonly pixels: number;
  readonly palette: { readonly at: number; readonly entries: number; readonly entryBytes: number };
  readonly masks: readonly [red: number, green: number, blue: number];
}

/** What is wrong with a bitmap, in words; the caller gives it a code. */
export class BmpError extends Error {}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Reads the header alone. @throws BmpError */
export function readBmpHeader(bytes: Uint8Array): BmpHeader {
  if (bytes.length < 26) throw new BmpError("the header is cut off");
  const data = view(bytes);
  const pixels = data.getUint32(10, true);
  const headerSize = data.getUint32(14, true);
  if (bytes.length < 14 + headerSize) throw new BmpError("the header is cut off");

  if (headerSize === 12) {
    const bits = data.getUint16(24, true);
    return {
      width: data.getUint16(18, true),
      height: data.getUint16(20, true),
      bottomUp: true,
      bits: checkBits(bits, 0),
      compression: 0,
      pixels,
      palette: { at: 26, entries: bits <= 8 ? 2 ** bits : 0, entryBytes: 3 },
      masks: [0x7c00, 0x03e0, 0x001f],
    };
  }
  if (headerSize < 40) throw new BmpError(`a header of ${headerSize} bytes is of no known version`);

  const height = data.getInt32(22, true);
  const bits = data.getUint16(28, true);
  const compression = data.getUint32(30, true);
  checkBits(bits, compression);
  const fields = compression === 3 || compression === 6;
  // A header of 40 bytes has the masks behind it; later versions hold them at the same place.
  if (fields && bytes.length < 66) throw new BmpError("the header is cut off");
  const masks: [number, number, number] = fields
    ? [data.getUint32(54, true), data.getUint32(58, true), data.getUint32(62, true)]
    : bits === 16
      ? [0x7c00, 0x03e0, 0x001f]
      : [0xff0000, 0x00ff00, 0x0000ff];
  const behind = headerSize === 40 && fields ? (compression === 6 ? 16 : 12) : 0;
  const stated = data.getUint32(46, true);
  return {
    width: data.getInt32(18, true),
    height: Math.abs(height),
    bottomUp: height > 0,
    bits,
    compression,
    pixels,
    palette: {
      at: 14 + headerSize + behind,
      entries: bits <= 8 ? (stated === 0 ? 2 ** bits : Math.min(stated, 2 ** bits)) : 0,
      entryBytes: 4,
    },
    masks,
  };
}

function checkBits(bits: number, compression: number): number {
  const known =
    compression === 0
      ? [1, 4, 8, 16, 24, 32].includes(bits)
      : compression === 1
        ? bits === 8
        : compression === 2
          ? bits === 4
          : (compression === 3 || compression === 6) && (bits === 16 || bits === 32);
  if (!known) throw new BmpError(`${bits} bits a pixel with compression ${compression} is not supported`);
  return bits;
}

/** Decodes to interleaved RGB, shape `[height, width, 3]`. The caller has checked the size. @throws BmpError */
export function decodeBmp(bytes: Uint8Array, header: BmpHeader): Uint8Array {
  const { width, height, bits, compression } = header;
  const out = new Uint8Array(width * height * 3);
  if (bits <= 8) {
    const palette = readPalette(bytes, header);
    const indices =
      compression === 0 ? unpackIndices(bytes, header) : unpackRuns(bytes, header, compression === 2);
    for (let i = 0; i < indices.length; i++) {
      const at = indices[i]! * 3;
      if (at >= palette.length) throw new BmpError("a pixel names a colour that the palette does not have");
      out[i * 3] = palette[at]!;
      out[i * 3 + 1] = palette[at + 1]!;
      out[i * 3 + 2] = palette[at + 2]!;
    }
    return out;
  }
  const data = view(bytes);
  const bytesPerPixel = bits / 8;
  const stride = rowBytes(header, bytes);
  const [red, green, blue] = header.masks.map(scaleOfMask);
  for (let y = 0; y < height; y++) {
    let from = header.pixels + storedRow(header, y) * stride;
    for (let x = 0, to = y * width * 3; x < width; x++, from += bytesPerPixel, to += 3) {
      if (bits === 24) {
        out[to] = bytes[from + 2]!;
        out[to + 1] = bytes[from + 1]!;
        out[to + 2] = bytes[from]!;
      } else {
        const pixel = bits === 16 ? data.getUint16(from, true) : data.getUint32(from, true);
        out[to] = red!(pixel);
        out[to + 1] = green!(pixel);
        out[to + 2] = blue!(pixel);
      }
    }
  }
  return out;
}

/** Bytes of a stored row, padded to a multiple of four; checks that all rows are there. */
function rowBytes({ width, height, bits, pixels }: BmpHeader, bytes: Uint8Array): number {
  const stride = Math.ceil((width * bits) / 32) * 4;
  if (pixels + stride * height > bytes.length)
    throw new BmpError(
      `${stride * height} bytes of pixels are stated and ${bytes.length - pixels} are there`,
    );
  return stride;
}

const storedRow = ({ bottomUp, height }: BmpHeader, y: number): number => (bottomUp ? height - 1 - y : y);

/** Takes a bit field out of a pixel and stretches it to 0 … 255. */
function scaleOfMask(mask: number): (pixel: number) => number {
  if (mask === 0) return () => 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const top = mask >>> shift;
  return (pixel) => Math.round((((pixel & mask) >>> shift) * 255) / top);
}

function readPalette(bytes: Uint8Array, { palette }: BmpHeader): Uint8Array {
  const { at, entries, entryBytes } = palette;
  if (at + entries * entryBytes > bytes.length) throw new BmpError("the palette is cut off");
  const colors = new Uint8Array(entries * 3);
  for (let i = 0; i < entries; i++)
    for (let c = 0; c < 3; c++) colors[i * 3 + c] = bytes[at + i * entryBytes + 2 - c]!;
  return colors;
}

function unpackIndices(bytes: Uint8Array, header: BmpHeader): Uint8Array {
  const { width, height, bits, pixels } = header;
  const stride = rowBytes(header, bytes);
  const perByte = 8 / bits;
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = pixels + storedRow(header, y) * stride;
    for (let x = 0; x < width; x++) {
      const byte = bytes[from + Math.floor(x / perByte)]!;
      out[y * width + x] = (byte >> (8 - bits - (x % perByte) * bits)) & (2 ** bits - 1);
    }
  }
  return out;
}

/** Run lengths: a count and a value, or an escape: 0 ends the row, 1 the picture, 2 moves on, 3 … 255 literals. */
function unpackRuns(bytes: Uint8Array, header: BmpHeader, nibbles: boolean): Uint8Array {
  const { width, height } = header;
  const out = new Uint8Array(width * height);
  let at = header.pixels;
  let x = 0;
  let y = 0;
  const next = (): number => {
    const byte = bytes[at++];
    if (byte === undefined) throw new BmpError("the run lengths end before the picture does");
    return byte;
  };
  const put = (value: number): void => {
    if (x >= width || y >= height) throw new BmpError("a run leaves the picture");
    out[storedRow(header, y) * width + x++] = value;
  };
  for (;;) {
    const count = next();
    const value = next();
    if (count > 0) {
      for (let i = 0; i < count; i++) put(nibbles ? (i % 2 === 0 ? value >> 4 : value & 15) : value);
    } else if (value === 0) {
      x = 0;
      y++;
    } else if (value === 1) {
      return out;
    } else if (value === 2) {
      x += next();
      y += next();
    } else {
      let byte = 0;
      for (let i = 0; i < value; i++) {
        if (!nibbles || i % 2 === 0) byte = next();
        put(nibbles ? (i % 2 === 0 ? byte >> 4 : byte & 15) : byte);
      }
      const used = nibbles ? Math.ceil(value / 2) : value;
      if (used % 2 === 1) at++;
    }
  }
}
