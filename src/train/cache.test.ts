import { createHash } from "node:crypto";
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openEmbeddingCache } from "./cache.ts";

const key = { modelHash: "m", views: "plain", length: 3 };
const hash = (text: string): string => createHash("sha256").update(text).digest("hex");
const numbers = (first: number): Float32Array => Float32Array.of(first, -0.5, 1e-20);

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "protoline-cache-"));
});
afterEach(() => rm(dir, { recursive: true }));

async function fill(names: readonly string[]): Promise<void> {
  const cache = await openEmbeddingCache(dir, key);
  for (const [i, name] of names.entries()) await cache.add(hash(name), numbers(i));
  await cache.close();
}

async function load(names: readonly string[], other: Partial<typeof key> = {}) {
  const cache = await openEmbeddingCache(dir, { ...key, ...other });
  const found = new Map<string, Float32Array>();
  for (const name of names) {
    const numbers = await cache.get(hash(name));
    if (numbers) found.set(hash(name), numbers);
  }
  await cache.close();
  return found;
}

async function onlyFile(): Promise<string> {
  const [folder] = await readdir(dir);
  const [file] = await readdir(join(dir, folder!));
  return join(dir, folder!, file!);
}

describe("openEmbeddingCache", () => {
  it("finds what was added, over several files, and nothing else", async () => {
    await fill(["a", "b"]);
    await fill(["c"]);
    const found = await load(["a", "c", "d"]);
    expect([...found.keys()].sort()).toEqual([hash("a"), hash("c")].sort());
    expect(found.get(hash("a"))).toEqual(numbers(0));
    expect((await load(["b"])).get(hash("b"))).toEqual(numbers(1));
  });

  it("keeps models, views and sizes apart", async () => {
    await fill(["a"]);
    expect((await load(["a"], { modelHash: "n" })).size).toBe(0);
    expect((await load(["a"], { views: "dihedral" })).size).toBe(0);
    expect((await load(["a"], { length: 4 })).size).toBe(0);
  });

  it("makes no folder while there is nothing to keep", async () => {
    await load(["a"]);
    expect(await readdir(dir)).toEqual([]);
  });

  it("skips the tail that a crash cut off, and a record whose numbers changed", async () => {
    await fill(["a", "b"]);
    const file = await onlyFile();
    const whole = await readFile(file);
    await truncate(file, whole.length - 1);
    expect([...(await load(["a", "b"])).keys()]).toEqual([hash("a")]);

    const broken = Buffer.from(whole);
    broken[40]! ^= 1;
    await writeFile(file, broken);
    expect([...(await load(["a", "b"])).keys()]).toEqual([hash("b")]);

    await writeFile(file, whole);
    await appendFile(file, "tail");
    expect((await load(["a", "b"])).size).toBe(2);
  });
});
