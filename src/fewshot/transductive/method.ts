import type { Embeddings } from "../../core/index.ts";
import { addScaled, dot, type Vector } from "../linalg.ts";
import { l2 } from "../transforms.ts";

/** What a transductive method is asked. */
export interface TransductiveTask {
  /** Raw encoder output, `[n, dim]`. */
  readonly support: Embeddings;
  /** Class of each support row, 0 … way − 1, every class at least once, `[n]`. */
  readonly labels: readonly number[];
  readonly way: number;
  /** Raw encoder output of all queries at once, `[m, dim]`. */
  readonly queries: Embeddings;
}

/** Probabilities of the classes for each query, `[m][way]`; what an answer is depends on all queries together. */
export type TransductiveMethod = (task: TransductiveTask) => Float64Array[];

/** Rows as vectors of length 1, `[n][dim]`. */
export const unitRows = ({ data, n, dim }: Embeddings): Float32Array[] =>
  Array.from({ length: n }, (_, i) => l2(data.subarray(i * dim, (i + 1) * dim)));

/** The mean of each class's rows, `[way][dim]`. */
export function classMeans(rows: readonly Vector[], labels: readonly number[], way: number): Float64Array[] {
  const sums = Array.from({ length: way }, () => new Float64Array(rows[0]!.length));
  const counts = new Float64Array(way);
  rows.forEach((x, i) => {
    addScaled(sums[labels[i]!]!, x, 1);
    counts[labels[i]!]!++;
  });
  sums.forEach((sum, k) => {
    for (let d = 0; d < sum.length; d++) sum[d]! /= counts[k]!;
  });
  return sums;
}

/** Into probabilities, in place. */
export function softmax(logits: Float64Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  let sum = 0;
  for (let k = 0; k < logits.length; k++) {
    logits[k] = Math.exp(logits[k]! - largest);
    sum += logits[k]!;
  }
  for (let k = 0; k < logits.length; k++) logits[k]! /= sum;
  return logits;
}

/** a·b/(‖a‖‖b‖); 0 for a vector without direction. */
export function cosine(a: Vector, b: Vector): number {
  const scale = Math.sqrt(dot(a, a) * dot(b, b));
  return scale > 0 ? dot(a, b) / scale : 0;
}

export function argMax(values: Float64Array): number {
  let best = 0;
  for (let k = 1; k < values.length; k++) if (values[k]! > values[best]!) best = k;
  return best;
}

/** The shots of the class that has fewest: what the papers' settings by shot go by. */
export function leastShots(labels: readonly number[], way: number): number {
  const counts = Array.from({ length: way }, (_, k) => labels.filter((label) => label === k).length);
  return Math.min(...counts);
}
