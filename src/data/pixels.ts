import { ProtolineError } from "../core/index.ts";
import type { Picture, Region } from "./types.ts";

/** The order of the bytes of one pixel in a raw camera frame. */
export type PixelOrder = "rgb" | "bgr" | "rgba" | "bgra" | "gray";

const layout = {
  rgb: { step: 3, offsets: [0, 1, 2] },
  bgr: { step: 3, offsets: [2, 1, 0] },
  rgba: { step: 4, offsets: [0, 1, 2] },
  bgra: { step: 4, offsets: [2, 1, 0] },
  gray: { step: 1, offsets: [0, 0, 0] },
} as const satisfies Record<PixelOrder, { step: number; offsets: readonly [number, number, number] }>;

/**
 * A picture from raw 8-bit pixels, rows from top to bottom without gaps, as a camera delivers them.
 * `rgb` pixels are taken as they are, without a copy; the fourth byte of `rgba` and `bgra` is ignored.
 *
 * @throws INVALID_ARGUMENT when the number of bytes is not width × height × bytes a pixel.
 */
export function pictureFromPixels(
  pixels: Uint8Array,
  width: number,
  height: number,
  order: PixelOrder = "rgb",
): Picture {
  const { step, offsets } = layout[order];
  const whole = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  if (!whole || pixels.length !== width * height * step)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `${width} x ${height} pixels of ${step} bytes each`,
      got: `${pixels.length} bytes`,
      todo: "Pass the size of the frame and the order of its bytes as the camera states them.",
    });
  if (order === "rgb") return { width, height, data: pixels };
  const data = new Uint8Array(width * height * 3);
  const [r, g, b] = offsets;
  for (let from = 0, to = 0; to < data.length; from += step, to += 3) {
    data[to] = pixels[from + r]!;
    data[to + 1] = pixels[from + g]!;
    data[to + 2] = pixels[from + b]!;
  }
  return { width, height, data };
}

/** Checks a region of interest against a picture. @throws REGION_OUTSIDE, INVALID_ARGUMENT for fractions of pixels. */
export function checkRegion(picture: Pick<Picture, "width" | "height">, region: Region): Region {
  const { x, y, width, height } = region;
  const got = `x ${x}, y ${y}, width ${width}, height ${height}`;
  if (![x, y, width, height].every(Number.isInteger))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a region of interest in whole pixels",
      got,
      todo: "Round the region's corner and size.",
    });
  if (x < 0 || y < 0 || width < 1 || height < 1 || x + width > picture.width || y + height > picture.height)
    throw new ProtolineError("REGION_OUTSIDE", {
      expected: `a region inside ${picture.width} x ${picture.height} pixels`,
      got,
      todo: "Draw the region on a picture of the camera that is in use now.",
    });
  return region;
}

/** The region as a picture of its own, copied. @throws REGION_OUTSIDE */
export function cutRegion(picture: Picture, region: Region): Picture {
  const { x, y, width, height } = checkRegion(picture, region);
  const data = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    const from = ((y + row) * picture.width + x) * 3;
    data.set(picture.data.subarray(from, from + width * 3), row * width * 3);
  }
  return { width, height, data };
}
