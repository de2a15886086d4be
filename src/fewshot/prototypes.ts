import { type Embeddings, ProtolineError, row, stack } from "../core/index.ts";
import { addScaled, type Vector } from "./linalg.ts";

/** The mean of some vectors, float64, `[dim]`; zero where there are none. */
export function mean(rows: readonly Vector[], dim: number): Float64Array {
  const sum = new Float64Array(dim);
  for (const x of rows) addScaled(sum, x, 1);
  if (rows.length > 0) for (let i = 0; i < dim; i++) sum[i]! /= rows.length;
  return sum;
}

/**
 * The mean embedding of each class (Snell et al. 2017, arXiv:1703.05175). Labels may be of any type and are told
 * apart as a `Map` does; classes may differ in size. `embeddings` `[n, dim]`, `labels` `[n]`; the result keeps the
 * order in which labels first come, `prototypes` `[classes, dim]`. Throws DIMENSION_MISMATCH.
 */
export function prototypes<Label>(
  embeddings: Embeddings,
  labels: readonly Label[],
): {
  readonly labels: readonly Label[];
  readonly prototypes: Embeddings;
  readonly counts: readonly number[];
} {
  if (labels.length !== embeddings.n)
    throw new ProtolineError("DIMENSION_MISMATCH", {
      expected: `a label for each of ${embeddings.n} embeddings`,
      got: `${labels.length} labels`,
      todo: "Pass one label a row.",
    });
  const members = new Map<Label, Float32Array[]>();
  labels.forEach((label, i) => {
    const rows = members.get(label);
    if (rows) rows.push(row(embeddings, i));
    else members.set(label, [row(embeddings, i)]);
  });
  const classes = [...members.values()];
  return {
    labels: [...members.keys()],
    prototypes: stack(
      classes.map((rows) => Float32Array.from(mean(rows, embeddings.dim))),
      embeddings.dim,
    ),
    counts: classes.map((rows) => rows.length),
  };
}
