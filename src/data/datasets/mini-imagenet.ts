import { existsSync } from "node:fs";
import { join } from "node:path";
import { ProtolineError, quote } from "../../core/index.ts";
import { readSplit, splitInvalid } from "../split-files.ts";
import { planFiles } from "./folder.ts";
import type { Dataset, DatasetFile } from "./types.ts";

const lists: readonly DatasetFile[] = (
  [
    ["train", 1_228_815, "498519cd8e49ce97ed26a4a3638966698ae41ab35e9c68538319fc9b46ba7d2f"],
    ["val", 307_215, "5658a59921ca027ee76af92949869c5d6f41d77592ff3b18db325a9d10c893b9"],
    ["test", 384_015, "2b7cfa78342995761a572a8158e539bc4e0a80f9bbd7d00c1e17a460fbbb93fa"],
  ] as const
).map(([split, bytes, sha256]) => ({
  file: `${split}.csv`,
  address: `https://raw.githubusercontent.com/twitter-research/meta-learning-lstm/master/data/miniImagenet/${split}.csv`,
  bytes,
  sha256,
}));

/**
 * miniImageNet (Vinyals et al. 2016) in the split of Ravi and Larochelle 2017: 64 / 16 / 20 classes of 600 pictures,
 * 84 px, stretched to the square with a Lanczos filter as is usual. ImageNet's pictures may not be passed on: the user brings them, as `images/<filename>` of the lists beside the
 * lists, or in `images/<label>/`.
 */
export const miniImagenet: Dataset = {
  name: "mini-imagenet",
  description: "lists alone, over pictures that you bring: 100 classes, 600 pictures each, colour 84 px",
  license: "lists MIT; pictures under the terms of ImageNet",
  citation: "Vinyals et al. 2016; lists of Ravi and Larochelle 2017",
  size: 84,
  channels: 3,
  interpolation: "lanczos3",
  invert: false,
  files: lists,
  async plan(root, split, { splits = root }) {
    const images = join(root, "images");
    const lines = (await readSplit(splits, split, "csv")).filter((line) => line !== "filename,label");
    return planFiles(
      lines.map((line) => {
        const [name, label, ...rest] = line.split(",");
        if (!name || !label || rest.length > 0 || /[\\/]/.test(line))
          throw splitInvalid("lines of the form filename,label", quote(line));
        const path = [join(images, name), join(images, label, name)].find((place) => existsSync(place));
        if (!path)
          throw new ProtolineError("DATASET_NOT_FOUND", {
            expected: `the picture ${quote(name)} in ${quote(images, 200)}, or there in ${quote(label)}`,
            got: "neither",
            todo: "Put the pictures of miniImageNet there; Protoline may not pass them on.",
          });
        return { label, path };
      }),
    );
  },
};
