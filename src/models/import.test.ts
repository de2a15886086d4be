import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TinyOptions, tinyModel } from "../../test/support/onnx-encoder.ts";
import { sha256 } from "../core/index.ts";
import { createBuilder } from "../graph/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { loadedModels } from "../runtime/index.ts";
import { withManifest } from "./bundle-bytes.ts";
import { type ImportOptions, importModel, openEncoder, scatteringBundle, writeBundle } from "./index.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "protoline-import-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function imported(model: Uint8Array, options: Partial<ImportOptions> = {}) {
  const path = join(folder, `${sha256(model).slice(0, 12)}.onnx`);
  writeFileSync(path, model);
  return importModel(path, { name: "mine", ...options });
}
const tiny = (options: TinyOptions, more: Partial<ImportOptions> = {}) => imported(tinyModel(options), more);

describe("importModel", () => {
  it("finds size, channels, output and pooling in the model", async () => {
    const { manifest, model } = await tiny({}, { license: "MIT", origin: "here", trainedOn: "bolts" });
    expect(manifest).toMatchObject({
      name: "mine",
      input: "image",
      output: "embedding",
      embeddingDim: 4,
      pooling: "none",
      preprocess: { size: [8, 8], channels: "rgb", fit: "stretch", mean: [123.675, 116.28, 103.53] },
      provenance: { license: "MIT", origin: "here", trainedOn: "bolts" },
      model: { sha256: sha256(model), bytes: model.length },
    });
    expect(loadedModels()).toBe(0);
  });

  it("makes a bundle that opens by its path and embeds", async () => {
    const path = join(folder, "made");
    await writeBundle(await tiny({}), path);
    const encoder = await openEncoder(path);
    expect((await encoder.embed([new Float32Array(192).fill(0.5)])).dim).toBe(4);
    await encoder.close();
  });

  it("pools maps, and takes grey and one picture at a time", async () => {
    const maps: TinyOptions = { head: (_, x) => ({ embedding: x }) };
    expect((await tiny(maps)).manifest).toMatchObject({ pooling: "mean", embeddingDim: 4 });
    expect((await tiny(maps, { pooling: "meanStd" })).manifest).toMatchObject({ embeddingDim: 8 });
    const pooled: TinyOptions = { head: (g, x) => ({ embedding: g.GlobalAveragePool(x) }) };
    expect((await tiny(pooled)).manifest).toMatchObject({ pooling: "none", embeddingDim: 4 });
    expect((await tiny({ input: ["N", 1, 8, 8] })).manifest.preprocess).toMatchObject({
      channels: "gray",
      mean: [0],
      std: [255],
    });
    expect((await tiny({ input: [1, 3, 8, 8] })).manifest.embeddingDim).toBe(4);
  });

  it("takes the size from the user where the model leaves it open, and never another", async () => {
    const open: TinyOptions = { input: ["N", 3, "H", "W"] };
    await expect(tiny(open)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      expected: expect.stringContaining("size"),
    });
    const { manifest } = await tiny(open, { preprocess: { size: [12, 16] } });
    expect(manifest.preprocess.size).toEqual([12, 16]);
    await expect(tiny({}, { preprocess: { size: [12, 16] } })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
    await expect(tiny({}, { preprocess: { channels: "gray" } })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  it("asks which output where several would do", async () => {
    const two: TinyOptions = {
      head: (g, x) => ({ maps: x, vector: g.Flatten(g.GlobalAveragePool(x), { axis: 1 }) }),
    };
    await expect(tiny(two)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      got: expect.stringMatching(/"maps".*"vector"/),
    });
    expect((await tiny(two, { output: "vector" })).manifest.output).toBe("vector");
    await expect(tiny(two, { output: "none" })).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
  });

  it("imports a bundle of one file as the model inside it", async () => {
    const model = tinyModel();
    const bundle = await imported(withManifest(model, "older"));
    expect(Buffer.from(bundle.model).equals(model)).toBe(true);
  });

  it("takes a model that needs pictures in the range that they have", async () => {
    const { manifest } = await imported(scatteringBundle().model);
    expect(manifest).toMatchObject({
      embeddingDim: 834,
      preprocess: { size: [128, 128], channels: "gray", std: [255] },
    });
  });

  it("refuses channels last, a fixed batch, and inputs that are no image", async () => {
    const last = createBuilder("last");
    const pixels = last.input("pixels", "float32", ["N", 8, 8, 3]);
    await expect(
      imported(writeModel(modelOf(last.build({ y: last.Flatten(pixels, { axis: 1 }) })))),
    ).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED", got: expect.stringContaining("[N, H, W, C]") });

    await expect(tiny({ input: [4, 3, 8, 8] })).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      got: expect.stringContaining("4"),
    });

    const text = createBuilder("text");
    const tokens = text.input("tokens", "float32", ["N", 16]);
    await expect(imported(writeModel(modelOf(text.build({ y: text.Relu(tokens) }))))).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      got: expect.stringContaining("tokens"),
    });

    const two = createBuilder("two");
    const sum = two.Add(two.input("a", "float32", ["N", 3, 8, 8]), two.input("b", "float32", ["N", 3, 8, 8]));
    await expect(
      imported(writeModel(modelOf(two.build({ y: two.Flatten(sum, { axis: 1 }) })))),
    ).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED", got: expect.stringContaining("2 inputs") });
  });

  it("refuses what answers the same to every picture, no vector, or no number", async () => {
    await expect(
      tiny({ head: (g, x) => ({ y: g.Mul(g.Flatten(g.GlobalAveragePool(x), { axis: 1 }), 0) }) }),
    ).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      expected: expect.stringContaining("different embeddings"),
    });
    await expect(
      tiny({ head: (g, x) => ({ y: g.ReduceMean(x, g.ints([1, 2, 3]), { keepdims: 0 }) }) }),
    ).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
    await expect(
      tiny({ head: (g, x) => ({ y: g.Log(g.Neg(g.Flatten(g.GlobalAveragePool(x), { axis: 1 }))) }) }),
    ).rejects.toMatchObject({ code: "NOT_FINITE" });
    expect(loadedModels()).toBe(0);
  });

  it("refuses a bad name, a file that is no model, and none", async () => {
    await expect(tiny({}, { name: "My Model" })).rejects.toMatchObject({
      code: "BUNDLE_INVALID",
      expected: expect.stringContaining("name"),
    });
    await expect(imported(new TextEncoder().encode("text"))).rejects.toMatchObject({ code: "MODEL_BROKEN" });
    await expect(importModel(join(folder, "absent.onnx"), { name: "mine" })).rejects.toMatchObject({
      code: "MODEL_NOT_FOUND",
    });
  });
});
