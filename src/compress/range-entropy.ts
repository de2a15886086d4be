import { BINS, isSigned, type RangeRule } from "./histogram.ts";

/**
 * The threshold that loses the least information: of all cuts of the histogram of absolute values, the one whose
 * quantised form has the smallest Kullback–Leibler divergence from it (Migacz, "8-bit Inference with TensorRT", GTC
 * 2017). What has negative numbers spends half of its 256 levels on each side.
 */
export const entropy: RangeRule = (seen) => {
  const { min, max, bound, counts } = seen;
  const bins = isSigned(seen)
    ? Float64Array.from({ length: BINS }, (_, i) => counts[BINS + i]! + counts[BINS - 1 - i]!)
    : Float64Array.from(counts);
  // Zeros behind a rectifier say nothing about how far the numbers reach, and would outweigh all that do.
  bins[0] = bins[1]!;
  const threshold = (bound * bestCut(bins, isSigned(seen) ? 128 : 256)) / BINS;
  return { low: Math.max(min, -threshold), high: Math.min(max, threshold) };
};

/** The share that Q has at least, as others who search so take it. */
const smoothing = 1e-4;

/** How many of the first bins are kept, `levels` … all of them; ties go to the narrower cut. */
export function bestCut(bins: Float64Array, levels: number): number {
  let best = bins.length;
  let least = Number.POSITIVE_INFINITY;
  const after = new Float64Array(bins.length + 1);
  for (let i = bins.length - 1; i >= 0; i--) after[i] = after[i + 1]! + bins[i]!;
  for (let cut = levels; cut <= bins.length; cut++) {
    const divergence = divergenceAt(bins, cut, levels, after[cut]!);
    if (divergence < least) [best, least] = [cut, divergence];
  }
  return best;
}

/**
 * KL(P‖Q): P are the first `cut` bins with all that lies beyond counted into the last; Q spreads the sum of each of
 * `levels` runs of bins evenly over those of its bins that are not empty.
 */
function divergenceAt(bins: Float64Array, cut: number, levels: number, beyond: number): number {
  let kept = 0;
  for (let i = 0; i < cut; i++) kept += bins[i]!;
  const total = kept + beyond;
  if (kept === 0) return Number.POSITIVE_INFINITY;
  let divergence = 0;
  for (let level = 0; level < levels; level++) {
    const start = Math.floor((level * cut) / levels);
    const end = Math.floor(((level + 1) * cut) / levels);
    let [sum, filled] = [0, 0];
    for (let i = start; i < end; i++)
      if (bins[i]! > 0) {
        sum += bins[i]!;
        filled++;
      }
    for (let i = start; i < end; i++) {
      const p = (bins[i]! + (i === cut - 1 ? beyond : 0)) / total;
      if (p === 0) continue;
      // What is cut off into an empty last bin would make the divergence infinite, however little it is.
      const q = bins[i]! > 0 ? sum / filled / kept : smoothing;
      divergence += p * Math.log(p / q);
    }
  }
  return divergence;
}
