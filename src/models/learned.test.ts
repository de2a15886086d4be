import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { tinyBundle } from "../../test/support/onnx-encoder.ts";
import { readBundle } from "./bundle.ts";
import { modelHash } from "./encode.ts";
import { findBundle } from "./find.ts";
import { listModels } from "./info.ts";
import { learnedFrom, learnedName, wasShown } from "./learned.ts";
import { findLearned, keepLearned } from "./learned-folder.ts";
import type { Learned } from "./types.ts";

const hash = "0123456789abcdef".repeat(4);
const learned: Learned = {
  from: { name: "tiny", modelHash: hash },
  ...{ gallery: "line-1", revision: 3, steps: 10, seed: 1 },
  shown: ["aaaaaaaaaaaaaaaa"],
};
const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});
const newFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "protoline-learned-"));
  folders.push(folder);
  return folder;
};
const bundle = () => {
  const { manifest, model } = tinyBundle();
  const own = modelHash(manifest);
  return { model, manifest: { ...manifest, name: learnedName("tiny", own), learned } };
};

describe("the name of a learned model", () => {
  it("tells what it all began with and its own hash, however often it was learned", () => {
    const first = learnedName("compact", hash);
    expect(first).toBe("compact-learned-0123456789ab");
    expect(learnedName(first, "f".repeat(64))).toBe("compact-learned-ffffffffffff");
    expect(learnedFrom(first)).toEqual({ root: "compact", hash: "0123456789ab" });
    expect(learnedFrom("compact")).toBeNull();
  });

  it("is a model's name, whatever it is made of", () => {
    expect(learnedName("a".repeat(64), hash)).toMatch(/^[a-z0-9][a-z0-9-]{0,63}$/);
  });
});

describe("the folder of learned models", () => {
  it("finds a model by its hash and by its name, and keeps what it was trained on", async () => {
    const folder = await newFolder();
    const one = bundle();
    const own = modelHash(one.manifest);
    expect(await findLearned(folder, own)).toBeNull();
    const kept = await keepLearned(one, folder);
    expect(kept).toEqual({ path: join(folder, one.manifest.name), made: true });
    expect(await keepLearned(one, folder)).toEqual({ ...kept, made: false });
    expect(await findLearned(folder, own)).toBe(kept.path);
    expect(await findLearned(folder, "../".repeat(9))).toBeNull();
    expect((await readBundle(kept.path)).manifest.learned).toEqual(learned);
    const sources = { cache: join(folder, "none"), mirror: null, learned: folder };
    expect(await findBundle(one.manifest.name, sources)).toMatchObject({ place: "learned", path: kept.path });
    expect((await listModels(sources)).at(-1)).toMatchObject({ name: one.manifest.name, place: "learned" });
  });

  it("says which folder lacks a model that a gallery needs", async () => {
    const folder = await newFolder();
    await writeFile(join(folder, "compact-learned-ffffffffffff.txt"), "no model");
    const asked = findBundle("compact-learned-ffffffffffff", {
      cache: folder,
      mirror: null,
      learned: folder,
    });
    await expect(asked).rejects.toMatchObject({
      code: "MODEL_NOT_FOUND",
      todo: expect.stringContaining("--learned"),
    });
  });
});

describe("what an encoder was shown", () => {
  it("is told by the beginning of a content hash, of any of several models", () => {
    const shown = wasShown({}, { learned });
    expect([shown("a".repeat(64)), shown("b".repeat(64))]).toEqual([true, false]);
    expect(wasShown({})("a".repeat(64))).toBe(false);
  });
});
