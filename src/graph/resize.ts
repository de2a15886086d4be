import { Mismatch } from "./operators.ts";

interface ResizeAttributes {
  readonly mode: string;
  readonly coordinate_transformation_mode: string;
  readonly nearest_mode: string;
}

/** Where output element `i` looks in the input, as a fraction of its elements (the ONNX Resize formulas). */
function positionOf(i: number, input: number, output: number, scale: number, mode: string): number {
  switch (mode) {
    case "half_pixel":
      return (i + 0.5) / scale - 0.5;
    case "pytorch_half_pixel":
      return output > 1 ? (i + 0.5) / scale - 0.5 : 0;
    case "align_corners":
      return output > 1 ? (i * (input - 1)) / (output - 1) : 0;
    case "asymmetric":
      return i / scale;
    default:
      throw new Mismatch("half_pixel, pytorch_half_pixel, align_corners or asymmetric", mode);
  }
}

const nearest: Record<string, (position: number) => number> = {
  round_prefer_floor: (p) => Math.ceil(p - 0.5),
  round_prefer_ceil: (p) => Math.floor(p + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/**
 * Resizing along one axis is linear: the matrix `[output, input]`, row-major. Value and gradient are products with it
 * and its transpose.
 */
export function resizeMatrix(
  input: number,
  output: number,
  scale: number,
  a: ResizeAttributes,
): Float64Array {
  const matrix = new Float64Array(output * input);
  const inside = (at: number): number => Math.min(Math.max(at, 0), input - 1);
  for (let i = 0; i < output; i++) {
    const position = positionOf(i, input, output, scale, a.coordinate_transformation_mode);
    if (a.mode === "nearest") {
      matrix[i * input + inside(nearest[a.nearest_mode]!(position))]! += 1;
      continue;
    }
    const clamped = inside(position);
    const low = Math.floor(clamped);
    matrix[i * input + low]! += 1 - (clamped - low);
    if (clamped > low) matrix[i * input + low + 1]! += clamped - low;
  }
  return matrix;
}
