/** Sums over unordered pairs of members, by the samples that they are in. */
export interface PairSums {
  /** Both in the first, both in the second, one in each. */
  readonly xx: number;
  readonly yy: number;
  readonly xy: number;
}

/**
 * Sums for one deal after another: only the pairs within the smaller sample are added up, the others follow from the
 * sums of the rows, so that a deal of n and m costs min(n, m)² / 2 steps.
 *
 * @param values of each pair, symmetric, `[size × size]`.
 * @returns what takes a deal: 1 where a member is in the first sample, `[size]`.
 */
export function pairSummer(values: Float64Array, size: number): (first: Uint8Array) => PairSums {
  const rows = new Float64Array(size);
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) if (i !== j) rows[i]! += values[i * size + j]!;
  const total = rows.reduce((sum, row) => sum + row, 0) / 2;
  const members = new Int32Array(size);
  return (first) => {
    let inFirst = 0;
    for (let i = 0; i < size; i++) inFirst += first[i]!;
    const few = 2 * inFirst <= size ? 1 : 0;
    let n = 0;
    for (let i = 0; i < size; i++) if (first[i] === few) members[n++] = i;
    let [own, reached] = [0, 0];
    for (let a = 0; a < n; a++) {
      const at = members[a]! * size;
      reached += rows[members[a]!]!;
      for (let b = 0; b < a; b++) own += values[at + members[b]!]!;
    }
    const xy = reached - 2 * own;
    const rest = total - own - xy;
    return few === 1 ? { xx: own, yy: rest, xy } : { xx: rest, yy: own, xy };
  };
}
