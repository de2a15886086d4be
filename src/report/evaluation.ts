import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { invalid, notFound, parseJson } from "./source.ts";

const count = Type.Integer({ minimum: 0 });
const optional = Type.Optional;
/** JSON has no NaN: `null` stands for it. */
const number = Type.Union([Type.Number(), Type.Null()]);

const row = Type.Object({
  /** Of a result file of several models. */
  bundle: optional(Type.String()),
  way: count,
  shot: count,
  /** Pictures shown of each class of a task, where these differ. */
  sizes: optional(Type.Array(count)),
  queries: count,
  episodes: count,
  mean: Type.Number(),
  ci95: number,
  ece: optional(number),
  balanced: optional(number),
  balancedCi95: optional(number),
  worst: optional(number),
  falseReject: optional(number),
  caught: optional(number),
  auroc: optional(number),
  aupr: optional(number),
  fpr95: optional(number),
  oscr: optional(number),
  reliability: optional(
    Type.Array(
      Type.Object({
        from: Type.Number(),
        to: Type.Number(),
        n: count,
        confidence: Type.Number(),
        accuracy: Type.Number(),
      }),
    ),
  ),
  distribution: optional(Type.Array(Type.Object({ accuracy: Type.Number(), episodes: count }))),
  perClass: optional(Type.Array(Type.Object({ label: Type.String(), queries: count, accuracy: number }))),
  confusion: optional(Type.Array(Type.Array(count))),
});
const results = Type.Object({ results: Type.Array(row, { minItems: 1 }) });

export type ResultRow = Static<typeof row>;

/** An evaluation: what one model came to on one data set. */
export interface Evaluated {
  /** Of the file, without its ending. */
  readonly name: string;
  /** What else the file says of it: data, model, decision, seed, …: shown, not used. */
  readonly about: Readonly<Record<string, unknown>>;
  readonly results: readonly ResultRow[];
}

/** Told by the report itself, or of no use to a reader. */
const untold = ["results", "rejected", "ms", "command", "versions"];

/**
 * Reads what `protoline evaluate --json` printed, or a result file of this project (docs/results), in which the rows are
 * under `data` and each names its bundle.
 *
 * @returns one evaluation a bundle.
 * @throws REPORT_SOURCE_NOT_FOUND, REPORT_SOURCE_INVALID
 */
export async function readEvaluations(path: string): Promise<readonly Evaluated[]> {
  const text = await readFile(path, "utf8").catch((error) => notFound(path, error));
  const value = parseJson(text, path);
  const outer = Value.Check(Type.Object({ data: results }), value) ? value : undefined;
  const found = outer?.data ?? value;
  if (!Value.Check(results, found)) {
    const first = [...Value.Errors(results, found)][0];
    throw invalid(
      path,
      "the results of an evaluation",
      `${first?.instancePath || "the whole"} ${first?.message}`,
    );
  }
  for (const { perClass = [], confusion } of found.results)
    if (
      confusion &&
      (confusion.length !== perClass.length || confusion.some((line) => line.length !== perClass.length))
    )
      throw invalid(path, "a confusion matrix with a row and a column for each class", "another size");
  const about = Object.fromEntries(
    Object.entries(outer ?? found).filter(([key]) => !untold.includes(key) && (key !== "data" || !outer)),
  );
  const name = basename(path).replace(/\.json$/i, "");
  return [...new Set(found.results.map(({ bundle }) => bundle))].map((bundle) => ({
    name: bundle === undefined ? name : `${name}, ${bundle}`,
    about: bundle === undefined ? about : { model: bundle, ...about },
    results: found.results.filter((one) => one.bundle === bundle),
  }));
}
