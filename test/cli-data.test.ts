import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { drawInto, type Ended, errorOf, lines, newFolder, protoline, write } from "./cli-help.ts";

let folder = "";
const run = (...args: string[]): Promise<Ended> =>
  protoline(folder, args, {
    PROTOLINE_DATA: join(folder, "data"),
    PROTOLINE_DATA_MIRROR: join(folder, "mirror"),
  });

beforeAll(async () => {
  folder = await newFolder();
  await drawInto(join(folder, "parts/washer"), "washer", 5, 1);
  await drawInto(join(folder, "parts/gear"), "gear", 5, 2);
  await drawInto(join(folder, "parts/bolt"), "bolt", 5, 3);
  for (const split of ["train", "val", "test"])
    await write(join(folder, `mirror/mini-imagenet/${split}.csv`), "filename,label\na.jpg,n1\n");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("protoline data", () => {
  it("lists the data sets, and fetches one from the mirror", async () => {
    expect((await run("data", "list")).out).toMatch(/^omniglot +no: data pull +1 × 28 × 28/m);
    const pulled = await run("data", "pull", "mini-imagenet");
    expect(pulled.code).toBe(0);
    expect(pulled.out).toContain("mini-imagenet: 3 files of 3 fetched, 72 B in");
    expect(pulled.err).toContain("train.csv is not the published file to the byte");
    expect((await run("data", "pull", "mini-imagenet", "--quiet")).out).toContain("0 files of 3 fetched");
    expect((await run("data", "list")).out).toMatch(/^mini-imagenet +yes/m);
  });

  it("splits a folder by classes or by pictures, and tells what the splits hold", async () => {
    const classes = await run("data", "split", "parts", "--shares", "1,1,1", "--out", "lists");
    expect(classes.code).toBe(0);
    expect(lines(classes.out).slice(1)).toEqual([
      "train        1         5",
      "val          1         5",
      "test         1         5",
    ]);
    const listed = await Promise.all(
      ["train", "val", "test"].map((split) => readFile(join(folder, "lists", `${split}.txt`), "utf8")),
    );
    expect(listed.join("").trim().split("\n").sort()).toEqual(["bolt", "gear", "washer"]);

    await run("data", "split", "parts", "--by", "pictures");
    const info = await run("data", "info", "folder", "--root", "parts", "--json");
    expect(JSON.parse(info.out)).toMatchObject({
      splits: [
        { split: "train", classes: 3, pictures: 9, smallest: 3, largest: 3 },
        { split: "val", classes: 3, pictures: 3 },
        { split: "test", classes: 3, pictures: 3 },
      ],
    });
  });

  it("says what is wrong, with the exit code for it", async () => {
    const unknown = await run("data", "info", "imagenet", "--json");
    expect(unknown.code).toBe(2);
    expect(errorOf(unknown).message).toContain(
      "one of the data sets omniglot, cifar-fs, mini-imagenet, folder",
    );
    const lacking = await run("data", "pull", "cifar-fs", "--json");
    expect(lacking.code).toBe(7);
    expect(errorOf(lacking).code).toBe("DATASET_DOWNLOAD_FAILED");
    expect((await run("data", "info", "folder")).code).toBe(2);
    expect((await run("data", "info", "folder", "--root", "nowhere")).code).toBe(3);
    expect((await run("data", "split", "parts", "--group-by", "x")).code).toBe(2);
    // What is not there yet is no error of info: it tells where it would come from.
    const absent = await run("data", "info", "omniglot");
    expect(absent.code).toBe(0);
    expect(absent.out).toContain(
      "https://github.com/brendenlake/omniglot/raw/master/python/images_background.zip",
    );
  });
});
