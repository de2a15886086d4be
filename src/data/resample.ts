import type { Interpolation } from "./types.ts";

/**
 * Weights that make one axis of `inputs` pixels into `outputs` pixels: output `o` is
 * Σ_k weights[o·taps + k] · input[start[o] + k] for k < count[o]. Weights of one output sum to 1.
 */
export interface Axis {
  readonly outputs: number;
  /** The largest count. */
  readonly taps: number;
  readonly start: Int32Array;
  readonly count: Int32Array;
  readonly weights: Float64Array;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** The reconstruction filters, with their half width in pixels. */
const filters = {
  bilinear: { support: 1, at: (x: number) => Math.max(0, 1 - Math.abs(x)) },
  /** Keys 1981 with a = −½, as PIL and as torchvision with antialias. */
  bicubic: {
    support: 2,
    at: (x: number) => {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  },
  lanczos3: { support: 3, at: (x: number) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const;

/**
 * Weights for the window `[from, from + length)` of an axis, in pixels, fractions allowed.
 *
 * Pixel centres lie at ½, 1½, … (`align_corners` false). When the window shrinks, the filter is stretched by the same
 * factor (antialias), so that every input pixel counts: the convention of PIL's `resize` and of torchvision with
 * `antialias`. At the rim of the input the weights that are left are scaled to sum 1. `nearest` takes the pixel under the
 * output's centre.
 */
export function axisWeights(
  inputs: number,
  outputs: number,
  interpolation: Interpolation,
  from = 0,
  length = inputs,
): Axis {
  const scale = length / outputs;
  if (interpolation === "nearest") {
    const start = Int32Array.from({ length: outputs }, (_, o) =>
      Math.min(inputs - 1, Math.max(0, Math.floor(from + (o + 0.5) * scale))),
    );
    const ones = new Float64Array(outputs).fill(1);
    return { outputs, taps: 1, start, count: new Int32Array(outputs).fill(1), weights: ones };
  }
  const filter = filters[interpolation];
  const stretch = Math.max(1, scale);
  const support = filter.support * stretch;
  const taps = Math.ceil(support) * 2 + 1;
  const start = new Int32Array(outputs);
  const count = new Int32Array(outputs);
  const weights = new Float64Array(outputs * taps);
  for (let o = 0; o < outputs; o++) {
    const center = from + (o + 0.5) * scale;
    const first = Math.max(0, Math.floor(center - support + 0.5));
    const end = Math.min(inputs, Math.floor(center + support + 0.5));
    start[o] = first;
    count[o] = end - first;
    let sum = 0;
    for (let i = first; i < end; i++) {
      const weight = filter.at((i + 0.5 - center) / stretch);
      weights[o * taps + i - first] = weight;
      sum += weight;
    }
    for (let k = 0; k < end - first; k++) weights[o * taps + k]! /= sum;
  }
  return { outputs, taps, start, count, weights };
}

/** A window of interleaved RGB bytes: `offset` is the index of its first byte, `stride` that of a row, in bytes. */
export interface Source {
  readonly data: Uint8Array;
  readonly offset: number;
  readonly stride: number;
  /** Pixels a row. */
  readonly width: number;
}

/**
 * Resamples rows first down, then across; the sums are float64, kept as float32, without rounding to bytes in between.
 * Result `[vertical.outputs, horizontal.outputs, 3]`, 0 … 255 but for the overshoot of bicubic and lanczos3.
 */
export function resample(source: Source, vertical: Axis, horizontal: Axis): Float32Array {
  const columns = horizontal.outputs;
  const out = new Float32Array(vertical.outputs * columns * 3);
  const line = new Float32Array(source.width * 3);
  for (let o = 0; o < vertical.outputs; o++) {
    mixRows(source, vertical, o, line);
    mixColumns(line, horizontal, out, o * columns * 3);
  }
  return out;
}

/** line = Σ weight · row, five rows a pass: loading and storing the line costs as much as the sums. */
function mixRows({ data, offset, stride }: Source, axis: Axis, o: number, line: Float32Array): void {
  const count = axis.count[o]!;
  const weights = axis.weights.subarray(o * axis.taps, o * axis.taps + count);
  const first = offset + axis.start[o]! * stride;
  line.fill(0);
  for (let k = 0; k < count; k += 5) {
    const w0 = weights[k]!;
    const w1 = weights[k + 1] ?? 0;
    const w2 = weights[k + 2] ?? 0;
    const w3 = weights[k + 3] ?? 0;
    const w4 = weights[k + 4] ?? 0;
    // Behind the last row the last row stands in, with weight 0.
    const row = (j: number): number => first + Math.min(k + j, count - 1) * stride;
    const a = row(0);
    const b = row(1);
    const c = row(2);
    const d = row(3);
    const e = row(4);
    for (let i = 0; i < line.length; i++)
      line[i]! +=
        w0 * data[a + i]! + w1 * data[b + i]! + w2 * data[c + i]! + w3 * data[d + i]! + w4 * data[e + i]!;
  }
}

function mixColumns(line: Float32Array, axis: Axis, out: Float32Array, to: number): void {
  const { outputs, taps, start, count, weights } = axis;
  for (let o = 0; o < outputs; o++, to += 3) {
    let r = 0;
    let g = 0;
    let b = 0;
    let from = start[o]! * 3;
    const end = o * taps + count[o]!;
    for (let k = o * taps; k < end; k++, from += 3) {
      const weight = weights[k]!;
      r += weight * line[from]!;
      g += weight * line[from + 1]!;
      b += weight * line[from + 2]!;
    }
    out[to] = r;
    out[to + 1] = g;
    out[to + 2] = b;
  }
}
