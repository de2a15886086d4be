import { ProtolineError, type Rng } from "../core/index.ts";

export interface PermutationOptions {
  /** Permutations at most; the smallest p-value that can come out is 1/(1 + this). Default 999. */
  readonly permutations?: number;
  readonly rng: Rng;
}

/** So many permutations that reach the observed value decide: what follows could not make the p-value small any more. */
const enough = 20;

/**
 * p-value of a statistic that is large where two samples differ, by dealing their members out anew (Besag and Clifford
 * 1991, "Sequential Monte Carlo p-values", Biometrika 78). Where both come from one distribution, P(p ≤ α) ≤ α for every
 * α, with equality where α(permutations + 1) is whole: no assumption but that members may be exchanged.
 *
 * @param statistic of a deal: `first[i]` is 1 where member i is in the first sample, `[n + m]`.
 */
export function permutationP(
  n: number,
  m: number,
  statistic: (first: Uint8Array) => number,
  { permutations = 999, rng }: PermutationOptions,
): { readonly observed: number; readonly pValue: number } {
  checkCount("permutations", permutations, 1);
  const first = new Uint8Array(n + m).fill(1, 0, n);
  const observed = statistic(first);
  let reached = 0;
  for (let done = 1; done <= permutations; done++) {
    for (let i = 0; i < n; i++) {
      const j = i + rng.int(n + m - i);
      const held = first[i]!;
      first[i] = first[j]!;
      first[j] = held;
    }
    // Equal up to rounding is equal: else a statistic with few values would be called rare.
    if (statistic(first) >= observed - 1e-12 * Math.abs(observed)) reached++;
    if (reached === enough) return { observed, pValue: reached / done };
  }
  return { observed, pValue: (reached + 1) / (permutations + 1) };
}

/** @throws INVALID_ARGUMENT */
export function checkCount(what: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new ProtolineError("INVALID_ARGUMENT", {
    expected: `at least ${least} ${what}`,
    got: String(value),
    todo: "Give more, or leave this test out.",
  });
}
