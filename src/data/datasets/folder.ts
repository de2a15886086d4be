import { existsSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { quote } from "../../core/index.ts";
import { groupByFileName } from "../episodes.ts";
import { listClasses, refuseEmptyClasses } from "../folders.ts";
import { readSplit, splitInvalid } from "../split-files.ts";
import type { Dataset, DatasetPlan } from "./types.ts";

/**
 * Any folder with a folder a class in it. A split is a list of classes, or of pictures as `class/file.jpg`, in `splits`
 * or in the folder `splits` of the data set; without lists, only the split `all` is there.
 */
export const folder: Dataset = {
  name: "folder",
  description: "pictures of your own: a folder a class",
  license: "yours",
  citation: "yours",
  size: 84,
  channels: 3,
  interpolation: "bilinear",
  invert: false,
  files: [],
  async plan(root, split, { splits, groups }) {
    const lists = splits ?? join(root, "splits");
    const listing = await listClasses(root);
    const classes = listing.classes.filter(({ label }) => join(root, label) !== join(lists));
    refuseEmptyClasses({ empty: listing.empty.filter((label) => join(root, label) !== join(lists)) });
    const all = classes.flatMap(({ label, images }) => images.map((path) => ({ label, path })));
    const chosen =
      split === "all" && splits === undefined && !existsSync(lists)
        ? all
        : choose(all, await readSplit(lists, split), root);
    return planFiles(
      chosen.map(({ label, path }) => ({
        label,
        path,
        ...(groups && { group: groupByFileName(path, groups) }),
      })),
    );
  },
};

export function planFiles(
  files: readonly { readonly label: string; readonly path: string; readonly group?: string }[],
): DatasetPlan {
  return {
    pictures: files.map(({ path }) => ({ archive: null, path })),
    rows: files.map(({ label, group }, picture) => ({ picture, label, turns: 0, group })),
  };
}

/** Path of a picture in a split's list: from the data set's folder, with `/` on every system. */
export function listedPath(root: string, path: string): string {
  return relative(root, path).split(sep).join("/").normalize("NFC");
}

type Labelled = { readonly label: string; readonly path: string };

/** The pictures that the lines name, class by class or one by one, in the order of the data set. */
function choose(all: readonly Labelled[], lines: readonly string[], root: string): Labelled[] {
  const wanted = new Set(lines);
  const used = new Set<string>();
  const chosen = all.filter(({ label, path }) => {
    const line = [label, listedPath(root, path)].find((name) => wanted.has(name));
    if (line !== undefined) used.add(line);
    return line !== undefined;
  });
  const unknown = lines.find((line) => !used.has(line));
  if (unknown !== undefined)
    throw splitInvalid("lines that name a class folder, or a picture as class/file.jpg", quote(unknown));
  return chosen;
}
