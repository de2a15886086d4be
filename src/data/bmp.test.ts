import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodePicture, probePicture } from "./decode.ts";

interface BmpParts {
  readonly width: number;
  /** Negative: rows from top to bottom. */
  readonly height: number;
  readonly bits: number;
  readonly compression?: number;
  /** RGB. */
  readonly palette?: readonly (readonly [number, number, number])[];
  readonly masks?: readonly number[];
  readonly pixels: Uint8Array;
}

function bmp({
  width,
  height,
  bits,
  compression = 0,
  palette = [],
  masks = [],
  pixels,
}: BmpParts): Uint8Array {
  const offset = 54 + masks.length * 4 + palette.length * 4;
  const file = Buffer.alloc(offset + pixels.length);
  file.write("BM", 0, "latin1");
  file.writeUInt32LE(file.length, 2);
  file.writeUInt32LE(offset, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(width, 18);
  file.writeInt32LE(height, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(bits, 28);
  file.writeUInt32LE(compression, 30);
  file.writeUInt32LE(palette.length, 46);
  masks.forEach((mask, i) => {
    file.writeUInt32LE(mask >>> 0, 54 + i * 4);
  });
  palette.forEach(([r, g, b], i) => {
    file.set([b, g, r, 0], 54 + masks.length * 4 + i * 4);
  });
  file.set(pixels, offset);
  return file;
}

/** Rows of `bits`-wide values, packed and padded to four bytes, from bottom to top unless `topDown`. */
function pack(rows: readonly (readonly number[])[], bits: number, topDown = false): Uint8Array {
  const stride = Math.ceil((rows[0]!.length * bits) / 32) * 4;
  const out = Buffer.alloc(stride * rows.length);
  (topDown ? rows : rows.toReversed()).forEach((row, y) => {
    row.forEach((value, x) => {
      if (bits >= 8) out.writeUIntLE(value, y * stride + (x * bits) / 8, bits / 8);
      else out[y * stride + ((x * bits) >> 3)]! |= value << (8 - bits - ((x * bits) % 8));
    });
  });
  return out;
}

const decode = async (bytes: Uint8Array) => (await decodePicture(bytes, { minSide: 1 })).data;
const palette = Array.from({ length: 16 }, (_, i) => [i * 16, 255 - i * 16, (i * 37) % 256] as const);

describe("bitmaps", () => {
  it("of 1, 4 and 8 bits with a palette, any width, either direction", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(1, 4, 8),
        fc.boolean(),
        fc.integer({ min: 1, max: 19 }),
        fc.integer({ min: 1, max: 9 }),
        fc.infiniteStream(fc.nat(15)),
        async (bits, topDown, width, height, stream) => {
          const colors = bits === 1 ? palette.slice(0, 2) : palette;
          const rows = Array.from({ length: height }, () =>
            Array.from({ length: width }, () => stream.next().value! % colors.length),
          );
          const file = bmp({
            width,
            height: topDown ? -height : height,
            bits,
            palette: colors,
            pixels: pack(rows, bits, topDown),
          });
          expect([...(await decode(file))]).toEqual(rows.flat().flatMap((i) => [...colors[i]!]));
        },
      ),
    );
  });

  it("of 24 and 32 bits, the fourth byte ignored", async () => {
    const rows = [
      [0x0a0b0c, 0xff0000, 0x00ff00],
      [0x0000ff, 0xffffff, 0x010203],
    ];
    const expected = [10, 11, 12, 255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 1, 2, 3];
    expect([...(await decode(bmp({ width: 3, height: 2, bits: 24, pixels: pack(rows, 24) })))]).toEqual(
      expected,
    );
    expect([...(await decode(bmp({ width: 3, height: 2, bits: 32, pixels: pack(rows, 32) })))]).toEqual(
      expected,
    );
  });

  it("of 16 bits, 5-5-5 by default and 5-6-5 by bit fields", async () => {
    const pixels = pack([[0x7fff, 0x7c00, 0x001f]], 16);
    expect([...(await decode(bmp({ width: 3, height: 1, bits: 16, pixels })))]).toEqual([
      255, 255, 255, 255, 0, 0, 0, 0, 255,
    ]);
    const fields = bmp({
      width: 2,
      height: 1,
      bits: 16,
      compression: 3,
      masks: [0xf800, 0x07e0, 0x001f],
      pixels: pack([[0xffff, 0x0400]], 16),
    });
    expect([...(await decode(fields))]).toEqual([255, 255, 255, 0, Math.round((32 * 255) / 63), 0]);
  });

  it("of 32 bits with the highest byte in use", async () => {
    const file = bmp({
      width: 1,
      height: 1,
      bits: 32,
      compression: 3,
      masks: [0xff000000, 0x00ff0000, 0x0000ff00],
      pixels: Uint8Array.of(0, 30, 20, 240),
    });
    expect([...(await decode(file))]).toEqual([240, 20, 30]);
  });

  it("with run lengths", async () => {
    // A run, literals with their padding, the end of the row; a jump one to the right; a run; the end.
    const rle8 = Uint8Array.of(2, 5, 0, 3, 1, 2, 3, 0, 0, 0, 0, 2, 1, 0, 4, 9, 0, 1);
    const file8 = bmp({ width: 5, height: 2, bits: 8, compression: 1, palette, pixels: rle8 });
    const at = (data: Uint8Array) =>
      Array.from({ length: data.length / 3 }, (_, i) => palette.findIndex(([r]) => r === data[i * 3]));
    expect(at(await decode(file8))).toEqual([0, 9, 9, 9, 9, 5, 5, 1, 2, 3]);

    const rle4 = Uint8Array.of(3, 0x5a, 0, 5, 0x12, 0x34, 0x50, 0, 0, 1);
    const file4 = bmp({ width: 8, height: 1, bits: 4, compression: 2, palette, pixels: rle4 });
    expect(at(await decode(file4))).toEqual([5, 10, 5, 1, 2, 3, 4, 5]);
  });

  it.each([
    [
      "cut off",
      bmp({ width: 20, height: 20, bits: 24, pixels: new Uint8Array(100) }),
      /1200 bytes of pixels are stated and 100 are there/,
    ],
    [
      "with a run that leaves it",
      bmp({ width: 8, height: 1, bits: 8, compression: 1, palette, pixels: Uint8Array.of(9, 1) }),
      /a run leaves the picture/,
    ],
    [
      "with runs that end early",
      bmp({ width: 8, height: 1, bits: 8, compression: 1, palette, pixels: Uint8Array.of(4, 1) }),
      /end before the picture does/,
    ],
    [
      "with a colour out of its palette",
      bmp({ width: 8, height: 1, bits: 8, palette: palette.slice(0, 2), pixels: new Uint8Array(8).fill(7) }),
      /palette does not have/,
    ],
    [
      "of 7 bits",
      bmp({ width: 8, height: 1, bits: 7, pixels: new Uint8Array(8) }),
      /7 bits a pixel with compression 0 is not supported/,
    ],
    [
      "with a header cut off",
      bmp({ width: 8, height: 1, bits: 24, pixels: new Uint8Array(24) }).subarray(0, 30),
      /the header is cut off/,
    ],
  ] as const)("%s are refused", async (_, file, message) => {
    await expect(decodePicture(file, { minSide: 1 })).rejects.toThrow(message);
    await expect(decodePicture(file, { minSide: 1 })).rejects.toMatchObject({ code: "IMAGE_BROKEN" });
  });

  it("never throw anything without a code, whatever the bytes", async () => {
    const base = bmp({
      width: 9,
      height: 9,
      bits: 8,
      compression: 1,
      palette,
      pixels: new Uint8Array(60).fill(2),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 12 }),
        async (edits) => {
          const bytes = Uint8Array.from(base);
          for (const [at, value] of edits) bytes[at] = value;
          const result = await decodePicture(bytes, { maxPixels: 10_000 }).catch((error: unknown) => error);
          if (result instanceof Error)
            expect(result).toHaveProperty("code", expect.stringMatching(/^IMAGE_/));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("show their header", async () => {
    const file = bmp({ width: 30, height: -20, bits: 24, pixels: new Uint8Array(92 * 20) });
    expect(await probePicture(file)).toMatchObject({ format: "bmp", width: 30, height: 20 });
  });
});
