import { createRng } from "../../core/index.ts";
import { dot } from "../linalg.ts";

/**
 * Random features ReLU(x·R), R normal, `[dim, dim']` (RanPAC, McDonnell et al. 2023, arXiv:2307.02251). R is scaled
 * by √(2/dim') so that a feature vector is about as long as its embedding and λ keeps its meaning.
 */
export function projector(
  dim: number,
  spec: { readonly dim: number; readonly seed: number },
): { readonly dim: number; apply(z: Float32Array): Float32Array } {
  const rng = createRng(spec.seed);
  const scale = Math.sqrt(2 / spec.dim);
  const columns = Array.from({ length: spec.dim }, () =>
    Float32Array.from({ length: dim }, () => rng.normal() * scale),
  );
  return {
    dim: spec.dim,
    apply: (z) => Float32Array.from(columns, (column) => Math.max(0, dot(z, column))),
  };
}
