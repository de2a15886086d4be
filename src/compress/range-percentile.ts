import { isSigned, type RangeRule } from "./histogram.ts";

/**
 * The range between two quantiles, straight lines within a bin.
 *
 * @param share of the numbers that is kept at each end, above 0.5. Default 0.9999.
 */
export function percentile(share = 0.9999): RangeRule {
  return (seen) => {
    const { min, max, bound, counts } = seen;
    const total = counts.reduce((sum, n) => sum + n, 0);
    const from = isSigned(seen) ? -bound : 0;
    const width = (bound - from) / counts.length;
    /** Where `rank` numbers lie below. */
    const at = (rank: number): number => {
      let below = 0;
      for (const [bin, n] of counts.entries()) {
        if (n > 0 && below + n >= rank) return from + width * (bin + (rank - below) / n);
        below += n;
      }
      return bound;
    };
    return {
      low: Math.max(min, at((1 - share) * total)),
      high: Math.min(max, at(share * total)),
    };
  };
}
