import { isProtolineError } from "../core/index.ts";
import { datasetRoot, findDataset, type LoadOptions } from "./load.ts";
import type { DatasetSplit } from "./split-files.ts";

export interface SplitInfo {
  readonly split: DatasetSplit;
  readonly classes: number;
  readonly pictures: number;
  /** Pictures of the smallest and of the largest class. */
  readonly smallest: number;
  readonly largest: number;
}

/**
 * What the splits of a data set hold, from lists and directories alone; splits that are not there are left out.
 * A folder without lists has the split `all` alone.
 *
 * @throws as {@link loadDataset}, where not even one split is there.
 */
export async function datasetInfo(
  name: string,
  options: Pick<LoadOptions, "root" | "splits">,
): Promise<SplitInfo[]> {
  const dataset = findDataset(name);
  const root = datasetRoot(dataset, options.root);
  const found: SplitInfo[] = [];
  let problem: unknown;
  for (const split of ["train", "val", "test", "all"] as const) {
    if (split === "all" && found.length > 0) break;
    try {
      const { rows } = await dataset.plan(root, split, options);
      const counts = new Map<string, number>();
      for (const { label } of rows) counts.set(label, (counts.get(label) ?? 0) + 1);
      const sizes = [...counts.values()];
      found.push({
        split,
        classes: counts.size,
        pictures: rows.length,
        smallest: sizes.reduce((a, b) => Math.min(a, b)),
        largest: sizes.reduce((a, b) => Math.max(a, b)),
      });
    } catch (error) {
      if (!isProtolineError(error) || !["SPLIT_INVALID", "DATASET_NOT_FOUND"].includes(error.code))
        throw error;
      problem = error;
    }
  }
  if (found.length === 0) throw problem;
  return found;
}
