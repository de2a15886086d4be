import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { groupByFileName, listClasses, openZip, readSplit } from "../src/data/index.ts";
import type { DecisionPriors, DecisionSpec, ViewKind } from "../src/fewshot/index.ts";
import { openEncoder } from "../src/models/index.ts";
import { type EmbeddedDataset, embedDataset } from "../src/train/index.ts";

/** The three sets beside the checkout, and the mirror of backbones. */
const shared = fileURLToPath(new URL("../../shared", import.meta.url));
const cache = fileURLToPath(new URL("../node_modules/.cache/protoline-results", import.meta.url));

export const datasets = ["X-SDD", "coins", "CIFAR-FS test"] as const;
export type DatasetName = (typeof datasets)[number];

export interface Loaded extends EmbeddedDataset {
  readonly name: DatasetName;
  /** Those that come with the backbone. */
  readonly priors: DecisionPriors;
  /** The backbone's own. */
  readonly decision: DecisionSpec;
  /** What keeps pictures apart between support and query. */
  readonly groups?: (origin: string) => string;
}

/** Pictures a class whose views are embedded; CIFAR-FS has 600, and eight views of all are 96,000 forward passes. */
export const cifarImagesWithViews = 100;

/** A data set through a backbone; from the cache of these scripts where it has been there before. */
export async function load(
  name: DatasetName,
  model: string,
  views: readonly ViewKind[] = [],
  /** Of CIFAR-FS the first so many pictures of each class. */
  most = views.length > 0 ? cifarImagesWithViews : undefined,
): Promise<Loaded> {
  const { classes } = await listClasses(await folderOf(name));
  const some =
    name === "CIFAR-FS test"
      ? classes.map(({ label, images }) => ({ label, images: images.slice(0, most) }))
      : classes;
  const mirror = process.env.PROTOLINE_MIRROR ?? join(shared, "models");
  const encoder = await openEncoder(model, { sources: { cache: join(cache, "models"), mirror } });
  try {
    const embedded = await embedDataset(some, encoder, {
      views,
      cacheDir: join(cache, "embeddings"),
      onProgress: ({ done, total, cached }) => {
        if (process.stderr.isTTY || done === total)
          process.stderr.write(`\r${name}, ${model}: ${done} of ${total} pictures, ${cached} known`);
      },
    });
    process.stderr.write("\n");
    if (embedded.rejected.length > 0) throw new Error(JSON.stringify(embedded.rejected[0]));
    const { priors, decision } = encoder.manifest;
    const baseMean = priors.baseMean ? Float32Array.from(priors.baseMean) : null;
    return {
      ...embedded,
      name,
      priors: { ...priors, baseMean },
      decision,
      ...(name === "coins" && { groups: photograph }),
    };
  } finally {
    await encoder.close();
  }
}

/** A coin's file name is class, photograph, crop: `10c__IMG_4187_11.jpg`. */
const photograph = (origin: string): string => groupByFileName(origin, /__(.+)_\d+\.\w+$/);

async function folderOf(name: DatasetName): Promise<string> {
  if (name === "X-SDD") return join(shared, "datasets/x-sdd/images");
  if (name === "coins") return join(shared, "datasets/coins/images");
  const folder = join(cache, "cifar-fs-test");
  if (!existsSync(folder)) await extractCifar(folder);
  return folder;
}

/** The 20 test classes as a folder a class; whole or not at all. */
async function extractCifar(folder: string): Promise<void> {
  const source = join(shared, "datasets/cifar-fs");
  const test = new Set(await readSplit(join(source, "splits/bertinetto"), "test"));
  const partial = `${folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  const classOf = (name: string) => basename(dirname(name));
  const zip = await openZip(join(source, "cifar100.zip"));
  const wanted = zip.names.filter((name) => name.endsWith(".png") && test.has(classOf(name)));
  for (const { name, bytes } of zip.files(wanted)) {
    await mkdir(join(partial, classOf(name)), { recursive: true });
    await writeFile(join(partial, classOf(name), basename(name)), bytes);
  }
  await rename(partial, folder);
}
