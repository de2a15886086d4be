import { type Embeddings, ProtolineError, row } from "../core/index.ts";
import { pairSummer } from "./pairs.ts";
import { checkCount, type PermutationOptions, permutationP } from "./permutation.ts";

export interface MmdResult {
  /** Unbiased estimate; about 0 where nothing differs, and below it as often as above. */
  readonly mmdSquared: number;
  /** Width of the kernel: the median distance of two members. */
  readonly bandwidth: number;
  readonly pValue: number;
}

/**
 * Whether two samples of embeddings come from one distribution: maximum mean discrepancy with the kernel
 * exp(−‖a − b‖² / 2σ²), σ the median distance, by permutation (Gretton et al. 2012, JMLR 13, 723–773).
 * It sees any difference, also one that leaves the mean where it is. (n + m)²·dim/2 steps, then min(n, m)²/2 a permutation.
 *
 * @param reference `[n, dim]`, n ≥ 2. @param current `[m, dim]`, m ≥ 2.
 * @throws INVALID_ARGUMENT, DIMENSION_MISMATCH
 */
export function mmd(reference: Embeddings, current: Embeddings, options: PermutationOptions): MmdResult {
  const squares = squaredDistances(reference, current);
  const { n } = reference;
  const m = current.n;
  const size = n + m;
  const between: number[] = [];
  for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) between.push(squares[i * size + j]!);
  between.sort((a, b) => a - b);
  // Where most members are one and the same picture, the median says nothing: then the mean.
  const middle =
    between[between.length >> 1]! || between.reduce((sum, d) => sum + d, 0) / between.length || 1;
  const sums = pairSummer(
    squares.map((square) => Math.exp(-square / (2 * middle))),
    size,
  );
  const { observed, pValue } = permutationP(
    n,
    m,
    (first) => {
      const { xx, yy, xy } = sums(first);
      return (2 * xx) / (n * (n - 1)) + (2 * yy) / (m * (m - 1)) - (2 * xy) / (n * m);
    },
    options,
  );
  return { mmdSquared: observed, bandwidth: Math.sqrt(middle), pValue };
}

/** ‖aᵢ − aⱼ‖² over both samples, `[(n + m) × (n + m)]`. */
export function squaredDistances(reference: Embeddings, current: Embeddings): Float64Array {
  checkCount("embeddings in each sample", Math.min(reference.n, current.n), 2);
  if (reference.dim !== current.dim)
    throw new ProtolineError("DIMENSION_MISMATCH", {
      expected: `embeddings of ${reference.dim} numbers, as in the reference`,
      got: String(current.dim),
      todo: "Compare embeddings of one encoder.",
    });
  const all = [reference, current].flatMap((sample) =>
    Array.from({ length: sample.n }, (_, i) => row(sample, i)),
  );
  const size = all.length;
  const squares = new Float64Array(size * size);
  for (let i = 0; i < size; i++)
    for (let j = 0; j < i; j++) {
      const [a, b] = [all[i]!, all[j]!];
      let sum = 0;
      for (let d = 0; d < a.length; d++) sum += (a[d]! - b[d]!) ** 2;
      squares[i * size + j] = sum;
      squares[j * size + i] = sum;
    }
  return squares;
}
