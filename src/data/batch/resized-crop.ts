import { type Batch, type BatchData, between, changeEach, checkRange, invalid } from "./batch.ts";

export interface ResizedCropOptions {
  /** Share of the picture's area, > 0. Above 1 the surroundings are the picture, mirrored. Default 0.3 to 1. */
  readonly area?: readonly [number, number];
  /** Width by height of the window; drawn evenly on a logarithmic scale. Default 3/4 to 4/3. */
  readonly aspect?: readonly [number, number];
  /** Largest angle either way by which the window is turned, 0 to 180. Default 0. */
  readonly degrees?: number;
}

/**
 * A window of each picture, brought to the size of the whole, bilinear between pixel centres (random resized crop, Szegedy
 * et al. 2015, arXiv:1409.4842). What a turned window shows beyond the edge is the picture, mirrored there.
 */
export function randomResizedCrop<T extends BatchData>(
  batch: Batch<T>,
  { area = [0.3, 1], aspect = [3 / 4, 4 / 3], degrees = 0 }: ResizedCropOptions,
  seed: number,
): Batch<T> {
  if (!(area[0] > 0 && area[1] >= area[0])) throw invalid("an area above 0, small to large", `${area}`);
  if (!(aspect[0] > 0 && aspect[1] >= aspect[0]))
    throw invalid("an aspect above 0, small to large", `${aspect}`);
  checkRange("degrees", degrees, 0, 180);
  const { channels, height, width } = batch;
  const plane = height * width;
  const rounding = batch.data instanceof Uint8Array ? 0.5 : 0;
  return changeEach(batch, seed, (source, target, at, rng) => {
    const share = between(rng, area);
    const ratio = Math.exp(between(rng, [Math.log(aspect[0]), Math.log(aspect[1])]));
    const angle = (between(rng, [-degrees, degrees]) * Math.PI) / 180;
    const [across, down] = [Math.sqrt(share * ratio), Math.sqrt(share / ratio)];
    const [spareX, spareY] = [Math.max(0, 1 - across), Math.max(0, 1 - down)];
    const centerX = (width - 1) / 2 + (rng.next() - 0.5) * spareX * width;
    const centerY = (height - 1) / 2 + (rng.next() - 0.5) * spareY * height;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const u = (x - (width - 1) / 2) * across;
        const v = (y - (height - 1) / 2) * down;
        const sx = centerX + cos * u - sin * v;
        const sy = centerY + sin * u + cos * v;
        const x0 = Math.floor(sx);
        const y0 = Math.floor(sy);
        const [fx, fy] = [sx - x0, sy - y0];
        const [left, right] = [mirrored(x0, width), mirrored(x0 + 1, width)];
        const [above, below] = [at + mirrored(y0, height) * width, at + mirrored(y0 + 1, height) * width];
        for (let c = 0, to = at + y * width + x; c < channels; c++, to += plane) {
          const shift = c * plane;
          const a = source[above + shift + left]!;
          const b = source[above + shift + right]!;
          const d = source[below + shift + left]!;
          const e = source[below + shift + right]!;
          const upper = a + (b - a) * fx;
          target[to] = upper + (d + (e - d) * fx - upper) * fy + rounding;
        }
      }
  });
}

/** Pixel i of a row that goes on, mirrored at its edges: … 1 0 | 0 1 … n−1 | n−1 n−2 …. */
function mirrored(i: number, n: number): number {
  const folded = ((i % (2 * n)) + 2 * n) % (2 * n);
  return folded < n ? folded : 2 * n - 1 - folded;
}
