import { addScaled, type Vector } from "../linalg.ts";
import type { ScorerClass } from "./scorer.ts";

/** Σ of the rows as they are, kept for as long as the class: revisions share classes, so an update sums only what changed. */
const rowSums = new WeakMap<ScorerClass, Float64Array>();
/** Fewer rows than these are summed in less time than a kept sum, which takes as much memory as two of them, is worth. */
const fewestToKeep = 4;

/**
 * Σ of the rows of a class after power and L2, `[dim]`; not to be written to. A sum that is not worth keeping is made in
 * `scratch` `[dim]`, and holds until that is used again.
 */
export function rowSum(members: ScorerClass, dim: number, scratch = new Float64Array(dim)): Vector {
  const { rows } = members;
  if (rows.length === 1) return rows[0]!;
  const kept = rowSums.get(members);
  if (kept) return kept;
  const keep = rows.length >= fewestToKeep;
  const sum = keep ? new Float64Array(dim) : scratch.fill(0);
  for (const x of rows) addScaled(sum, x, 1);
  if (keep) rowSums.set(members, sum);
  return sum;
}
