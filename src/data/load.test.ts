import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { zipSync } from "fflate";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { datasetInfo } from "./dataset-info.ts";
import { loadDataset } from "./load.ts";
import { openZip } from "./zip.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "protoline-data-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function put(path: string, content: string | Uint8Array): void {
  const full = join(root, path);
  mkdirSync(join(full, ".."), { recursive: true });
  writeFileSync(full, content);
}

const png = (pixels: Uint8Array, size: number, channels: 1 | 3): Promise<Buffer> =>
  sharp(pixels, { raw: { width: size, height: size, channels } })
    .png()
    .toBuffer();

/** A drawing of 105 px: white paper, ink in the square block (row, column) of 7 × 7 blocks of 15 px. */
async function drawing(...blocks: readonly (readonly [number, number])[]): Promise<Buffer> {
  const pixels = new Uint8Array(105 * 105).fill(255);
  for (const [row, column] of blocks)
    for (let y = 0; y < 15; y++)
      pixels.fill(0, (row * 15 + y) * 105 + column * 15, (row * 15 + y) * 105 + column * 15 + 15);
  return png(pixels, 105, 1);
}

/** Ink of a 28 px plane, block by block of 4 px, as rows of text. */
const blocks = (plane: Uint8Array): string =>
  Array.from({ length: 7 }, (_, y) =>
    Array.from({ length: 7 }, (_, x) => (plane[(y * 4 + 2) * 28 + x * 4 + 2]! > 127 ? "#" : ".")).join(""),
  ).join("\n");

async function tinyOmniglot(): Promise<void> {
  const [a, b, c] = await Promise.all([drawing([0, 1]), drawing([2, 3], [2, 4]), drawing([6, 6])]);
  put(
    "images_background.zip",
    zipSync({
      "images_background/Latin/character01/0001_02.png": b,
      "images_background/Latin/character01/0001_01.png": a,
      "images_background/.DS_Store": new Uint8Array(3),
    }),
  );
  put("images_evaluation.zip", zipSync({ "images_evaluation/Greek/character01/0002_01.png": c }));
  put("splits/vinyals/train.txt", "Latin/character01/rot090\nLatin/character01/rot000\n");
  put("splits/vinyals/val.txt", "Greek/character01/rot180\n\n");
  put("splits/vinyals/test.txt", "Greek/character01/rot270\r\n");
}

describe("omniglot", () => {
  beforeEach(tinyOmniglot);

  it("reads drawings of both archives, ink 255, rotations counter-clockwise as classes", async () => {
    const set = await loadDataset("omniglot", { root, split: "trainval" });
    expect(set).toMatchObject({ channels: 1, height: 28, width: 28 });
    expect(set.labels).toEqual([
      "Latin/character01/rot090",
      "Latin/character01/rot090",
      "Latin/character01/rot000",
      "Latin/character01/rot000",
      "Greek/character01/rot180",
    ]);
    expect(set.groups).toBeUndefined();
    const plane = (row: number) => blocks(set.pixels.subarray(row * 784, (row + 1) * 784)).split("\n");
    expect(plane(2)[0]).toBe(".#.....");
    expect(plane(3)[2]).toBe("...##..");
    // The upper edge is the left one after a quarter turn to the left; block 1 from the left is 1 from below.
    expect(
      plane(0)
        .map((line) => line[0])
        .join(""),
    ).toBe(".....#.");
    expect(plane(4)[0]).toBe("#......");
    // The nearest pixel leaves no grey.
    expect(new Set(set.pixels)).toEqual(new Set([0, 255]));
    expect(set.pixels.filter((value) => value === 255)).toHaveLength(6 * 16 + 16);
  });

  it("takes the folder above as well, and another size and interpolation", async () => {
    mkdirSync(join(root, "above"));
    const above = join(root, "above");
    mkdirSync(join(above, "omniglot"));
    for (const name of ["images_background.zip", "images_evaluation.zip", "splits"])
      renameSync(join(root, name), join(above, "omniglot", name));
    const set = await loadDataset("omniglot", {
      root: above,
      split: "test",
      size: 20,
      interpolation: "bilinear",
    });
    expect(set.pixels).toHaveLength(400);
    expect(new Set(set.pixels).size).toBeGreaterThan(2);
  });

  it("decodes once: the cache gives the same bytes, until a source changes or the cache is damaged", async () => {
    const cacheDir = join(root, "cache");
    const decoded: number[] = [];
    const load = () =>
      loadDataset("omniglot", { root, split: "train", cacheDir, onProgress: (done) => decoded.push(done) });
    const first = await load();
    expect(decoded).toEqual([1, 2]);
    expect(readdirSync(cacheDir)).toHaveLength(1);
    expect(await load()).toEqual(first);
    expect(decoded).toEqual([1, 2, 2]);

    const file = join(cacheDir, readdirSync(cacheDir)[0]!);
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    expect(await load()).toEqual(first);
    writeFileSync(file, bytes.subarray(0, 60));
    expect(await load()).toEqual(first);
    expect(decoded).toEqual([1, 2, 2, 1, 2, 1, 2]);
    expect(await load()).toEqual(first);

    const other = await drawing([3, 3]);
    put("images_background.zip", zipSync({ "images_background/Latin/character01/0001_01.png": other }));
    expect((await load()).labels).toHaveLength(2);
    expect(decoded.at(-1)).toBe(1);
    expect(readdirSync(cacheDir)).toHaveLength(2);
  });

  it("refuses what would not fit before anything is decoded", async () => {
    let progress = 0;
    await expect(
      loadDataset("omniglot", { root, split: "train", memoryLimit: 3000, onProgress: () => progress++ }),
    ).rejects.toMatchObject({ code: "DATASET_TOO_LARGE", got: "4 pictures of 784 bytes, 3136 in all" });
    expect(progress).toBe(0);
  });

  it("names a line that fits nothing, a list that is missing, a zip that is none, a picture that is none", async () => {
    const load = () => loadDataset("omniglot", { root, split: "val" });
    put("splits/vinyals/val.txt", "Klingon/character01/rot000\n");
    await expect(load()).rejects.toMatchObject({
      code: "SPLIT_INVALID",
      got: '"Klingon/character01/rot000"',
    });
    put("splits/vinyals/val.txt", " \n");
    await expect(load()).rejects.toMatchObject({ code: "SPLIT_INVALID" });
    rmSync(join(root, "splits/vinyals/val.txt"));
    await expect(load()).rejects.toThrow(/val\.txt", got nothing of that name/);

    put("splits/vinyals/val.txt", "Greek/character01/rot000\n");
    put("images_evaluation.zip", zipSync({ "images_evaluation/Greek/character01/1.png": new Uint8Array(9) }));
    await expect(load()).rejects.toThrow(
      /a whole picture "images_evaluation\/Greek\/character01\/1\.png" of/,
    );
    put("images_evaluation.zip", "no zip");
    await expect(load()).rejects.toMatchObject({ code: "DATASET_BROKEN" });
    rmSync(join(root, "images_evaluation.zip"));
    await expect(load()).rejects.toMatchObject({ code: "DATASET_NOT_FOUND" });
    const missing = loadDataset("omniglot", { root: join(root, "nowhere"), split: "val" });
    await expect(missing).rejects.toThrow(/nowhere", got nothing of that name\. .*data pull omniglot/);
  });
});

describe("cifar-fs", () => {
  it("gives the very bytes of its pictures, channels apart, with the lists in the zip or beside it", async () => {
    const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * 7 + (i >> 5)) % 256);
    const picture = await png(pixels, 32, 3);
    const entries = {
      "cifar100/data/bed/a.png": picture,
      "cifar100/data/otter/b.png": picture,
      "cifar100/splits/bertinetto/test.txt": new TextEncoder().encode("bed\n"),
    };
    put("cifar100.zip", zipSync(entries));
    const set = await loadDataset("cifar-fs", { root, split: "test" });
    expect(set).toMatchObject({ channels: 3, height: 32, width: 32, labels: ["bed"] });
    expect(set.pixels).toEqual(
      Uint8Array.from({ length: 3072 }, (_, i) => pixels[(i % 1024) * 3 + Math.floor(i / 1024)]!),
    );
    await expect(loadDataset("cifar-fs", { root, split: "train" })).rejects.toMatchObject({
      code: "SPLIT_INVALID",
    });
    put("splits/bertinetto/test.txt", "otter\n");
    expect((await loadDataset("cifar-fs", { root, split: "test" })).labels).toEqual(["otter"]);
  });
});

describe("mini-imagenet", () => {
  it("follows the lists to pictures beside them, in one folder or a folder a class", async () => {
    const grey = await png(new Uint8Array(48).fill(90), 4, 3);
    put("val.csv", "filename,label\na.png,n1\nb.png,n2\n");
    put("images/a.png", grey);
    put("images/n2/b.png", grey);
    const set = await loadDataset("mini-imagenet", { root, split: "val" });
    expect(set).toMatchObject({ height: 84, labels: ["n1", "n2"] });
    expect(new Set(set.pixels)).toEqual(new Set([90]));
    rmSync(join(root, "images/a.png"));
    await expect(loadDataset("mini-imagenet", { root, split: "val" })).rejects.toMatchObject({
      code: "DATASET_NOT_FOUND",
    });
    put("val.csv", "filename,label\n../../secret.png,n1\n");
    await expect(loadDataset("mini-imagenet", { root, split: "val" })).rejects.toMatchObject({
      code: "SPLIT_INVALID",
    });
  });
});

describe("folder", () => {
  beforeEach(async () => {
    for (const [name, value] of [
      ["bolt/s1_1.png", 10],
      ["bolt/s1_2.png", 20],
      ["bolt/s2_1.png", 30],
      ["nut/s3_1.png", 40],
    ] as const)
      put(name, await png(new Uint8Array(192).fill(value), 8, 3));
  });
  const first = (set: { readonly pixels: Uint8Array; readonly labels: readonly string[] }) =>
    set.labels.map((_, row) => set.pixels[(row * set.pixels.length) / set.labels.length]);

  it("takes everything where there are no lists, with groups by file name", async () => {
    const set = await loadDataset("folder", { root, split: "all", size: 6, channels: 1, groups: /(s\d)_/ });
    expect(set).toMatchObject({
      channels: 1,
      height: 6,
      labels: ["bolt", "bolt", "bolt", "nut"],
      groups: ["s1", "s1", "s2", "s3"],
    });
    expect(first(set)).toEqual([10, 20, 30, 40]);
    await expect(loadDataset("folder", { root, split: "train" })).rejects.toMatchObject({
      code: "SPLIT_INVALID",
    });
    expect(await datasetInfo("folder", { root })).toEqual([
      { split: "all", classes: 2, pictures: 4, smallest: 1, largest: 3 },
    ]);
  });

  it("follows lists of classes and of pictures", async () => {
    put("splits/train.txt", "bolt/s1_2.png\nnut\n");
    put("splits/test.txt", "bolt/s2_1.png\n");
    expect(first(await loadDataset("folder", { root, split: "train", size: 4 }))).toEqual([20, 40]);
    expect(await datasetInfo("folder", { root })).toEqual([
      { split: "train", classes: 2, pictures: 2, smallest: 1, largest: 1 },
      { split: "test", classes: 1, pictures: 1, smallest: 1, largest: 1 },
    ]);
    put("splits/test.txt", "washer\n");
    await expect(loadDataset("folder", { root, split: "test" })).rejects.toMatchObject({
      code: "SPLIT_INVALID",
      got: '"washer"',
    });
  });

  it("refuses a size that is none, and a name that is none", async () => {
    for (const size of [0, 1.5, Number.NaN, 5000])
      await expect(loadDataset("folder", { root, split: "all", size })).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
      });
    await expect(loadDataset("imagenet", { root, split: "all" })).rejects.toThrow(
      /one of the data sets omniglot/,
    );
  });
});

describe("openZip", () => {
  it("gives more files than are unpacked at once, stored and deflated, in the zip's order", async () => {
    const name = (i: number) => `f${String(i).padStart(5, "0")}`;
    const entries = Object.fromEntries(
      Array.from({ length: 9000 }, (_, i) => [
        name(i),
        [Uint8Array.of(i & 255, i >> 8), { level: i % 2 ? 0 : 6 }],
      ]),
    ) as Parameters<typeof zipSync>[0];
    put("many.zip", zipSync({ "folder/": new Uint8Array(0), ...entries }));
    const zip = await openZip(join(root, "many.zip"));
    expect(zip.names).toHaveLength(9000);
    const odd = zip.names.filter((_, i) => i % 3 === 0).toReversed();
    const got = [...zip.files(odd)];
    expect(got.map((file) => file.name)).toEqual(odd.toReversed());
    expect(got.every(({ name: n, bytes }) => bytes[0]! + 256 * bytes[1]! === Number(n.slice(1)))).toBe(true);
  });
});

const shared = fileURLToPath(new URL("../../../shared/datasets", import.meta.url));

describe("the published sets", () => {
  it.skipIf(!existsSync(join(shared, "omniglot")))("Omniglot: 4112 / 688 / 1692 classes of 20", async () => {
    expect(await datasetInfo("omniglot", { root: shared })).toEqual([
      { split: "train", classes: 4112, pictures: 82_240, smallest: 20, largest: 20 },
      { split: "val", classes: 688, pictures: 13_760, smallest: 20, largest: 20 },
      { split: "test", classes: 1692, pictures: 33_840, smallest: 20, largest: 20 },
    ]);
  });

  it.skipIf(!existsSync(join(shared, "cifar-fs")))("CIFAR-FS: 64 / 16 / 20 classes of 600", async () => {
    expect(await datasetInfo("cifar-fs", { root: shared })).toEqual([
      { split: "train", classes: 64, pictures: 38_400, smallest: 600, largest: 600 },
      { split: "val", classes: 16, pictures: 9600, smallest: 600, largest: 600 },
      { split: "test", classes: 20, pictures: 12_000, smallest: 600, largest: 600 },
    ]);
  });
});
