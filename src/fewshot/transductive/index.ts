import { type Embeddings, ProtolineError, row } from "../../core/index.ts";
import { checkFinite } from "../transforms.ts";
import { alphaTim } from "./alpha-tim.ts";
import { bdCspn } from "./bd-cspn.ts";
import { laplacianShot } from "./laplacian-shot.ts";
import type { TransductiveMethod, TransductiveTask } from "./method.ts";
import { ptMap } from "./pt-map.ts";

export type { TransductiveTask } from "./method.ts";

const methods = {
  "bd-cspn": bdCspn,
  "laplacian-shot": laplacianShot,
  "alpha-tim": alphaTim,
  "pt-map": ptMap,
} as const satisfies Readonly<Record<string, TransductiveMethod>>;

export type TransductiveName = keyof typeof methods;

export const transductiveNames = Object.keys(methods) as readonly TransductiveName[];

/**
 * Answers all queries of a task at once, each seeing the others: for evaluations, and for comparison with published figures
 * of the same kind alone. A line has one frame at a time, and these methods have no answer for it; the recognizer and the
 * server know none of them.
 *
 * @returns probabilities of the classes for each query, `[m][way]`.
 * @throws DIMENSION_MISMATCH, NOT_FINITE before any arithmetic.
 */
export function transduce(name: TransductiveName, task: TransductiveTask): Float64Array[] {
  const { support, labels, way, queries } = task;
  const check = (holds: boolean, expected: string, got: string): void => {
    if (!holds)
      throw new ProtolineError("DIMENSION_MISMATCH", {
        expected,
        got,
        todo: "Pass a class for each support row, of every class at least one, and queries of the same encoder.",
      });
  };
  check(labels.length === support.n, `${support.n} labels`, `${labels.length}`);
  check(queries.dim === support.dim, `queries of ${support.dim} numbers`, `${queries.dim}`);
  check(queries.n > 0, "at least one query", "none");
  const missing = Array.from({ length: way }, (_, k) => k).find((k) => !labels.includes(k));
  check(way > 0 && missing === undefined, "support of every class", `none of class ${missing ?? 0}`);
  const other = labels.find((label) => !Number.isInteger(label) || label < 0 || label >= way);
  check(other === undefined, `classes 0 … ${way - 1}`, `${other}`);
  for (const rows of [support, queries]) checkRows(rows);
  return methods[name](task);
}

function checkRows(embeddings: Embeddings): void {
  for (let i = 0; i < embeddings.n; i++) checkFinite(row(embeddings, i), i);
}
