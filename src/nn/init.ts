import type { Rng } from "../core/index.ts";
import { sizeOf } from "../graph/index.ts";

/** Starting values of a parameter of that shape, row-major. */
export type Init = (shape: readonly number[], rng: Rng) => Float32Array;

const fill = (shape: readonly number[], draw: () => number): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, draw);

/** Inputs of one output: weights are `[out, in, …kernel]`. */
const fanIn = (shape: readonly number[]): number => sizeOf(shape.slice(1));

export const constant =
  (value: number): Init =>
  (shape) =>
    fill(shape, () => value);

/** Normal with variance 2/fan-in, which keeps the scale through ReLU (He et al. 2015, arXiv:1502.01852). */
export const heNormal: Init = (shape, rng) => {
  const deviation = Math.sqrt(2 / fanIn(shape));
  return fill(shape, () => deviation * rng.normal());
};

/** Uniform in ±1/√fan-in, as Torch starts linear layers (LeCun et al. 1998). */
export const lecunUniform: Init = (shape, rng) => {
  const bound = 1 / Math.sqrt(fanIn(shape));
  return fill(shape, () => bound * (2 * rng.next() - 1));
};

/** Uniform in ±√(6/(fan-in + fan-out)), for `[out, in]` (Glorot and Bengio 2010). */
export const glorotUniform: Init = (shape, rng) => {
  const bound = Math.sqrt(6 / (shape[0]! + fanIn(shape)));
  return fill(shape, () => bound * (2 * rng.next() - 1));
};

/** Normal, drawn again beyond two deviations; what vision transformers start with (0.02). */
export const truncatedNormal =
  (deviation: number): Init =>
  (shape, rng) =>
    fill(shape, () => {
      let z = rng.normal();
      while (Math.abs(z) > 2) z = rng.normal();
      return deviation * z;
    });
