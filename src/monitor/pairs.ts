/** Sums over unordered pairs of members, by the samples that they are in. */
export interface PairSums {
  /** Both in the first, both in the second, one in each. */
  readonly xx: number;
  readonly yy: number;
  readonly xy: number;
}

/**
 * @param values of each pair, symmetric, `[size × size]`.
 * @param first 1 where a member is in the first sample, `[size]`.
 */
export function pairSums(values: Float64Array, first: Uint8Array): PairSums {
  const size = first.length;
  let [xx, yy, xy] = [0, 0, 0];
  for (let i = 0; i < size; i++)
    for (let j = 0; j < i; j++) {
      const value = values[i * size + j]!;
      if (first[i] !== first[j]) xy += value;
      else if (first[i]) xx += value;
      else yy += value;
    }
  return { xx, yy, xy };
}
