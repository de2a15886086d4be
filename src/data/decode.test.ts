import { crc32, deflateSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { isProtolineError } from "../core/index.ts";
import { alphaBackground, decodePicture, probePicture } from "./decode.ts";
import { thumbnail } from "./thumbnail.ts";
import type { Picture } from "./types.ts";

/** Upper left red, upper right green, lower left blue, lower right white; 40 x 24. */
const quarters = (() => {
  const data = new Uint8Array(40 * 24 * 3);
  for (let y = 0; y < 24; y++)
    for (let x = 0; x < 40; x++) {
      const color = y < 12 ? (x < 20 ? [255, 0, 0] : [0, 255, 0]) : x < 20 ? [0, 0, 255] : [255, 255, 255];
      data.set(color, (y * 40 + x) * 3);
    }
  return sharp(data, { raw: { width: 40, height: 24, channels: 3 } });
})();

/** Much detail, so that every encoding has a body that can be damaged. */
const noise = () =>
  sharp({
    create: {
      width: 200,
      height: 160,
      channels: 3,
      background: "#888",
      noise: { type: "gaussian", mean: 128, sigma: 50 },
    },
  });

const pixel = ({ width, data }: Picture, x: number, y: number): number[] => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];

async function refusal(bytes: Uint8Array, limits = {}): Promise<{ code: string; message: string }> {
  const error: unknown = await decodePicture(bytes, limits).then(
    () => new Error("decoded"),
    (e: unknown) => e,
  );
  if (!isProtolineError(error)) throw error;
  return error;
}

const text = (s: string): Uint8Array => new TextEncoder().encode(s);

function pngChunk(type: string, body: Uint8Array): Buffer {
  const chunk = Buffer.alloc(12 + body.length);
  chunk.writeUInt32BE(body.length, 0);
  chunk.write(type, 4, "latin1");
  chunk.set(body, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + body.length)), 8 + body.length);
  return chunk;
}

/** A PNG that announces any size, with `body` as its compressed pixels. */
function png(width: number, height: number, body: Uint8Array = deflateSync(new Uint8Array(10))): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const end = pngChunk("IEND", new Uint8Array());
  return Buffer.concat([signature, pngChunk("IHDR", header), pngChunk("IDAT", body), end]);
}

/** A GIF of one frame without pixels, of any announced size. */
function gif(width: number, height: number): Buffer {
  const file = Buffer.from(
    "GIF89a\0\0\0\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\0\0\0\0\0\x02\x02\x44\x01\0;",
    "latin1",
  );
  file.writeUInt16LE(width, 6);
  file.writeUInt16LE(height, 8);
  file.writeUInt16LE(width, 24);
  file.writeUInt16LE(height, 26);
  return file;
}

/** A little-endian TIFF of 16 x 16 black pixels; `sampleFormat` 1 is unsigned, 3 floating point. */
function tiff(samples: number, bits: number, sampleFormat: number): Buffer {
  const bytes = (16 * 16 * samples * bits) / 8;
  const entries: readonly [tag: number, type: number, count: number, value: number][] = [
    [256, 4, 1, 16],
    [257, 4, 1, 16],
    [258, 3, samples, samples > 2 ? 180 : bits],
    [259, 3, 1, 1],
    [262, 3, 1, 1],
    [273, 4, 1, 200],
    [277, 3, 1, samples],
    [278, 4, 1, 16],
    [279, 4, 1, bytes],
    [339, 3, 1, sampleFormat],
  ];
  const file = Buffer.alloc(200 + bytes);
  file.write("II*\0", 0, "latin1");
  file.writeUInt32LE(8, 4);
  file.writeUInt16LE(entries.length, 8);
  entries.forEach(([tag, type, count, value], i) => {
    const at = 10 + i * 12;
    file.writeUInt16LE(tag, at);
    file.writeUInt16LE(type, at + 2);
    file.writeUInt32LE(count, at + 4);
    file.writeUInt32LE(value, at + 8);
  });
  for (let i = 0; i < samples; i++) file.writeUInt16LE(bits, 180 + i * 2);
  return file;
}

describe("decodePicture", () => {
  it.each(["jpeg", "png", "webp", "tiff", "gif"] as const)("decodes %s", async (format) => {
    const bytes = await quarters.clone().toFormat(format, { quality: 100 }).toBuffer();
    const picture = await decodePicture(bytes);
    expect(picture).toMatchObject({ width: 40, height: 24 });
    expect(picture.data).toHaveLength(40 * 24 * 3);
    const corners = [
      pixel(picture, 4, 4),
      pixel(picture, 35, 4),
      pixel(picture, 4, 20),
      pixel(picture, 35, 20),
    ];
    const expected = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];
    corners.flat().forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(12);
    });
    expect(await probePicture(bytes)).toMatchObject({ format, width: 40, height: 24, orientation: 1 });
  });

  // EXIF: where the corner that is stored first belongs in the upright picture.
  it.each([
    [1, 40, 24, "red"],
    [2, 40, 24, "green"],
    [3, 40, 24, "white"],
    [4, 40, 24, "blue"],
    [5, 24, 40, "red"],
    [6, 24, 40, "blue"],
    [7, 24, 40, "white"],
    [8, 24, 40, "green"],
  ] as const)("applies EXIF orientation %i", async (orientation, width, height, corner) => {
    const bytes = await quarters.clone().withMetadata({ orientation }).jpeg({ quality: 100 }).toBuffer();
    const picture = await decodePicture(bytes);
    expect(picture).toMatchObject({ width, height });
    const [r, g, b] = pixel(picture, 4, 4).map((v) => v > 128);
    expect(r && g ? "white" : r ? "red" : g ? "green" : b ? "blue" : "black").toBe(corner);
    expect(await probePicture(bytes)).toMatchObject({ width, height, orientation });
  });

  it("flattens alpha on grey, 8 and 16 bits, colour, grey and palette", async () => {
    const clear = { r: 255, g: 0, b: 0, alpha: 0 };
    const base = () => sharp({ create: { width: 10, height: 10, channels: 4, background: clear } });
    const half = sharp({
      create: { width: 10, height: 10, channels: 4, background: { ...clear, alpha: 0.5 } },
    });
    const clear16 = sharp(
      new Uint16Array(400).map((_, i) => (i % 4 === 3 ? 0 : 50_000)),
      {
        raw: { width: 10, height: 10, channels: 4 },
      },
    ).toColourspace("rgb16");
    const whole = [alphaBackground, alphaBackground, alphaBackground];
    for (const image of [
      base().png(),
      base().webp(),
      base().png({ palette: true }),
      base().gif(),
      clear16.png(),
    ])
      expect(pixel(await decodePicture(await image.toBuffer()), 5, 5)).toEqual(whole);
    const mixed = pixel(await decodePicture(await half.png().toBuffer()), 5, 5);
    expect(Math.abs(mixed[0]! - 191)).toBeLessThan(2);
    expect(Math.abs(mixed[1]! - 64)).toBeLessThan(2);
  });

  it("makes grey three equal channels, and 16 bits their upper eight", async () => {
    const grey = await quarters.clone().greyscale().png().toBuffer();
    const picture = await decodePicture(grey);
    for (let i = 0; i < picture.data.length; i += 3)
      expect(picture.data[i + 1] === picture.data[i] && picture.data[i + 2] === picture.data[i]).toBe(true);

    const values = new Uint16Array(300).map((_, i) => (i % 3) * 0x4000 + 0x1234);
    const rgb16 = await sharp(values, { raw: { width: 10, height: 10, channels: 3 } })
      .toColourspace("rgb16")
      .png()
      .toBuffer();
    expect(await probePicture(rgb16)).toMatchObject({ bitsPerSample: 16 });
    expect(pixel(await decodePicture(rgb16), 3, 3)).toEqual([0x12, 0x52, 0x92]);

    const grey16 = await sharp(new Uint16Array(100).fill(0x8040), {
      raw: { width: 10, height: 10, channels: 1 },
    })
      .toColourspace("grey16")
      .png()
      .toBuffer();
    expect(pixel(await decodePicture(grey16), 3, 3)).toEqual([0x80, 0x80, 0x80]);
  });

  it("converts CMYK and other colour profiles to sRGB", async () => {
    const red = () => sharp({ create: { width: 16, height: 16, channels: 3, background: "#c82020" } });
    const cmyk = await red().toColourspace("cmyk").withIccProfile("cmyk").jpeg({ quality: 100 }).toBuffer();
    expect(await probePicture(cmyk)).toMatchObject({ space: "cmyk" });
    const p3 = await red().withIccProfile("p3").jpeg({ quality: 100 }).toBuffer();
    for (const bytes of [cmyk, p3]) {
      const [r, g, b] = pixel(await decodePicture(bytes), 8, 8);
      expect(Math.abs(r! - 200) + Math.abs(g! - 32) + Math.abs(b! - 32)).toBeLessThan(12);
    }
  });

  it("takes the first frame of an animation and the first page of a TIFF", async () => {
    const frame = (background: string) =>
      sharp({ create: { width: 16, height: 16, channels: 3, background } })
        .png()
        .toBuffer();
    const frames = [await frame("#f00"), await frame("#0f0")];
    for (const format of ["gif", "webp", "tiff"] as const) {
      const bytes = await sharp(frames, { join: { animated: true } })
        .toFormat(format, { quality: 100 })
        .toBuffer();
      const picture = await decodePicture(bytes);
      expect(picture).toMatchObject({ width: 16, height: 16 });
      expect(pixel(picture, 8, 8)[0]).toBeGreaterThan(240);
      expect(pixel(picture, 8, 8)[1]).toBeLessThan(12);
    }
  });

  it("gives a JPEG and its decoded pixels the same numbers", async () => {
    const bytes = await noise().jpeg().toBuffer();
    const { data, width, height } = await decodePicture(bytes);
    const again = await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    expect((await decodePicture(again)).data).toEqual(data);
  });
});

describe("what is no picture", () => {
  it.each([
    ["a text file", text("Just some notes about part 7, named .jpg by mistake.")],
    ["a text file", text("BMW parts list, first page, in plain words and long enough")],
    ["an SVG drawing", text('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>')],
    ["a web page", text("<!DOCTYPE html><html><body>404</body></html>")],
    ["a PDF document", text("%PDF-1.7\n%âãÏÓ")],
    ["a HEIF image or an MP4 video", text("\0\0\0\x18ftypheic\0\0\0\0")],
    ["an AVIF image", text("\0\0\0\x1cftypavif\0\0\0\0")],
    ["a ZIP archive", text("PK\x03\x04 and more")],
    ["a RIFF file that is no WebP image", text("RIFF\0\0\0\0WAVEfmt ")],
    ["a Git LFS pointer", text("version https://git-lfs.github.com/spec/v1\noid sha256:00")],
    ["a binary file of an unknown kind", Uint8Array.of(1, 0, 254, 3, 0, 0, 9, 9)],
  ])("is refused by name: %s", async (name, bytes) => {
    const { code, message } = await refusal(bytes);
    expect(code).toBe("IMAGE_UNSUPPORTED");
    expect(message).toContain(`got what looks like ${name}`);
  });

  it("a TIFF is refused where nobody says which value is white, or which channel is red", async () => {
    expect(await decodePicture(tiff(1, 8, 1))).toMatchObject({ width: 16, height: 16 });
    for (const [samples, bits, sampleFormat, why] of [
      [1, 32, 3, "samples of type float"],
      [1, 32, 1, "samples of type uint"],
      [5, 8, 1, "5 channels"],
    ] as const) {
      const { code, message } = await refusal(tiff(samples, bits, sampleFormat));
      expect(code).toBe("IMAGE_UNSUPPORTED");
      expect(message).toContain(why);
    }
  });

  it("nothing at all is IMAGE_EMPTY", async () => {
    const { code, message } = await refusal(new Uint8Array());
    expect(code).toBe("IMAGE_EMPTY");
    expect(message).toBe(
      "The image has no bytes: expected a picture, got 0 bytes. Check that the camera or the copy had finished writing the file.",
    );
    await expect(probePicture(new Uint8Array())).rejects.toMatchObject({ code: "IMAGE_EMPTY" });
  });
});

describe("a polyglot", () => {
  const additions = ["<html><script>alert(1)</script>", "PK\x03\x04 a whole archive PK\x05\x06", "%PDF-1.7"];

  it.each(["jpeg", "png", "gif", "webp", "tiff"] as const)(
    "%s is the picture at its front, nothing else",
    async (format) => {
      const bytes = await quarters.clone().toFormat(format).toBuffer();
      const plain = await decodePicture(bytes);
      for (const addition of additions) {
        const both = Buffer.concat([bytes, text(addition)]);
        expect(await decodePicture(both)).toEqual(plain);
      }
    },
  );

  it("a GIF that is also a script is read as a GIF or not at all", async () => {
    const { code } = await refusal(
      text("GIF89a/*\0\0\0\0\0*/=1;alert(document.domain)//<svg onload=alert(1)>"),
    );
    expect(code).toBe("IMAGE_BROKEN");
  });

  it("the thumbnail holds the pixels alone", async () => {
    const bytes = Buffer.concat([
      await quarters
        .clone()
        .withMetadata({ exif: { IFD0: { Copyright: "SECRET" } } })
        .jpeg()
        .toBuffer(),
      text("<script>alert(1)</script>"),
    ]);
    const small = Buffer.from(await thumbnail(await decodePicture(bytes)));
    expect(small.includes("script")).toBe(false);
    expect(small.includes("SECRET")).toBe(false);
    expect(await probePicture(small)).toMatchObject({ format: "jpeg", width: 40, height: 24 });
  });
});

describe("limits", () => {
  it("refuses 50,000 x 50,000 pixels from the header", async () => {
    const bomb = png(50_000, 50_000);
    const start = performance.now();
    const { code, message } = await refusal(bomb);
    // It takes a millisecond; decoding would take minutes and 7.5 GB.
    expect(performance.now() - start).toBeLessThan(2000);
    expect(code).toBe("IMAGE_TOO_LARGE");
    expect(message).toBe(
      "The image is larger than the limit: expected at most 100000000 pixels, got 50000 x 50000. Make the picture smaller, or raise the limit on pixels.",
    );
  });

  it("refuses bombs of few bytes before they unfold", async () => {
    expect((await refusal(gif(65_535, 65_535))).code).toBe("IMAGE_TOO_LARGE");
    const zeros = deflateSync(new Uint8Array(3_000_000));
    expect((await refusal(png(20_000, 20_000, zeros))).code).toBe("IMAGE_TOO_LARGE");
    // More compressed pixels than the header announces are not unfolded into the picture.
    const picture = await decodePicture(png(10, 10, zeros)).catch((error: unknown) => error);
    if (isProtolineError(picture)) expect(picture.code).toBe("IMAGE_BROKEN");
    else expect(picture).toMatchObject({ width: 10, height: 10 });
  });

  it("refuses too many bytes", async () => {
    const bytes = await noise().png().toBuffer();
    expect(await refusal(bytes, { maxBytes: 1000 })).toMatchObject({
      code: "IMAGE_TOO_LARGE",
      message: expect.stringContaining(`expected at most 1000 bytes, got ${bytes.length}`),
    });
  });

  it("refuses a picture of one pixel", async () => {
    const one = await sharp({ create: { width: 1, height: 1, channels: 3, background: "#fff" } })
      .png()
      .toBuffer();
    expect(await refusal(one)).toMatchObject({
      code: "IMAGE_TOO_SMALL",
      message: expect.stringContaining("expected sides of at least 8 pixels, got 1 x 1"),
    });
    expect(await decodePicture(one, { minSide: 1 })).toMatchObject({ width: 1, height: 1 });
  });
});

describe("a damaged picture", () => {
  it.each(["jpeg", "png", "webp", "tiff", "gif"] as const)(
    "%s cut off anywhere is refused as a whole",
    async (format) => {
      const bytes = await noise().toFormat(format).toBuffer();
      for (const share of [0.02, 0.3, 0.6, 0.9]) {
        const { code, message } = await refusal(bytes.subarray(0, Math.floor(bytes.length * share)));
        expect(code).toBe("IMAGE_BROKEN");
        expect(message).toContain(
          `expected a whole ${format.toUpperCase()} picture, got one whose decoder says`,
        );
      }
    },
  );

  it("a JPEG whose middle is missing is refused, progressive or not", async () => {
    for (const progressive of [false, true]) {
      const bytes = await noise().jpeg({ progressive }).toBuffer();
      const torn = Buffer.concat([bytes.subarray(0, bytes.length / 2), bytes.subarray(-2)]);
      expect((await refusal(torn)).code).toBe("IMAGE_BROKEN");
    }
  });

  it("a PNG with one bit turned is refused", async () => {
    const bytes = await noise().png().toBuffer();
    bytes[bytes.length >> 1]! ^= 1;
    expect((await refusal(bytes)).code).toBe("IMAGE_BROKEN");
  });

  it("magic bytes alone are refused", async () => {
    for (const head of ["\xff\xd8\xff\xe0", "\x89PNG\r\n\x1a\n", "GIF89a", "RIFF\0\0\0\0WEBP", "II*\0", "BM"])
      expect((await refusal(Buffer.from(head, "latin1"))).code).toMatch(/^IMAGE_(BROKEN|UNSUPPORTED)$/);
  });
});
