import type { Embeddings } from "../core/index.ts";
import { squaredDistances } from "./mmd.ts";
import { pairSummer } from "./pairs.ts";
import { type PermutationOptions, permutationP } from "./permutation.ts";

export interface MeanShiftResult {
  /** ‖mean of the current − mean of the reference‖ / σ, σ² the mean squared distance of a member to its own sample's mean. */
  readonly shift: number;
  readonly pValue: number;
}

/**
 * Whether the mean of a class has moved, in units of the class's own spread, by permutation. Cheaper and, for a plain
 * shift, surer than {@link mmd}; blind to a change of spread.
 *
 * @param reference `[n, dim]`, n ≥ 2. @param current `[m, dim]`, m ≥ 2.
 * @throws INVALID_ARGUMENT, DIMENSION_MISMATCH
 */
export function meanShift(
  reference: Embeddings,
  current: Embeddings,
  options: PermutationOptions,
): MeanShiftResult {
  const squares = squaredDistances(reference, current);
  const [n, m] = [reference.n, current.n];
  const size = n + m;
  const sums = pairSummer(squares, size);
  // With S the sums of ‖aᵢ − aⱼ‖² over pairs: ‖x̄ − ȳ‖² = Sxy/nm − Sxx/n² − Syy/m², Σ‖x − x̄‖² = Sxx/n.
  const apart = (first: Uint8Array): number => {
    const { xx, yy, xy } = sums(first);
    return Math.max(0, xy / (n * m) - xx / (n * n) - yy / (m * m));
  };
  // σ falls as the means part, so that the distance alone orders the deals as the shift does.
  const { observed, pValue } = permutationP(n, m, apart, options);
  const { xx, yy } = sums(new Uint8Array(size).fill(1, 0, n));
  const spread = Math.sqrt((xx / n + yy / m) / size);
  return { shift: spread > 0 ? Math.sqrt(observed) / spread : observed > 0 ? Infinity : 0, pValue };
}
