/**
 * What a head and an open-set score have in common: a distance to every class, lower is nearer. Classes are numbers,
 * in the order of the gallery; vectors are embeddings after power and L2, `[dim]`.
 */
export interface Scorer {
  /** Multiplications that leaving one row out takes, roughly. */
  readonly leaveOutCost: number;
  /** `[classes]`. */
  distances(z: Float32Array): Float64Array;
  /**
   * The distances that rows `picture` of class `owner` would get from a gallery without that picture: an array
   * `[classes]` for each row. Exact but for the centre and the shrinkage, which keep the picture. The own distance
   * is NaN when the class has no other picture.
   */
  leaveOut(owner: number, picture: readonly number[]): Float64Array[];
}

/** The rows of one class as a scorer takes them. */
export interface ScorerClass {
  readonly rows: readonly Float32Array[];
}
