import { existsSync } from "node:fs";
import { join } from "node:path";
import { quote } from "../../core/index.ts";
import { readSplit, splitInvalid } from "../split-files.ts";
import { openZip, type Zip } from "../zip.ts";
import type { Dataset } from "./types.ts";

const archiveName = "cifar100.zip";

/**
 * CIFAR-FS (Bertinetto et al. 2019): CIFAR-100 (Krizhevsky 2009) with 64 / 16 / 20 classes of 600 pictures, 32 px.
 * The lists are read from `splits/bertinetto`, or else from the zip file, in which the authors publish them.
 */
export const cifarFs: Dataset = {
  name: "cifar-fs",
  description: "CIFAR-100 for few-shot learning, colour 32 px: 100 classes, 600 pictures each",
  license: "for research",
  citation: "Krizhevsky 2009; Bertinetto, Henriques, Torr, Vedaldi 2019",
  size: 32,
  channels: 3,
  interpolation: "bilinear",
  invert: false,
  files: [
    {
      file: archiveName,
      address:
        "https://drive.usercontent.google.com/download?id=1pTsCCMDj45kzFYgrnO67BWVbKs48Q3NI&export=download&confirm=t",
      bytes: null,
      sha256: null,
    },
  ],
  async plan(root, split, { splits = join(root, "splits", "bertinetto") }) {
    const archive = join(root, archiveName);
    const zip = await openZip(archive);
    const classes = await readSplit(existsSync(splits) ? splits : listsIn(zip), split);
    const images = new Map<string, string[]>();
    for (const path of zip.names.toSorted()) {
      const label = /(?:^|\/)data\/([^/]+)\/[^/]+\.png$/.exec(path)?.[1];
      if (!label) continue;
      const of = images.get(label);
      if (of) of.push(path);
      else images.set(label, [path]);
    }
    const chosen = classes.map((label) => {
      const paths = images.get(label);
      if (!paths) throw splitInvalid("lines that name classes of CIFAR-100", quote(label));
      return paths.map((path) => ({ label, path }));
    });
    const rows = chosen.flat();
    return {
      pictures: rows.map(({ path }) => ({ archive, path })),
      rows: rows.map(({ label }, picture) => ({ picture, label, turns: 0 })),
    };
  },
};

function listsIn(zip: Zip): (file: string) => string {
  return (file) => {
    const name = zip.names.find((path) => path.endsWith(`splits/bertinetto/${file}`));
    const found = name && zip.files([name]).next().value;
    if (!found) throw splitInvalid(`splits/bertinetto/${file} beside ${archiveName} or in it`, "neither");
    return new TextDecoder().decode(found.bytes);
  };
}
