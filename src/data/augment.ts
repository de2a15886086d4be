import { createRng, type Rng } from "../core/index.ts";
import { cutRegion } from "./pixels.ts";
import type { Picture } from "./types.ts";

/** The same words as `ViewKind` in fewshot/. */
export type AugmentKind = "dihedral" | "crop" | "color" | "cutout";

/** Views that each kind adds to the picture itself. */
export const viewsPerKind: Readonly<Record<AugmentKind, number>> = {
  dihedral: 7,
  crop: 3,
  color: 3,
  cutout: 3,
};

/**
 * Further views of one picture, in the order of `kinds`, {@link viewsPerKind} each; the picture itself is not among them.
 * Pure: picture, kinds and seed decide every byte, and a kind's views do not depend on which other kinds are asked for.
 *
 * - `dihedral`: the seven further rotations by 90° and mirrorings.
 * - `crop`: 60 to 100 % of the area, aspect ratio changed by at most 4/3 (random resized crop, Szegedy et al. 2015, milder).
 * - `color`: brightness, contrast and saturation, each by a factor in 0.7 … 1.3.
 * - `cutout`: a grey square of half the shorter side, its centre anywhere (DeVries and Taylor 2017).
 */
export function augment(picture: Picture, kinds: readonly AugmentKind[], seed: number): Picture[] {
  return kinds.flatMap((kind) => {
    if (kind === "dihedral") return [1, 2, 3, 4, 5, 6, 7].map((element) => dihedral(picture, element));
    const rng = createRng(seed).fork(["crop", "color", "cutout"].indexOf(kind));
    const draw = { crop: randomCrop, color: jitterColor, cutout: cutOut }[kind];
    return Array.from({ length: viewsPerKind[kind] }, () => draw(picture, rng));
  });
}

/**
 * Element 0 … 7 of the dihedral group of the square: `element % 4` quarter turns clockwise, after a mirroring left to
 * right for 4 … 7. 0 is the picture itself, copied.
 */
export function dihedral({ width, height, data }: Picture, element: number): Picture {
  const turns = element % 4;
  const mirrored = element >= 4;
  const outWidth = turns % 2 === 0 ? width : height;
  const outHeight = turns % 2 === 0 ? height : width;
  // Where the upper left pixel of the result comes from, and the way a step right and a step down lead in the source.
  const corner = [
    { x: 0, y: 0 },
    { x: 0, y: height - 1 },
    { x: width - 1, y: height - 1 },
    { x: width - 1, y: 0 },
  ][turns]!;
  const right = [
    { x: 1, y: 0 },
    { x: 0, y: -1 },
    { x: -1, y: 0 },
    { x: 0, y: 1 },
  ][turns]!;
  const down = { x: -right.y, y: right.x };
  // In a mirrored source, x counts from the other side.
  const flip = mirrored ? -1 : 1;
  const first = (corner.y * width + (mirrored ? width - 1 - corner.x : corner.x)) * 3;
  const stepRight = (right.y * width + flip * right.x) * 3;
  const stepDown = (down.y * width + flip * down.x) * 3;

  const out = new Uint8Array(data.length);
  let to = 0;
  for (let y = 0; y < outHeight; y++) {
    let from = first + y * stepDown;
    for (let x = 0; x < outWidth; x++, from += stepRight, to += 3) {
      out[to] = data[from]!;
      out[to + 1] = data[from + 1]!;
      out[to + 2] = data[from + 2]!;
    }
  }
  return { width: outWidth, height: outHeight, data: out };
}

const between = (rng: Rng, low: number, high: number): number => low + (high - low) * rng.next();

function randomCrop(picture: Picture, rng: Rng): Picture {
  const area = between(rng, 0.6, 1);
  const aspect = Math.exp(between(rng, Math.log(3 / 4), Math.log(4 / 3)));
  const side = (length: number, share: number) => Math.max(1, Math.min(length, Math.round(length * share)));
  const width = side(picture.width, Math.sqrt(area * aspect));
  const height = side(picture.height, Math.sqrt(area / aspect));
  return cutRegion(picture, {
    x: rng.int(picture.width - width + 1),
    y: rng.int(picture.height - height + 1),
    width,
    height,
  });
}

const luma = (r: number, g: number, b: number): number => 0.299 * r + 0.587 * g + 0.114 * b;

function jitterColor({ width, height, data }: Picture, rng: Rng): Picture {
  const brightness = between(rng, 0.7, 1.3);
  const contrast = between(rng, 0.7, 1.3);
  const saturation = between(rng, 0.7, 1.3);
  let sum = 0;
  for (let i = 0; i < data.length; i += 3) sum += luma(data[i]!, data[i + 1]!, data[i + 2]!);
  // Contrast turns about the picture's mean grey after the change of brightness.
  const pivot = (brightness * sum) / (width * height);
  const gain = brightness * contrast;
  const shift = (1 - contrast) * pivot;
  // Uint8ClampedArray rounds and clamps.
  const out = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i += 3) {
    const r = gain * data[i]! + shift;
    const g = gain * data[i + 1]! + shift;
    const b = gain * data[i + 2]! + shift;
    const grey = (1 - saturation) * luma(r, g, b);
    out[i] = saturation * r + grey;
    out[i + 1] = saturation * g + grey;
    out[i + 2] = saturation * b + grey;
  }
  return { width, height, data: new Uint8Array(out.buffer) };
}

function cutOut({ width, height, data }: Picture, rng: Rng): Picture {
  const half = Math.min(width, height) / 4;
  const x = rng.int(width);
  const y = rng.int(height);
  const left = Math.max(0, Math.round(x - half));
  const right = Math.min(width, Math.round(x + half));
  const top = Math.max(0, Math.round(y - half));
  const bottom = Math.min(height, Math.round(y + half));
  const out = data.slice();
  for (let row = top; row < bottom; row++) out.fill(128, (row * width + left) * 3, (row * width + right) * 3);
  return { width, height, data: out };
}
