import { join } from "node:path";
import { quote } from "../../core/index.ts";
import { readSplit, splitInvalid } from "../split-files.ts";
import { openZip } from "../zip.ts";
import type { Dataset, DatasetFile, DatasetPlan, PlannedRow } from "./types.ts";

const archives = ["images_background.zip", "images_evaluation.zip"] as const;

const lists: readonly DatasetFile[] = (
  [
    ["train", 133_244, "984522c194c30fb678ce53304a160a42faf5403ad4f9a67010f32dd3a35738e0"],
    ["val", 21_312, "11f99e54faee3e26f53d3231c1cceac5bf7b8730e9be31cb6dab256551dc0c1a"],
    ["test", 50_372, "845264cc5c156180828ccf17915668b17ee21424d0170df6e7d81676aa5d1204"],
  ] as const
).map(([split, bytes, sha256]) => ({
  file: `splits/vinyals/${split}.txt`,
  address: `https://raw.githubusercontent.com/jakesnell/prototypical-networks/master/data/omniglot/splits/vinyals/${split}.txt`,
  bytes,
  sha256,
}));

/**
 * Omniglot (Lake et al. 2015): 1623 characters of 50 alphabets, 20 drawings each, with the split of Vinyals et al. 2016
 * as kept by Snell et al. 2017: each of the four rotations of a character is a class of its own
 * (`alphabet/character/rotNNN`, NNN degrees counter-clockwise), 4112 / 688 / 1692 classes.
 *
 * As Snell et al. have it, drawings are reduced from 105 to 28 px by the nearest pixel, which is what PIL does to a 1-bit
 * picture whatever it is asked for, and ink is 255, paper 0. Another interpolation keeps thin strokes whole, in grey.
 */
export const omniglot: Dataset = {
  name: "omniglot",
  description:
    "handwritten characters of 50 alphabets, 1-bit 105 px: 6,492 classes with rotations, 20 drawings each",
  license: "MIT",
  citation: "Lake, Salakhutdinov, Tenenbaum 2015; split of Vinyals et al. 2016 as kept by Snell et al. 2017",
  size: 28,
  channels: 1,
  interpolation: "nearest",
  invert: true,
  files: [
    {
      file: archives[0],
      address: "https://github.com/brendenlake/omniglot/raw/master/python/images_background.zip",
      bytes: 9_464_212,
      sha256: "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
    },
    {
      file: archives[1],
      address: "https://github.com/brendenlake/omniglot/raw/master/python/images_evaluation.zip",
      bytes: 6_462_886,
      sha256: "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
    },
    ...lists,
  ],
  async plan(root, split, { splits = join(root, "splits", "vinyals") }) {
    const classes = await readSplit(splits, split);
    const drawings = new Map<string, { readonly archive: string; readonly path: string }[]>();
    for (const name of archives) {
      const archive = join(root, name);
      for (const path of (await openZip(archive)).names.toSorted()) {
        const character = /^images_\w+\/([^/]+\/[^/]+)\/[^/]+\.png$/.exec(path)?.[1];
        if (!character) continue;
        const of = drawings.get(character);
        if (of) of.push({ archive, path });
        else drawings.set(character, [{ archive, path }]);
      }
    }
    return planRotations(classes, drawings);
  },
};

function planRotations(
  classes: readonly string[],
  drawings: ReadonlyMap<string, DatasetPlan["pictures"]>,
): DatasetPlan {
  const pictures: DatasetPlan["pictures"][number][] = [];
  const rows: PlannedRow[] = [];
  const firstOf = new Map<string, number>();
  for (const label of classes) {
    const match = /^(.+)\/rot(000|090|180|270)$/.exec(label);
    const character = match?.[1] ?? "";
    const of = drawings.get(character);
    if (!match || !of)
      throw splitInvalid(
        "lines of the form alphabet/character/rotNNN that name characters of Omniglot",
        quote(label),
      );
    const first = firstOf.get(character) ?? pictures.length;
    if (!firstOf.has(character)) {
      firstOf.set(character, first);
      pictures.push(...of);
    }
    for (let i = 0; i < of.length; i++)
      rows.push({ picture: first + i, label, turns: Number(match[2]) / 90 });
  }
  return { pictures, rows };
}
