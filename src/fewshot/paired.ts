import type { Rng } from "../core/index.ts";

const rounds = 2000;

/**
 * Which of several alternatives beat a baseline beyond chance, although the best of many is looked at: the max-T
 * permutation test (Westfall and Young 1993). `gains[j][i]` is what alternative j gains on unit i (a picture, a class);
 * under the null hypothesis a unit's gains are as likely to have the opposite sign, for all alternatives together.
 * Returns, for each alternative, the chance that the greatest mean gain of all would reach its own by luck, 0 … 1.
 * With n units the smallest possible is about 2⁻ⁿ, so fewer than five units never suffice for 5 %.
 */
export function adjustedChances(gains: readonly (readonly number[])[], rng: Rng): number[] {
  const totals = gains.map((g) => g.reduce((s, x) => s + x, 0));
  const reached = totals.map(() => 1);
  const units = gains[0]?.length ?? 0;
  for (let round = 0; round < rounds; round++) {
    const signs = Array.from({ length: units }, () => (rng.next() < 0.5 ? -1 : 1));
    let greatest = Number.NEGATIVE_INFINITY;
    for (const g of gains) {
      let total = 0;
      for (let i = 0; i < units; i++) total += signs[i]! * g[i]!;
      greatest = Math.max(greatest, total);
    }
    totals.forEach((total, j) => {
      // The 1e-9 keeps sums that are equal but for rounding equal.
      if (greatest >= total - 1e-9) reached[j]!++;
    });
  }
  return reached.map((count) => count / (rounds + 1));
}
