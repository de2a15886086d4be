import { ProtolineError } from "../core/index.ts";
import type { Vector } from "./linalg.ts";
import type { TransformSpec } from "./types.ts";

/** Throws NOT_FINITE, with the row, when a number of the vector is NaN or infinite. */
export function checkFinite(vector: Vector, rowIndex: number): void {
  for (let i = 0; i < vector.length; i++) {
    if (!Number.isFinite(vector[i]!))
      throw new ProtolineError("NOT_FINITE", {
        expected: "finite numbers in every embedding",
        got: `${vector[i]} at position ${i} of row ${rowIndex}`,
        todo: "Check the picture and the encoder that made this embedding; leave the row out.",
      });
  }
}

/** sign(x)·|x|^exponent, element by element, `[dim]`. Exponent ½ evens out the long tail of ReLU features. */
export function power(vector: Vector, exponent: number): Float32Array {
  const out = new Float32Array(vector.length);
  for (let i = 0; i < vector.length; i++) {
    const x = vector[i]!;
    const size = exponent === 0.5 ? Math.sqrt(Math.abs(x)) : Math.abs(x) ** exponent;
    out[i] = x < 0 ? -size : size;
  }
  return out;
}

/** x / ‖x‖, `[dim]`, into `out`, which may be `vector` itself. A zero vector has no direction and stays zero. */
export function l2(vector: Vector, out: Float32Array = new Float32Array(vector.length)): Float32Array {
  // Scaling by the largest element first keeps squares of huge and tiny numbers inside the range of floats.
  let largest = 0;
  for (let i = 0; i < vector.length; i++) largest = Math.max(largest, Math.abs(vector[i]!));
  if (largest === 0) return out.fill(0);
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += (vector[i]! / largest) ** 2;
  const scale = 1 / Math.sqrt(sum);
  for (let i = 0; i < vector.length; i++) out[i] = (vector[i]! / largest) * scale;
  return out;
}

/** x − center, `[dim]`. */
export function subtract(vector: Vector, center: Vector): Float32Array {
  const out = new Float32Array(vector.length);
  for (let i = 0; i < vector.length; i++) out[i] = vector[i]! - center[i]!;
  return out;
}

/** The part of the transform that needs nothing but the vector: power, then L2. `[dim]`. */
export function powerAndScale(raw: Vector, spec: TransformSpec): Float32Array {
  const powered = spec.power === null ? Float32Array.from(raw) : power(raw, spec.power);
  return spec.normalize ? l2(powered, powered) : powered;
}

/** The part that needs the centre: centre, then L2 again. Without a centre the vector comes back as it is. */
export function centerAndScale(z: Float32Array, spec: TransformSpec, center: Vector | null): Float32Array {
  if (center === null) return z;
  const moved = subtract(z, center);
  return spec.normalize ? l2(moved, moved) : moved;
}

/**
 * Power, L2, centre, L2 again, as the spec says; `[dim]`. SimpleShot (Wang et al. 2019, arXiv:1911.04623) without
 * the power, which follows Perronnin et al. 2010. `center` is taken after the first L2, or `null` for none.
 * Throws NOT_FINITE.
 */
export function applyTransform(
  raw: Vector,
  spec: TransformSpec,
  center: Vector | null,
  rowIndex = 0,
): Float32Array {
  checkFinite(raw, rowIndex);
  return centerAndScale(powerAndScale(raw, spec), spec, center);
}
