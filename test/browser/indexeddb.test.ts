import "fake-indexeddb/auto";
import { expect, it } from "vitest";
import { openIndexedDb } from "../../src/browser/index.ts";
import { createStore } from "../../src/store/create-store.ts";
import { by, changesAreWhole, codeOf, gallery, sample, storeContract } from "../store.contract.ts";
import { storeModel } from "../store.model.ts";

let databases = 0;
const fresh = async () => createStore(await openIndexedDb(`store ${databases++}`));

storeContract("indexeddb", fresh);
storeModel("indexeddb", fresh, 10);

it("keeps what was acknowledged when it is closed, and shows it to a second page", async () => {
  const first = createStore(await openIndexedDb("kept"));
  await first.createGallery(gallery());
  await first.addSamples("line", [sample("A", "1"), sample("B", "2")], by);
  const second = createStore(await openIndexedDb("kept"));
  expect(await second.snapshot("line")).toEqual(await first.snapshot("line"));
  await second.addSamples("line", [sample("A", "3")], by);
  expect(await first.head("line")).toBe(2);
  await first.close();
  await second.close();
  const third = createStore(await openIndexedDb("kept"));
  expect((await third.snapshot("line")).samples).toHaveLength(3);
  await third.close();
});

changesAreWhole("indexeddb", () => openIndexedDb("half"));

it("says so where the database is closed or newer", async () => {
  const store = createStore(await openIndexedDb("closed"));
  await store.close();
  expect(await codeOf(store.galleries())).toBe("STORE_BROKEN");
  const request = indexedDB.open("newer", 99);
  await new Promise((resolve) => {
    request.onsuccess = resolve;
  });
  request.result.close();
  expect(await codeOf(openIndexedDb("newer"))).toBe("STORE_NEWER");
});
