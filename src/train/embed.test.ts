import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { row } from "../core/index.ts";
import { listClasses } from "../data/index.ts";
import type { Encoder, Manifest } from "../models/index.ts";
import { zoo } from "../models/index.ts";
import { embedDataset } from "./embed.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "protoline-embed-"));
});
afterEach(() => rm(dir, { recursive: true }));

/** The embedding is the mean colour and the colour of the upper left pixel; counts the inputs that it saw. */
function colorEncoder(): Encoder & { seen(): number } {
  let seen = 0;
  const size = 16;
  const manifest: Manifest = {
    ...zoo[0]!,
    format: 1,
    model: { sha256: "0".repeat(64), bytes: 0 },
    embeddingDim: 2,
    preprocess: { ...zoo[0]!.preprocess, size: [size, size], mean: [0, 0, 0], std: [1, 1, 1] },
  };
  return {
    manifest,
    embeddingDim: 2,
    modelHash: "color",
    seen: () => seen,
    async embed(inputs) {
      seen += inputs.length;
      const data = Float32Array.from(
        inputs.flatMap((input) => [
          input.subarray(0, size * size).reduce((sum, v) => sum + v, 0) / (size * size),
          input[0]!,
        ]),
      );
      return { data, n: inputs.length, dim: 2 };
    },
    async close() {},
  };
}

/** A picture whose red channel grows from left to right, above `red`. */
async function write(path: string, red: number): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  const data = Buffer.alloc(16 * 16 * 3);
  for (let i = 0; i < 256; i++) data[i * 3] = red + (i % 16);
  await sharp(data, { raw: { width: 16, height: 16, channels: 3 } })
    .png()
    .toFile(path);
}

async function parts(): Promise<Awaited<ReturnType<typeof listClasses>>["classes"]> {
  for (let i = 0; i < 20; i++) await write(join(dir, "set", "a", `${i}.png`), i);
  for (let i = 0; i < 3; i++) await write(join(dir, "set", "b", `${i}.png`), 100 + i);
  return (await listClasses(join(dir, "set"))).classes;
}

describe("embedDataset", () => {
  it("embeds every picture in the order of the listing", async () => {
    const classes = await parts();
    const steps: number[] = [];
    const encoder = colorEncoder();
    const embedded = await embedDataset(classes, encoder, { onProgress: ({ done }) => steps.push(done) });
    expect(embedded.classes.map(({ label, embeddings }) => [label, embeddings.n])).toEqual([
      ["a", 20],
      ["b", 3],
    ]);
    expect(embedded.views).toEqual(["original"]);
    expect(embedded.classes[0]!.origins).toEqual(classes[0]!.images);
    for (let i = 0; i < 20; i++) expect(row(embedded.classes[0]!.embeddings, i)[1]).toBe(i);
    expect(row(embedded.classes[1]!.embeddings, 2)[0]).toBeCloseTo(102 + 7.5, 4);
    expect(steps.at(-1)).toBe(23);
    expect(encoder.seen()).toBe(23);
  });

  it("puts a picture's views behind it", async () => {
    const classes = await parts();
    const { classes: embedded, views } = await embedDataset(classes, colorEncoder(), {
      views: ["dihedral"],
    });
    expect(views).toEqual(["original", ...Array<string>(7).fill("dihedral")]);
    const { embeddings, origins } = embedded[1]!;
    expect(embeddings.n).toBe(8 * origins.length);
    const corners = Array.from({ length: 8 }, (_, v) => row(embeddings, 8 + v)[1]);
    expect(corners[0]).toBe(101);
    // Half of the rotations and mirrorings bring a pixel of the right edge to the upper left.
    expect(corners.filter((red) => red === 101 + 15)).toHaveLength(4);
  });

  it("reports a broken picture and keeps the others", async () => {
    await parts();
    await writeFile(join(dir, "set", "a", "broken.png"), "no picture");
    const { classes } = await listClasses(join(dir, "set"));
    const { rejected, classes: embedded } = await embedDataset(classes, colorEncoder());
    expect(rejected).toEqual([
      expect.objectContaining({ origin: join(dir, "set", "a", "broken.png"), code: "IMAGE_UNSUPPORTED" }),
    ]);
    expect(embedded[0]!.embeddings.n).toBe(20);
    expect(embedded[0]!.origins).not.toContain(join(dir, "set", "a", "broken.png"));
  });

  it("refuses a class of which nothing can be read", async () => {
    await mkdir(join(dir, "set", "c"), { recursive: true });
    await writeFile(join(dir, "set", "c", "text.png"), "no picture");
    const { classes } = await listClasses(join(dir, "set"));
    await expect(embedDataset(classes, colorEncoder())).rejects.toMatchObject({
      code: "CLASS_EMPTY",
      expected: expect.stringContaining('"c"'),
    });
  });

  it("embeds only what the cache does not hold, to the same numbers", async () => {
    const classes = await parts();
    const cacheDir = join(dir, "cache");
    const first = await embedDataset(classes, colorEncoder(), { cacheDir });
    await write(join(dir, "set", "b", "new.png"), 180);
    const grown = (await listClasses(join(dir, "set"))).classes;
    const encoder = colorEncoder();
    let cached = 0;
    const second = await embedDataset(grown, encoder, {
      cacheDir,
      onProgress: (progress) => {
        cached = progress.cached;
      },
    });
    expect(encoder.seen()).toBe(1);
    expect(cached).toBe(23);
    expect(second.classes[0]).toEqual(first.classes[0]);
    expect(second.classes[1]!.embeddings.n).toBe(4);
    expect(second.classes[1]!.embeddings).toEqual(
      (await embedDataset(grown, colorEncoder())).classes[1]!.embeddings,
    );
  });

  it("writes nothing without a cache folder", async () => {
    const classes = await parts();
    await embedDataset(classes, colorEncoder());
    expect(await readdir(dir)).toEqual(["set"]);
  });

  it("says that a cache folder cannot be used", async () => {
    const classes = await parts();
    await writeFile(join(dir, "file"), "");
    await expect(
      embedDataset(classes, colorEncoder(), { cacheDir: join(dir, "file") }),
    ).rejects.toMatchObject({ code: "INVALID_ARGUMENT", expected: expect.stringContaining("cache folder") });
  });
});
