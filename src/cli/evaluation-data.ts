import { quote } from "../core/index.ts";
import type { DatasetSplit } from "../data/index.ts";
import type { Evaluation } from "../train/index.ts";
import { kindOf } from "./resources.ts";

/** What an evaluation is about: pictures by class, or a split of a data set that is known by name. */
export type EvaluationData =
  | {
      readonly kind: "pictures";
      readonly split?: DatasetSplit;
      readonly classes: readonly { readonly label: string; readonly images: readonly string[] }[];
      /** Classes without a picture. */
      readonly empty: readonly string[];
      readonly skipped: readonly { readonly path: string; readonly reason: string }[];
    }
  | { readonly kind: "set"; readonly name: string; readonly root: string; readonly split: DatasetSplit };

/**
 * @param what a folder with a folder a class, or the name of a data set where a split is asked for or no such folder is.
 * @param split the pictures that its list names. Default: all of a folder, `test` of a data set.
 * @param root where data sets lie. Default: PROTOLINE_DATA, where `data pull` puts them.
 * @throws FOLDER_NOT_FOUND, FOLDER_EMPTY, SPLIT_INVALID
 */
export async function findEvaluationData(
  what: string,
  split: DatasetSplit | undefined,
  root: string | undefined,
): Promise<EvaluationData> {
  const { dataSources, datasets, findDataset, listClasses } = await import("../data/index.ts");
  const published = datasets.some(({ name, files }) => name === what && files.length > 0);
  if (published && (split !== undefined || (await kindOf(what)) === "missing"))
    return {
      kind: "set",
      name: what,
      root: root ?? dataSources(process.env).folder,
      split: split ?? "test",
    };
  if (split === undefined) return { kind: "pictures", ...(await listClasses(what)) };
  const { pictures, rows } = await findDataset("folder").plan(what, split, {});
  const classes = new Map<string, string[]>();
  for (const { picture, label } of rows) {
    const { path } = pictures[picture]!;
    const images = classes.get(label);
    if (images) images.push(path);
    else classes.set(label, [path]);
  }
  return {
    kind: "pictures",
    split,
    classes: [...classes].map(([label, images]) => ({ label, images })),
    empty: [],
    skipped: [],
  };
}

/** Which classes took no part in an evaluation and how many pictures they would need; `null` where all did. */
export function leftOutText({
  leftOut,
  picturesNeeded,
}: Pick<Evaluation, "leftOut" | "picturesNeeded">): string | null {
  if (leftOut.length === 0) return null;
  const named = leftOut.map(({ label, pictures }) => `${quote(label)} (${pictures})`).join(", ");
  return `left out, as a class needs ${picturesNeeded} pictures for these tasks: ${named}`;
}
