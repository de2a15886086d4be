import { ProtolineError } from "./errors.ts";

/** A row-major matrix of embeddings, shape `[n, dim]`. */
export interface Embeddings {
  readonly data: Float32Array;
  readonly n: number;
  readonly dim: number;
}

/** Row `i` as a view (no copy), shape `[dim]`. */
export function row({ data, dim }: Embeddings, i: number): Float32Array {
  return data.subarray(i * dim, (i + 1) * dim);
}

/** Stacks vectors of one length to `[rows.length, dim]`. `dim` is needed only where there may be no rows. */
export function stack(rows: readonly Float32Array[], dim = rows[0]?.length ?? 0): Embeddings {
  const data = new Float32Array(rows.length * dim);
  rows.forEach((vector, i) => {
    if (vector.length !== dim)
      throw new ProtolineError("DIMENSION_MISMATCH", {
        expected: `${dim} numbers in row ${i}, as in the first`,
        got: `${vector.length}`,
        todo: "Stack only embeddings of one encoder.",
      });
    data.set(vector, i * dim);
  });
  return { data, n: rows.length, dim };
}

/** The rows `indices`, copied, shape `[indices.length, dim]`. */
export function take(embeddings: Embeddings, indices: readonly number[]): Embeddings {
  return stack(
    indices.map((i) => row(embeddings, i)),
    embeddings.dim,
  );
}
