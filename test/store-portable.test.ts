import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { exportGallery, type GalleryStore, importGallery, openStore } from "../src/store/index.ts";
import { by, codeOf, content, gallery, hashOf, sample } from "./store.contract.ts";

const folder = mkdtempSync(join(tmpdir(), "protoline-portable-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const fresh = (ending: string): string => join(folder, `${files++}.${ending}`);
const drivers = { memory: () => openStore("memory:"), sqlite: () => openStore(fresh("db")) };

/** Two people, a rename, the same picture in two classes, one picture kept. */
async function filled(open: () => Promise<GalleryStore>): Promise<GalleryStore> {
  const store = await open();
  await store.createGallery(gallery("line", { refresh: { kind: "after", samples: 2 } }));
  const image = { bytes: Uint8Array.of(0, 255, 10, 13), type: "image/png", whole: true };
  await store.addSamples("line", [sample("A", "1", { image }), sample("B", "2")], by);
  await store.addSamples("line", [sample("B", "1"), sample("零件 🔩", "3")], {
    ...by,
    who: "bo",
    allowOtherClass: true,
  });
  await store.renameClass("line", "A", "C", by);
  return store;
}

async function exported(images = true): Promise<string> {
  const store = await filled(drivers.memory);
  const path = fresh("gallery");
  await exportGallery(store, "line", path, { images });
  await store.close();
  return path;
}

describe("a gallery in a file", () => {
  for (const from of ["memory", "sqlite"] as const)
    for (const to of ["memory", "sqlite"] as const)
      it(`goes from ${from} to ${to} with the same content and hash`, async () => {
        const source = await filled(drivers[from]);
        const path = fresh("gallery");
        await exportGallery(source, "line", path);
        const target = await drivers[to]();
        const info = await importGallery(target, path, { name: "copy", who: "cy" });
        const [old, copy] = [await source.snapshot("line"), await target.snapshot("copy")];
        expect(content(copy)).toEqual(content(old));
        expect(copy.samples.map(({ who }) => who)).toEqual(["anna", "anna", "bo", "bo"]);
        expect(info).toMatchObject({
          name: "copy",
          model: "net",
          refresh: { kind: "after", samples: 2 },
          pending: 0,
        });
        expect(info.head).toMatchObject({ hash: old.revision.hash, number: 1, who: "cy" });
        expect(await target.classStatistics("copy")).toEqual(await source.classStatistics("line"));
        const kept = await target.image("copy", copy.samples[0]!.id);
        expect([...kept!.bytes]).toEqual([0, 255, 10, 13]);
        expect(await target.image("copy", copy.samples[1]!.id)).toBeNull();
        await source.close();
        await target.close();
      });

  it("may leave the pictures out, and may be empty", async () => {
    const store = await openStore("memory:");
    const path = await exported(false);
    await importGallery(store, path, { who: "cy" });
    expect(await store.image("line", (await store.snapshot("line")).samples[0]!.id)).toBeNull();
    await store.createGallery(gallery("empty"));
    await exportGallery(store, "empty", path);
    const info = await importGallery(store, path, { name: "empty-too", who: "cy" });
    expect(info.head).toMatchObject({ number: 0, hash: (await store.gallery("empty")).head.hash });
    await store.close();
  });

  it("is refused as a whole when it is cut short or altered anywhere", async () => {
    const path = await exported();
    const bytes = readFileSync(path);
    const text = gunzipSync(bytes).toString("utf8");
    const lines = text.split("\n").slice(0, -1);
    const again = (changed: string[]): Buffer => gzipSync(`${changed.join("\n")}\n`);
    const body = lines.slice(0, -1).map((line) => line.replace('"label":"B"', '"label":"X"'));
    const forged = again([...body, JSON.stringify({ sha256: hashOf(`${body.join("\n")}\n`) })]);
    const wrong: [string, Buffer][] = [
      ["nothing", Buffer.alloc(0)],
      ["text", Buffer.from("a shopping list")],
      ["other JSON", gzipSync('{"a": 1}\n')],
      ["no object", gzipSync("[1]\n")],
      ["cut", bytes.subarray(0, bytes.length - 30)],
      ["without hash", again(lines.slice(0, -1))],
      ["without a sample", again(lines.toSpliced(2, 1))],
      ["half a line", gzipSync(text.slice(0, -9))],
      ["another label", again(lines.map((line) => line.replace('"label":"B"', '"label":"X"')))],
      ["another origin", again(lines.map((line) => line.replace("1.jpg", "9.jpg")))],
      [
        "another number",
        again(lines.map((line) => line.replace(/"embeddings":\["A?./, '"embeddings":["zz'))),
      ],
      ["another label, with the hash to it", forged],
      ["something behind", again([...lines, "{}"])],
      ["newer", again(lines.map((line) => line.replace('"version":1', '"version":2')))],
      ["a wrong decision", again(lines.map((line) => line.replace('"ridge"', '"oracle"')))],
      ["a wrong type", again(lines.map((line) => line.replace(/"time":\d+/, '"time":"now"')))],
      ["a wrong size", again(lines.map((line) => line.replace('"dim":4', '"dim":5')))],
    ];
    for (let at = 20; at < bytes.length; at += 97) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 0x10;
      wrong.push([`bit at ${at}`, flipped]);
    }
    const store = await openStore("memory:");
    const altered = fresh("gallery");
    for (const [what, data] of wrong) {
      writeFileSync(altered, data);
      expect([what, await codeOf(importGallery(store, altered, { who: "cy" }))]).toEqual([
        what,
        "GALLERY_FILE_INVALID",
      ]);
      expect(await store.galleries()).toEqual([]);
    }
    await importGallery(store, path, { who: "cy" });
    await store.close();
  });

  it("does not touch a gallery that is there, and names the path that does not work", async () => {
    const path = await exported();
    const store = await filled(drivers.memory);
    const before = await store.snapshot("line");
    expect(await codeOf(importGallery(store, path, { who: "cy" }))).toBe("GALLERY_EXISTS");
    expect(await store.snapshot("line")).toEqual(before);
    expect(await codeOf(importGallery(store, path, { name: "a/b", who: "cy" }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(importGallery(store, fresh("none"), { name: "b", who: "cy" }))).toBe(
      "INVALID_ARGUMENT",
    );
    expect(await codeOf(exportGallery(store, "line", join(folder, "no", "folder")))).toBe("INVALID_ARGUMENT");
    const target = fresh("gallery");
    expect(await codeOf(exportGallery(store, "nobody", target))).toBe("GALLERY_NOT_FOUND");
    expect(readdirSync(folder).filter((name) => name.includes("partial") || target.endsWith(name))).toEqual(
      [],
    );
    await store.close();
  });
});
