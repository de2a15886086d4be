import sharp from "sharp";
import { createRng } from "../../src/core/index.ts";

export type Colour = readonly [r: number, g: number, b: number];

export const red: Colour = [200, 30, 30];
export const green: Colour = [30, 180, 40];
export const blue: Colour = [30, 40, 200];
export const yellow: Colour = [220, 210, 20];

/**
 * A JPEG of a part: a bar of `colour` on grey, its place, brightness and noise drawn by `seed`.
 * Two seeds give two files; one seed gives the same bytes again.
 */
export async function partPicture(colour: Colour, seed: number, side = 64): Promise<Uint8Array> {
  const rng = createRng(seed);
  const data = Buffer.alloc(side * side * 3);
  const left = Math.floor(side / 4) + rng.int(5);
  const light = 0.85 + 0.3 * rng.next();
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const inside = x >= left && x < left + side / 3;
      for (let c = 0; c < 3; c++)
        data[(y * side + x) * 3 + c] = Math.min(
          255,
          Math.max(0, (inside ? colour[c]! : 90) * light + 6 * rng.normal()),
        );
    }
  return sharp(data, { raw: { width: side, height: side, channels: 3 } })
    .jpeg({ quality: 92 })
    .toBuffer();
}

export function partPictures(colour: Colour, count: number, firstSeed = 1): Promise<Uint8Array[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => partPicture(colour, firstSeed + i)));
}
