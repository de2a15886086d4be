import { type Batch, type BatchData, between, changeSome, invalid } from "./batch.ts";

export interface GrayOptions {
  /** Default 0.2. */
  readonly probability?: number;
}

/** Takes the colour out of some pictures: every channel becomes 0.299 R + 0.587 G + 0.114 B. Grey ones stay as they are. */
export function randomGray<T extends BatchData>(
  batch: Batch<T>,
  { probability = 0.2 }: GrayOptions,
  seed: number,
): Batch<T> {
  const plane = batch.height * batch.width;
  const rounding = batch.data instanceof Uint8Array ? 0.5 : 0;
  return changeSome(batch, probability, seed, (source, target, at) => {
    if (batch.channels !== 3) return;
    for (let p = at; p < at + plane; p++) {
      const gray = 0.299 * source[p]! + 0.587 * source[p + plane]! + 0.114 * source[p + 2 * plane]!;
      target[p] = target[p + plane] = target[p + 2 * plane] = gray + rounding;
    }
  });
}

export interface BlurOptions {
  /** Default 0.2. */
  readonly probability?: number;
  /** Deviation of the Gaussian, pixels, > 0. Default 0.5 to 1.5. */
  readonly sigma?: readonly [number, number];
}

/** Puts some pictures out of focus by a Gaussian; beyond the edge its pixels go on. */
export function randomBlur<T extends BatchData>(
  batch: Batch<T>,
  { probability = 0.2, sigma = [0.5, 1.5] }: BlurOptions,
  seed: number,
): Batch<T> {
  if (!(sigma[0] > 0 && sigma[1] >= sigma[0])) throw invalid("a sigma above 0, small to large", `${sigma}`);
  const { channels, height, width } = batch;
  const plane = height * width;
  const rounding = batch.data instanceof Uint8Array ? 0.5 : 0;
  const rows = new Float32Array(plane);
  return changeSome(batch, probability, seed, (source, target, at, rng) => {
    const kernel = gaussian(between(rng, sigma));
    for (let c = 0; c < channels; c++) {
      const from = at + c * plane;
      for (let y = 0; y < height; y++)
        alongLine(source, from + y * width, 1, rows, y * width, 1, width, kernel, 0);
      for (let x = 0; x < width; x++)
        alongLine(rows, x, width, target, from + x, width, height, kernel, rounding);
    }
  });
}

/** Weights of −r … r, r = ⌈3σ⌉, that add up to 1. */
function gaussian(sigma: number): Float32Array {
  const radius = Math.ceil(3 * sigma);
  const weights = Float32Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * sigma * sigma)),
  );
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

function alongLine(
  source: BatchData,
  from: number,
  step: number,
  target: BatchData,
  to: number,
  stepTo: number,
  length: number,
  kernel: Float32Array,
  rounding: number,
): void {
  const radius = (kernel.length - 1) / 2;
  for (let i = 0; i < length; i++) {
    let sum = rounding;
    for (let k = -radius; k <= radius; k++)
      sum += kernel[k + radius]! * source[from + step * Math.min(length - 1, Math.max(0, i + k))]!;
    target[to + i * stepTo] = sum;
  }
}

export interface NoiseOptions {
  /** Default 0.2. */
  readonly probability?: number;
  /** Deviation of the noise in the pixels' own unit, ≥ 0. Default 2 to 10. */
  readonly deviation?: readonly [number, number];
}

/** Adds normal noise to some pictures, for each pixel and channel anew. Bytes are clamped to 0 … 255. */
export function randomNoise<T extends BatchData>(
  batch: Batch<T>,
  { probability = 0.2, deviation = [2, 10] }: NoiseOptions,
  seed: number,
): Batch<T> {
  if (!(deviation[0] >= 0 && deviation[1] >= deviation[0]))
    throw invalid("a deviation of at least 0, small to large", `${deviation}`);
  const length = batch.channels * batch.height * batch.width;
  const bytes = batch.data instanceof Uint8Array;
  return changeSome(batch, probability, seed, (source, target, at, rng) => {
    const size = between(rng, deviation);
    for (let p = at; p < at + length; p++) {
      const value = source[p]! + size * rng.normal();
      target[p] = bytes ? Math.min(255, Math.max(0, value)) + 0.5 : value;
    }
  });
}
