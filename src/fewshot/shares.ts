/** A count and the share that it is, with its 95 % interval (Wilson 1927). */
export interface CountedShare {
  readonly hits: number;
  readonly of: number;
  readonly interval: readonly [low: number, high: number];
}

export function countedShare(hits: number, of: number): CountedShare {
  return { hits, of, interval: of > 0 ? wilson(hits / of, of) : [0, 1] };
}

/** The 95 % interval of a share of `n`. */
export function wilson(share: number, n: number): [number, number] {
  const z = 1.96;
  const middle = (share + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}
