import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { afterAll, describe, expect, it } from "vitest";
import { defaultDecision } from "../src/fewshot/index.ts";
import { contentHashOf } from "../src/store/hash.ts";
import { openStore } from "../src/store/index.ts";
import { packGallery, unpackGallery } from "../src/store/packed.ts";
import { gallery, sample } from "./store.contract.ts";

const folder = mkdtempSync(join(tmpdir(), "protoline-older-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** As galleries were stored before the predictive Gaussian. */
const older = {
  views: { support: [], query: [] },
  transform: { power: 0.5, normalize: true, center: "gallery" },
  head: { kind: "ridge", lambda: 0.1, projection: null },
  openSet: { score: "cosine", falseRejectRate: 0.05 },
  ambiguity: { margin: 0.1 },
};

/** A store whose gallery an older Protoline wrote. */
async function olderStore(name: string) {
  const path = join(folder, name);
  const store = await openStore(`sqlite:${path}`);
  await store.createGallery({ ...gallery(), who: "t" });
  await store.addSamples("line", [sample("gear", "a"), sample("washer", "b")], { who: "t", modelHash: "m1" });
  const { samples } = await store.snapshot("line");
  await store.close();
  const db = new Database(path);
  db.prepare(
    "UPDATE revision SET decision = ?, hash = ? WHERE number = (SELECT MAX(number) FROM revision)",
  ).run(JSON.stringify(older), contentHashOf("m1", older, samples));
  db.close();
  return openStore(`sqlite:${path}`);
}

describe("a gallery with an older decision", () => {
  it("keeps its head and its hash, and says that it is older, until it is given another", async () => {
    const store = await olderStore("kept.db");
    const before = await store.snapshot("line");
    expect(before.decisionIsOlder).toBe(true);
    expect(before.decision).toEqual({
      ...older,
      head: { kind: "ridge", lambda: 0.1 },
      openSet: { falseRejectRate: 0.05 },
    });
    expect(before.revision.hash).toBe(contentHashOf("m1", older, before.samples));
    await store.setDecision("line", defaultDecision, { who: "t" });
    const after = await store.snapshot("line");
    expect(after.decisionIsOlder).toBe(false);
    expect(after.decision).toEqual(defaultDecision);
    await store.close();
  });

  it("is exported in today's form, and an older export is read", async () => {
    const store = await olderStore("packed.db");
    const lines: string[] = [];
    for await (const line of packGallery(store, "line", {})) lines.push(line);
    const into = async (texts: readonly string[], name: string) => {
      async function* bytes() {
        for (const text of texts) yield new TextEncoder().encode(text);
      }
      await unpackGallery(store, bytes(), { name, who: "t" });
      return store.snapshot(name);
    };
    const copy = await into(lines, "copy");
    expect(copy.decisionIsOlder).toBe(false);
    expect(copy.samples.length).toBe(2);

    const header = JSON.parse(lines[0]!);
    const { samples } = await store.snapshot("line");
    const written = `${JSON.stringify({ ...header, decision: older, revisionHash: contentHashOf("m1", older, samples) })}\n`;
    const { createHash } = await import("node:crypto");
    const all = [written, ...lines.slice(1, -1)];
    const last = `${JSON.stringify({ sha256: createHash("sha256").update(all.join("")).digest("hex") })}\n`;
    expect((await into([...all, last], "old")).decision).toEqual(copy.decision);
    const wrong = { ...header, decision: older, revisionHash: "0".repeat(64) };
    const broken = [`${JSON.stringify(wrong)}\n`, ...lines.slice(1, -1)];
    const sum = `${JSON.stringify({ sha256: createHash("sha256").update(broken.join("")).digest("hex") })}\n`;
    await expect(into([...broken, sum], "wrong")).rejects.toMatchObject({ code: "GALLERY_FILE_INVALID" });
    await store.close();
  });
});
