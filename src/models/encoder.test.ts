import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tinyBundle, tinyModel } from "../../test/support/onnx-encoder.ts";
import { createRng, row } from "../core/index.ts";
import { loadedModels } from "../runtime/index.ts";
import { pool } from "./encode.ts";
import { type Bundle, encoderOf, modelHash, modelSources, openEncoder, zoo } from "./index.ts";

const pictures = (count: number, length = 192): Float32Array[] => {
  const rng = createRng(7);
  return Array.from({ length: count }, () => Float32Array.from({ length }, () => rng.normal()));
};

function mapsBundle(pooling: "mean" | "meanStd"): Bundle {
  const bundle = tinyBundle(tinyModel({ head: (_, maps) => ({ embedding: maps }) }));
  return {
    ...bundle,
    manifest: { ...bundle.manifest, pooling, embeddingDim: pooling === "mean" ? 4 : 8 },
  };
}

describe("an encoder", () => {
  it("gives each picture the embedding that it gets alone, in any number at once", async () => {
    const encoder = await encoderOf(tinyBundle());
    const inputs = pictures(11);
    const together = await encoder.embed(inputs);
    expect([together.n, together.dim]).toEqual([11, 4]);
    const alone = await Promise.all(inputs.map((input) => encoder.embed([input])));
    alone.forEach((one, i) => {
      expect(one.n).toBe(1);
      row(together, i).forEach((value, d) => {
        expect(value).toBeCloseTo(one.data[d]!, 5);
      });
    });
    expect(await encoder.embed([])).toEqual({ data: new Float32Array(0), n: 0, dim: 4 });
    await encoder.close();
    expect(loadedModels()).toBe(0);
  });

  it("pools maps to their mean, and to mean and deviation", async () => {
    const inputs = pictures(3);
    const none = await encoderOf(tinyBundle());
    const mean = await encoderOf(mapsBundle("mean"));
    const both = await encoderOf(mapsBundle("meanStd"));
    const expected = await none.embed(inputs);
    const means = await mean.embed(inputs);
    const halves = await both.embed(inputs);
    expect(halves.dim).toBe(8);
    for (let i = 0; i < 3; i++)
      for (let d = 0; d < 4; d++) {
        expect(row(means, i)[d]).toBeCloseTo(row(expected, i)[d]!, 5);
        expect(row(halves, i)[d]).toBeCloseTo(row(expected, i)[d]!, 5);
        expect(row(halves, i)[4 + d]).toBeGreaterThan(0);
      }
    await Promise.all([none.close(), mean.close(), both.close()]);
  });

  it("runs a model that takes one picture at a time", async () => {
    const one = await encoderOf(tinyBundle(tinyModel({ input: [1, 3, 8, 8] })));
    const free = await encoderOf(tinyBundle());
    const inputs = pictures(5);
    expect((await one.embed(inputs)).n).toBe(5);
    const [a, b] = [(await one.embed(inputs)).data, (await free.embed(inputs)).data];
    a.forEach((value, i) => {
      expect(value).toBeCloseTo(b[i]!, 5);
    });
    await Promise.all([one.close(), free.close()]);
  });

  it("refuses numbers that are not finite, and names the picture", async () => {
    const encoder = await encoderOf(
      tinyBundle(
        tinyModel({
          head: (g, maps) => ({ embedding: g.Flatten(g.Log(g.GlobalAveragePool(maps)), { axis: 1 }) }),
        }),
      ),
    );
    const dark = new Float32Array(192);
    await expect(encoder.embed([...pictures(5), dark])).rejects.toMatchObject({
      code: "NOT_FINITE",
      got: expect.stringContaining("picture 5"),
    });
    await encoder.close();
  });

  it("refuses pictures of another size, and a manifest that does not fit the file", async () => {
    const encoder = await encoderOf(tinyBundle());
    await expect(encoder.embed([new Float32Array(191)])).rejects.toMatchObject({
      code: "DIMENSION_MISMATCH",
    });
    await encoder.close();
    const bundle = tinyBundle();
    const wrong = await encoderOf({ ...bundle, manifest: { ...bundle.manifest, embeddingDim: 5 } });
    await expect(wrong.embed(pictures(1))).rejects.toMatchObject({ code: "BUNDLE_INVALID" });
    await wrong.close();
    const unnamed = await encoderOf({ ...bundle, manifest: { ...bundle.manifest, output: "logits" } });
    await expect(unnamed.embed(pictures(1))).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
    await unnamed.close();
  });

  it("finishes what is under way before it closes", async () => {
    const encoder = await encoderOf(tinyBundle());
    const running = encoder.embed(pictures(9));
    await encoder.close();
    expect((await running).n).toBe(9);
    await expect(encoder.embed(pictures(1))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("modelHash", () => {
  const { manifest } = tinyBundle();

  it("changes with everything that shapes an embedding, and with nothing else", () => {
    const hash = modelHash(manifest);
    const shaping = [
      { ...manifest, model: { ...manifest.model, sha256: "0".repeat(64) } },
      { ...manifest, pooling: "mean" as const },
      { ...manifest, output: "other" },
      { ...manifest, preprocess: { ...manifest.preprocess, fit: "crop" as const } },
      { ...manifest, preprocess: { ...manifest.preprocess, mean: [1, 0, 0] } },
    ];
    expect(new Set([hash, ...shaping.map(modelHash)]).size).toBe(6);
    expect(modelHash({ ...manifest, name: "renamed", version: "9" })).toBe(hash);
    // The order of keys in a file means nothing.
    const reversed = Object.fromEntries(Object.entries(manifest.preprocess).reverse());
    expect(modelHash({ ...manifest, preprocess: reversed as typeof manifest.preprocess })).toBe(hash);
  });
});

describe("pool", () => {
  it("takes mean and population deviation over space", () => {
    const into = new Float32Array(4);
    const data = Float32Array.of(1, 3, 5, 7, 2, 2, 2, 2);
    pool(
      { data, dims: [1, 2, 2, 2], type: "float32" },
      { pooling: "meanStd", embeddingDim: 4, name: "m" },
      1,
      into,
    );
    expect(into[0]).toBe(4);
    expect(into[1]).toBe(2);
    expect(into[2]).toBeCloseTo(Math.sqrt(5), 6);
    expect(into[3]).toBe(0);
  });
});

const sources = modelSources(process.env);
const here = zoo.filter(({ file }) => sources.mirror !== null && existsSync(join(sources.mirror, file)));

describe.skipIf(here.length === 0)(
  "the zoo's files (PROTOLINE_MIRROR names no folder that holds them)",
  () => {
    it.each(here.map(({ name }) => name))("%s opens and tells pictures apart", async (name) => {
      const encoder = await openEncoder(name, { sources });
      const { manifest } = encoder;
      const [height, width] = manifest.preprocess.size;
      const { data, n, dim } = await encoder.embed(pictures(2, 3 * height * width));
      expect([n, dim]).toEqual([2, manifest.embeddingDim]);
      const cosine = (a: Float32Array, b: Float32Array): number =>
        a.reduce((sum, value, i) => sum + value * b[i]!, 0) /
        Math.sqrt(a.reduce((s, v) => s + v * v, 0) * b.reduce((s, v) => s + v * v, 0));
      expect(cosine(data.subarray(0, dim), data.subarray(dim))).toBeLessThan(0.99999);
      await encoder.close();
    });
  },
);
