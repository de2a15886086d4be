import { ProtolineError } from "../core/index.ts";
import { checkRegion } from "./pixels.ts";
import { type Axis, axisWeights, resample } from "./resample.ts";
import type { Picture, Preprocess, Region } from "./types.ts";

/**
 * A picture as the encoder's input, `[channels, height, width]`, float32. Plain TypeScript, so that a file, a raw camera
 * frame and a browser give the same numbers for the same pixels.
 *
 * The region of interest is cut first: pixels outside it have no influence. Then the fit, the interpolation (see
 * {@link axisWeights}), clamping to 0 … 255, the channels (grey is 0.299 R + 0.587 G + 0.114 B, ITU-R BT.601, as PIL),
 * (x − mean) / std, and the standardisation to mean 0 and deviation 1 where asked; a flat picture becomes zeros.
 *
 * `crop` takes the largest window in the middle that has the input's aspect ratio; `fit` rounds the scaled short side to
 * whole pixels, pads on both sides, and the padding passes through mean and std as any pixel does.
 *
 * @throws REGION_OUTSIDE, INVALID_ARGUMENT
 */
export function toInput(picture: Picture, preprocess: Preprocess, region?: Region): Float32Array {
  const window = region
    ? checkRegion(picture, region)
    : { x: 0, y: 0, width: picture.width, height: picture.height };
  const { vertical, horizontal, top, left } = axes(window, preprocess);
  const stride = picture.width * 3;
  const pixels = resample(
    { data: picture.data, offset: window.y * stride + window.x * 3, stride, width: window.width },
    vertical,
    horizontal,
  );
  return finish(pixels, vertical.outputs, horizontal.outputs, top, left, preprocess);
}

interface Placement {
  readonly vertical: Axis;
  readonly horizontal: Axis;
  readonly top: number;
  readonly left: number;
}

function axes({ width, height }: Region, { size, fit, interpolation }: Preprocess): Placement {
  const [rows, columns] = size;
  if (fit === "fit") {
    const scale = Math.min(rows / height, columns / width);
    const outRows = Math.min(rows, Math.max(1, Math.round(height * scale)));
    const outColumns = Math.min(columns, Math.max(1, Math.round(width * scale)));
    return {
      vertical: axisWeights(height, outRows, interpolation),
      horizontal: axisWeights(width, outColumns, interpolation),
      top: Math.floor((rows - outRows) / 2),
      left: Math.floor((columns - outColumns) / 2),
    };
  }
  const scale = Math.max(rows / height, columns / width);
  const windowRows = fit === "crop" ? rows / scale : height;
  const windowColumns = fit === "crop" ? columns / scale : width;
  return {
    vertical: axisWeights(height, rows, interpolation, (height - windowRows) / 2, windowRows),
    horizontal: axisWeights(width, columns, interpolation, (width - windowColumns) / 2, windowColumns),
    top: 0,
    left: 0,
  };
}

function finish(
  pixels: Float32Array,
  outRows: number,
  outColumns: number,
  top: number,
  left: number,
  { size: [rows, columns], padding, channels, mean, std, standardize }: Preprocess,
): Float32Array {
  const planes = channels === "gray" ? 1 : 3;
  if (mean.length !== planes || std.length !== planes || std.some((s) => !(s > 0)))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `${planes} means and ${planes} deviations above 0`,
      got: `[${mean}] and [${std}]`,
      todo: "Correct the preprocessing in the model's manifest.",
    });
  const plane = rows * columns;
  const out = new Float32Array(planes * plane);
  const padded = outRows < rows || outColumns < columns;
  for (let c = 0; c < planes; c++) {
    const scale = 1 / std[c]!;
    const shift = -mean[c]! * scale;
    if (padded) out.fill(padding * scale + shift, c * plane, (c + 1) * plane);
    const source = channels === "bgr" ? 2 - c : c;
    for (let y = 0; y < outRows; y++) {
      let from = y * outColumns * 3;
      let to = c * plane + (top + y) * columns + left;
      for (let x = 0; x < outColumns; x++, from += 3, to++) {
        const value =
          channels === "gray"
            ? 0.299 * pixels[from]! + 0.587 * pixels[from + 1]! + 0.114 * pixels[from + 2]!
            : pixels[from + source]!;
        out[to] = Math.min(255, Math.max(0, value)) * scale + shift;
      }
    }
  }
  if (standardize === "image") standardizeInPlace(out);
  return out;
}

/** To mean 0 and deviation 1; equal values become zeros. */
export function standardizeInPlace(values: Float32Array): void {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  const deviation = Math.sqrt(squares / values.length);
  // Below a millionth there is only rounding left to blow up.
  const scale = deviation > 1e-6 ? 1 / deviation : 0;
  for (let i = 0; i < values.length; i++) values[i] = (values[i]! - mean) * scale;
}
