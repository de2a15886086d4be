/**
 * What decisions have in common: a distance to every class, lower is nearer. Classes are numbers, in the order of the
 * gallery; vectors are embeddings after power and L2, `[dim]`.
 */
export interface Scorer {
  /** Multiplications that leaving one row out takes, roughly. */
  readonly leaveOutCost: number;
  /** `[classes]`. */
  distances(z: Float32Array): Float64Array;
  /**
   * The distances that rows `out` of class `owner` would get from a gallery without them: an array `[classes]` for
   * each. Exact but for centre and shrinkage, which keep the rows. The own distance is NaN when the class has no others.
   */
  leaveOut(owner: number, out: readonly number[]): Float64Array[];
  /** For each row of class `owner` its distances from the class if that had one of its other rows alone. */
  alone(owner: number): number[][];
}

/** The rows of one class as a scorer takes them. */
export interface ScorerClass {
  readonly rows: readonly Float32Array[];
}

/** A row that comes or goes, and the number of its class. */
export interface ChangedRow {
  readonly owner: number;
  readonly row: Float32Array;
}

/**
 * Some rows came and some went. `classes` are those after the change, `from[c]` the number that class `c` had before, or
 * −1. Rows that went carry their class number before the change.
 */
export interface ScorerChange {
  readonly classes: readonly ScorerClass[];
  readonly from: readonly number[];
  readonly removed: readonly ChangedRow[];
  readonly added: readonly ChangedRow[];
}

/** Rank-one changes since the last rebuild after which the next update rebuilds, so that rounding cannot add up. */
export const rebuildAfter = 1000;
