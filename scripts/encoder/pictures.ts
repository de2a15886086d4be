import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { drawPart, partKinds } from "../../src/cli/demo/parts.ts";
import { createRng } from "../../src/core/index.ts";
import { openZip } from "../../src/data/index.ts";
import { drawSurface, surfaceSide } from "./surfaces.ts";

/**
 * Gathers the pictures that the default encoder is trained on in one folder:
 *
 *     tsx scripts/encoder/pictures.ts --corpus FOLDER --datasets FOLDER --out runs/encoder-pictures
 *
 * All of the corpus; 6,000 of CIFAR-FS's training and validation classes; 1,000 drawings of Omniglot's background set;
 * and 5,000 surfaces and 1,500 parts drawn by this project. Nothing of X-SDD, the coins or CIFAR-FS's test classes, which
 * measure it.
 */
const { values } = parseArgs({
  options: {
    corpus: { type: "string", default: "../shared/corpus" },
    datasets: { type: "string", default: "../shared/datasets" },
    out: { type: "string", default: "runs/encoder-pictures" },
  },
});
const rng = createRng(1);

async function keep(path: string, bytes: Uint8Array): Promise<void> {
  const target = join(values.out, path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, bytes);
}

async function unpack(path: string, prefix: string, wanted: (name: string) => boolean, limit = Infinity) {
  const zip = await openZip(path);
  const names = rng.shuffle(zip.names.filter(wanted)).slice(0, limit);
  for (const { name, bytes } of zip.files(names)) {
    const label = basename(dirname(name));
    await keep(join(`${prefix}-${label}`, basename(name)), bytes);
  }
  console.error(`${prefix}: ${names.length}`);
}

const isImage = (name: string): boolean => /\.(jpe?g|png)$/i.test(name);
for (const name of [
  "caltech101",
  "grocery",
  "debian_game_textures",
  "kth_tips2a",
  "dtd10",
  "imagenet_sample1000",
])
  await unpack(join(values.corpus, `${name}.zip`), name, isImage);

const { readFile } = await import("node:fs/promises");
const cifar = join(values.datasets, "cifar-fs");
const lists = await Promise.all(
  ["train", "val"].map((split) => readFile(join(cifar, "splits/bertinetto", `${split}.txt`), "utf8")),
);
const classes = new Set(lists.join("\n").split(/\s+/).filter(Boolean));
await unpack(
  join(cifar, "cifar100.zip"),
  "cifar",
  (name) => isImage(name) && classes.has(basename(dirname(name))),
  6000,
);
await unpack(join(values.datasets, "omniglot/images_background.zip"), "omniglot", isImage, 1000);

for (let seed = 0; seed < 5000; seed++) {
  const raw = { width: surfaceSide, height: surfaceSide, channels: 3 as const };
  await keep(
    `surface-${seed % 10}/${String(seed).padStart(5, "0")}.jpg`,
    await sharp(drawSurface(seed), { raw }).jpeg({ quality: 90 }).toBuffer(),
  );
}
for (const kind of partKinds)
  for (let i = 0; i < 300; i++)
    await keep(`part-${kind}/${String(i).padStart(5, "0")}.jpg`, await drawPart(kind, rng.fork(i)));
