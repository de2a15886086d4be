import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { createStore } from "../src/store/create-store.ts";
import { openMemory } from "../src/store/drivers/memory.ts";
import { openSqlite } from "../src/store/drivers/sqlite.ts";
import { openStore } from "../src/store/index.ts";
import { by, gallery, sample, storeContract } from "./store.contract.ts";
import { storeModel } from "./store.model.ts";

const folder = mkdtempSync(join(tmpdir(), "protoline-store-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const fresh = () => join(folder, `${files++}.db`);

const memory = () => openStore("memory:");
const sqlite = () => openStore(`sqlite:${fresh()}`);

storeContract("memory", memory);
storeContract("sqlite", sqlite);
storeModel("memory", memory, 100);
storeModel("sqlite", sqlite, 20);

it.each([
  ["memory", async () => openMemory()],
  ["sqlite", () => openSqlite(fresh())],
])("nothing remains of a change that fails half-way in the %s store", async (_, open) => {
  let works = true;
  const store = createStore(await open(), () => {
    if (works) return 5;
    throw new Error("the clock stands still");
  });
  await store.createGallery(gallery());
  await store.addSamples("line", [sample("A", "1")], by);
  const before = [
    await store.gallery("line"),
    await store.snapshot("line"),
    await store.classStatistics("line"),
  ];
  works = false;
  const image = { bytes: Uint8Array.of(1), type: "image/png", whole: true };
  const more = [sample("A", "2"), sample("B", "3", { image })];
  await expect(store.addSamples("line", more, by)).rejects.toThrow("stands still");
  await expect(store.createGallery(gallery("other"))).rejects.toThrow("stands still");
  works = true;
  expect([
    await store.gallery("line"),
    await store.snapshot("line"),
    await store.classStatistics("line"),
  ]).toEqual(before);
  expect(await store.galleries()).toHaveLength(1);
  const { added } = await store.addSamples("line", more.slice(0, 1), by);
  expect(added).toHaveLength(1);
  expect((await store.snapshot("line")).samples.map(({ origin }) => origin)).toEqual(["1.jpg", "2.jpg"]);
  await store.close();
});
