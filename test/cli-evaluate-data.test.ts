import { rm } from "node:fs/promises";
import { join } from "node:path";
import { zipSync } from "fflate";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../src/core/index.ts";
import { writeBundle } from "../src/models/index.ts";
import { exportBundle, trainingStep } from "../src/train/index.ts";
import { type Ended, errorOf, newFolder, protoline, write } from "./cli-help.ts";
import { toyConfig } from "./train/toy.ts";

let folder = "";
const options = ["--model", "bundle", "--way", "4", "--shot", "1", "--queries", "4", "--episodes", "20"];
const evaluate = (...args: string[]): Promise<Ended> =>
  protoline(folder, ["evaluate", ...args, ...options, "--json", "--quiet"]);
interface Answer {
  readonly classes: number;
  readonly pictures: number;
  readonly split?: string;
  readonly results: readonly { readonly mean: number; readonly confusion: unknown }[];
}
const answerOf = ({ out }: Ended): Answer => JSON.parse(out) as Answer;

const characters = Array.from({ length: 6 }, (_, i) => `character0${i + 1}`);
const list = (names: readonly string[]): string => names.map((name) => `${name}\n`).join("");

/** A drawing as Omniglot has them: ink on paper, three strokes of its character and one of its own. */
function drawing(character: number, number: number): Promise<Buffer> {
  const pixels = new Uint8Array(105 * 105).fill(255);
  const own = createRng(character);
  const other = createRng(1000 + 10 * character + number);
  for (const rng of [own, own, own, other]) {
    const [top, left, tall] = [rng.int(80), rng.int(80), rng.int(2)];
    for (let y = 0; y < (tall ? 25 : 9); y++)
      pixels.fill(0, (top + y) * 105 + left, (top + y) * 105 + left + (tall ? 9 : 25));
  }
  return sharp(pixels, { raw: { width: 105, height: 105, channels: 1 } })
    .png()
    .toBuffer();
}

beforeAll(async () => {
  folder = await newFolder();
  const zipped: Record<string, Uint8Array> = {};
  for (const [c, character] of characters.entries())
    for (let i = 0; i < 6; i++) {
      const png = await drawing(c, i);
      zipped[`images_background/Latin/${character}/${i}.png`] = png;
      await write(join(folder, "parts", character, `${i}.png`), png);
    }
  const set = join(folder, "sets/omniglot");
  await write(join(set, "images_background.zip"), zipSync(zipped));
  await write(join(set, "images_evaluation.zip"), zipSync({ "images_evaluation/a.txt": new Uint8Array(1) }));
  await write(join(set, "splits/vinyals/test.txt"), list(characters.map((name) => `Latin/${name}/rot000`)));
  await write(join(set, "splits/vinyals/val.txt"), list(characters.slice(2).map((n) => `Latin/${n}/rot090`)));
  await write(join(folder, "parts/splits/test.txt"), list(characters.slice(0, 5)));
  await write(join(folder, "parts/splits/train.txt"), list(characters.slice(0, 3)));
  await write(join(folder, "parts/splits/val.txt"), list(characters.slice(3)));

  const config = toyConfig({
    data: { dataset: "omniglot", size: 28, channels: "gray", mean: [0], std: [255] },
    backbone: { kind: "conv4", width: 8 },
  });
  const bundle = exportBundle({
    config,
    weights: trainingStep(config, config.episode!).start(1),
    pixels: { interpolation: "nearest", invert: true },
    provenance: { origin: "a test", license: "none", trainedOn: "nothing" },
  });
  await writeBundle(bundle, join(folder, "bundle"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("protoline evaluate on a data set by name", () => {
  it("asks its test classes, and comes to what a folder of the same pictures comes to", async () => {
    const named = await evaluate("omniglot", "--data", "sets");
    expect(named).toMatchObject({ code: 0, err: "" });
    expect(answerOf(named)).toMatchObject({ data: "omniglot", split: "test", classes: 6, pictures: 36 });
    const { results } = answerOf(await evaluate("parts", "--split", "trainval"));
    expect(answerOf(named).results[0]!.mean).toBe(results[0]!.mean);
    expect(answerOf(named).results[0]!.confusion).toEqual(results[0]!.confusion);
    expect(results[0]!.mean).toBeGreaterThan(0.4);
    const val = answerOf(
      await evaluate("omniglot", "--split", "val", "--data", join(folder, "sets/omniglot")),
    );
    expect(val).toMatchObject({ split: "val", classes: 4, pictures: 24 });
  });

  it("asks the part of a folder that a list names", async () => {
    const listed = answerOf(await evaluate("parts", "--split", "test"));
    expect(listed).toMatchObject({ split: "test", classes: 5, pictures: 30 });
  });

  it("says what is missing", async () => {
    expect(errorOf(await evaluate("bundle", "--split", "val")).code).toBe("FOLDER_EMPTY");
    expect(errorOf(await evaluate("omniglot", "--split", "train", "--data", "sets")).code).toBe(
      "SPLIT_INVALID",
    );
    expect(errorOf(await evaluate("omniglott", "--data", "sets")).code).toBe("FOLDER_NOT_FOUND");
    const nowhere = errorOf(await evaluate("omniglot", "--data", "nowhere"));
    expect(nowhere).toMatchObject({ code: "DATASET_NOT_FOUND", message: expect.stringContaining("nowhere") });
    expect(nowhere.todo).toContain("data pull");
  });
});
