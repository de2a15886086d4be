import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tinyBundle } from "../../test/support/onnx-encoder.ts";
import {
  defaultModel,
  findBundle,
  listModels,
  modelHash,
  modelInfo,
  modelSources,
  openEncoder,
  writeBundle,
  zoo,
  zooRow,
} from "./index.ts";

let cache: string;
beforeAll(async () => {
  cache = mkdtempSync(join(tmpdir(), "protoline-find-"));
  await writeBundle(tinyBundle(), join(cache, "tiny"));
});
afterAll(() => rmSync(cache, { recursive: true }));

const sources = (mirror: string | null = null) => ({ cache, mirror });

describe("modelSources", () => {
  it("takes the cache from its own variable, else below the user's cache folder", () => {
    expect(modelSources({ PROTOLINE_CACHE: "/c", XDG_CACHE_HOME: "/x" })).toEqual({
      cache: "/c",
      mirror: null,
      learned: null,
    });
    expect(modelSources({ PROTOLINE_LEARNED: "/l" }).learned).toBe("/l");
    expect(modelSources({ XDG_CACHE_HOME: "/x" }).cache).toBe(join("/x", "protoline", "models"));
    expect(modelSources({}).cache.endsWith(join(".cache", "protoline", "models"))).toBe(true);
    expect(modelSources({ PROTOLINE_MIRROR: "" }).mirror).toBeNull();
    expect(modelSources({ PROTOLINE_MIRROR: "https://a/b" }).mirror).toBe("https://a/b");
  });
});

describe("finding a model", () => {
  it("finds what is built in, imported, or at a path", async () => {
    const path = join(cache, "elsewhere.onnx");
    await writeBundle(tinyBundle(), path);
    expect(await findBundle("scattering", sources())).toMatchObject({ place: "built in", path: null });
    expect(await findBundle("tiny", sources())).toMatchObject({
      place: "imported",
      path: join(cache, "tiny"),
    });
    expect(await findBundle(path, sources())).toMatchObject({ place: "path", manifest: { name: "tiny" } });
    rmSync(path);
  });

  it("says what is missing, and how to get it", async () => {
    await expect(openEncoder("nothing", { sources: sources() })).rejects.toMatchObject({
      code: "MODEL_NOT_FOUND",
      got: '"nothing"',
    });
    await expect(openEncoder("../../etc", { sources: sources() })).rejects.toMatchObject({
      code: "MODEL_NOT_FOUND",
    });
    for (const { name } of zoo)
      await expect(openEncoder(name, { sources: sources() })).rejects.toMatchObject({
        code: "MODEL_NOT_FOUND",
        todo: expect.stringContaining(`models pull ${name}`),
      });
  });

  it("refuses a zoo file of other content", async () => {
    const { file, name } = zooRow("mobilenet-v2")!;
    writeFileSync(join(cache, file), "not the model");
    await expect(openEncoder(name, { sources: sources() })).rejects.toMatchObject({
      code: "MODEL_HASH_MISMATCH",
    });
    rmSync(join(cache, file));
  });
});

describe("defaultModel", () => {
  it("takes mobilenet-v1 from cache or mirror folder, else what is built in, and says why", async () => {
    expect(await defaultModel(sources())).toMatchObject({
      model: "compact",
      why: expect.stringContaining("models pull mobilenet-v1"),
    });
    expect((await defaultModel(sources("https://mirror.example/models"))).model).toBe("compact");
    const { file } = zooRow("mobilenet-v1")!;
    writeFileSync(join(cache, file), "");
    for (const where of [sources(), { cache: join(cache, "none"), mirror: cache }])
      expect((await defaultModel(where)).model).toBe("mobilenet-v1");
    rmSync(join(cache, file));
  });
});

describe("listing and telling", () => {
  it("lists the built-in models, the zoo and imports, and where each is", async () => {
    const listed = await listModels(sources());
    expect(listed.map(({ name, place }) => [name, place])).toEqual([
      ["compact", "built in"],
      ["scattering", "built in"],
      ...zoo.map(({ name }) => [name, null]),
      ["tiny", "imported"],
    ]);
    expect((await listModels({ cache: join(cache, "none"), mirror: null })).length).toBe(2 + zoo.length);
  });

  it("tells of a model that is here what is in it, and of one that is not what the table says", async () => {
    const tiny = await modelInfo("tiny", sources());
    expect(tiny.modelHash).toBe(modelHash(tinyBundle().manifest));
    expect(tiny.summary!.operators.map(({ op }) => op)).toContain("Conv");
    expect(tiny.summary!.parameters).toBeGreaterThanOrEqual(108);
    const away = await modelInfo("mobilenet-v1", sources());
    expect(away).toMatchObject({ place: null, summary: null, manifest: { embeddingDim: 1024 } });
    await expect(modelInfo("nothing", sources())).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
  });
});

describe("the zoo", () => {
  it("has hashes, sizes and licences, and no name or file twice", () => {
    for (const row of zoo) {
      expect(row.sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(row.bytes).toBeGreaterThan(1e6);
      expect(row.provenance.license).not.toBe("");
    }
    expect(new Set(zoo.map(({ name }) => name)).size).toBe(zoo.length);
    expect(new Set(zoo.map(({ file }) => file)).size).toBe(zoo.length);
  });
});
