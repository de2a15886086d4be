import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, describe, expect, it, vi } from "vitest";
import { row } from "../src/core/index.ts";
import { fitDecision } from "../src/fewshot/index.ts";
import { Recognizer } from "../src/recognizer/index.ts";
import { toSupport } from "../src/recognizer/snapshot.ts";
import { openStore } from "../src/store/index.ts";
import { fakeEncoder } from "./support/fake-encoder.ts";
import { blue, green, partPicture, partPictures, red, yellow } from "./support/pictures.ts";

const open: { close(): Promise<void> }[] = [];
const keep = <T extends { close(): Promise<void> }>(part: T): T => {
  open.push(part);
  return part;
};
afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close();
});

async function redAndGreen(options = {}): Promise<Recognizer> {
  const recognizer = keep(await Recognizer.open({ model: fakeEncoder(), ...options }));
  await recognizer.enroll("red bar", await partPictures(red, 10));
  await recognizer.enroll("green bar", await partPictures(green, 10));
  return recognizer;
}

describe("Recognizer", () => {
  it("knows what it was shown, and calls the rest unknown", async () => {
    const recognizer = await redAndGreen();
    const known = await recognizer.recognize(await partPicture(red, 1001));
    expect(known).toMatchObject({
      kind: "known",
      label: "red bar",
      revision: 2,
      gallery: "default",
      model: "fake",
    });
    expect(known.nearestSupport[0]).toMatchObject({ label: "red bar" });
    expect(known.distance).toBeLessThan(known.limit.threshold!);
    expect((await recognizer.recognize(await partPicture(blue, 1002))).kind).toBe("unknown");

    await recognizer.enroll("blue bar", await partPictures(blue, 10));
    expect(await recognizer.recognize(await partPicture(blue, 1002))).toMatchObject({
      label: "blue bar",
      revision: 3,
    });
  });

  it("refuses to answer from an empty gallery", async () => {
    const recognizer = keep(await Recognizer.open({ model: fakeEncoder() }));
    await expect(recognizer.recognize(await partPicture(red, 1))).rejects.toMatchObject({
      code: "GALLERY_EMPTY",
    });
  });

  it("keeps the good pictures when one is broken, one is there twice, and one belongs to another class", async () => {
    const recognizer = await redAndGreen();
    const fresh = await partPicture(red, 50);
    const result = await recognizer.enroll(
      "red bar",
      [fresh, Buffer.from("not a picture"), await partPicture(red, 1), fresh, await partPicture(green, 1)],
      { origins: ["fresh.jpg", "text.jpg", "old.jpg", "fresh again.jpg", "green.jpg"] },
    );
    expect(result.added.map(({ origin }) => origin)).toEqual(["fresh.jpg"]);
    expect(result.duplicates).toEqual(["old.jpg", "fresh again.jpg"]);
    expect(result.rejected.map(({ origin, code }) => [origin, code])).toEqual([
      ["text.jpg", "IMAGE_UNSUPPORTED"],
      ["green.jpg", "SAMPLE_IN_OTHER_CLASS"],
    ]);
    expect(recognizer.revision).toMatchObject({ classes: 2, samples: 21 });
  });

  it("reports a broken frame of a batch in its place", async () => {
    const recognizer = await redAndGreen();
    const answers = await recognizer.recognizeBatch([
      await partPicture(red, 70),
      new Uint8Array(),
      await partPicture(green, 71),
    ]);
    expect(answers[0]).toMatchObject({ label: "red bar" });
    expect(answers[1]).toMatchObject({ code: "IMAGE_EMPTY" });
    expect(answers[2]).toMatchObject({ label: "green bar" });
  });

  it("never lets a recognition wait for an enrollment", async () => {
    const memory = keep(await openStore("memory:"));
    let gate: Promise<void> = Promise.resolve();
    const slow = new Proxy(memory, {
      get: (target, name, receiver) =>
        name === "addSamples"
          ? (...args: Parameters<typeof target.addSamples>) => gate.then(() => target.addSamples(...args))
          : Reflect.get(target, name, receiver),
    });
    const recognizer = await redAndGreen({ store: slow });
    let release = (): void => {};
    gate = new Promise((resolve) => {
      release = resolve;
    });
    const enrollment = recognizer.enroll("blue bar", await partPictures(blue, 10));
    const during = await Promise.all(
      (await partPictures(red, 20, 300)).map((frame) => recognizer.recognize(frame)),
    );
    expect(new Set(during.map(({ revision }) => revision))).toEqual(new Set([2]));
    release();
    expect((await enrollment).revision).toBe(3);
    expect(await recognizer.recognize(await partPicture(blue, 900))).toMatchObject({
      label: "blue bar",
      revision: 3,
    });
  });

  it("answers after many small enrollments as after one fit", async () => {
    const recognizer = keep(await Recognizer.open({ model: fakeEncoder() }));
    for (const [label, colour] of [
      ["red bar", red],
      ["green bar", green],
      ["blue bar", blue],
    ] as const)
      for (const picture of await partPictures(colour, 8)) await recognizer.enroll(label, [picture]);
    const { samples, decision, encoder } = recognizer;
    const refit = fitDecision(toSupport(samples, encoder.embeddingDim), decision, recognizer.priors);
    const frames = await partPictures(red, 5, 400);
    const embeddings = await recognizer.embed(frames);
    const answers = await recognizer.recognizeBatch(frames);
    answers.forEach((answer, i) => {
      if (answer instanceof Error) throw answer;
      const fresh = refit.decide({ data: row(embeddings, i), n: 1, dim: embeddings.dim }, { topK: 3 });
      expect(answer.kind).toBe(fresh.kind);
      fresh.candidates.forEach((candidate, c) => {
        expect(answer.candidates[c]!.label).toBe(candidate.label);
        expect(answer.candidates[c]!.distance).toBeCloseTo(candidate.distance, 5);
      });
    });
  });

  it("sees what another process published, on refresh", async () => {
    const folder = await mkdtemp(join(tmpdir(), "protoline-"));
    try {
      const store = `sqlite:${join(folder, "line.db")}`;
      const here = await redAndGreen({ store });
      const there = keep(await Recognizer.open({ model: fakeEncoder(), store }));
      await there.enroll("blue bar", await partPictures(blue, 10));
      expect((await here.recognize(await partPicture(blue, 5000))).kind).toBe("unknown");
      expect(await here.refresh()).toBe(3);
      expect(await here.recognize(await partPicture(blue, 5000))).toMatchObject({ label: "blue bar" });
      for (const part of open.splice(0).reverse()) await part.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("rolls back to what it knew before", async () => {
    const recognizer = await redAndGreen();
    await recognizer.enroll("yellow bar", await partPictures(yellow, 10));
    await recognizer.store.rollback("default", 2, { who: "test" });
    await recognizer.refresh();
    expect(recognizer.revision).toMatchObject({ number: 4, classes: 2 });
    expect((await recognizer.recognize(await partPicture(yellow, 900))).kind).toBe("unknown");
  });

  it("makes samples wait under a refresh policy", async () => {
    const recognizer = keep(
      await Recognizer.open({ model: fakeEncoder(), refresh: { kind: "after", samples: 5 } }),
    );
    const [first, ...rest] = await partPictures(red, 6);
    expect(await recognizer.enroll("red bar", [first!])).toMatchObject({ pending: 1, revision: 0 });
    await expect(recognizer.recognize(first!)).rejects.toMatchObject({ code: "GALLERY_EMPTY" });
    expect(await recognizer.enroll("red bar", rest)).toMatchObject({ pending: 0, revision: 1 });
    expect(recognizer.revision.samples).toBe(6);
  });

  it("knows what it made wait without reading it back, and reads what others added meanwhile", async () => {
    const store = keep(await openStore("memory:"));
    const recognizer = await redAndGreen({ store });
    const other = keep(await Recognizer.open({ model: fakeEncoder(), store }));
    await store.setRefresh("default", { kind: "after", samples: 4 });
    const read = vi.spyOn(store, "snapshot");
    const blues = await partPictures(blue, 4, 300);
    await recognizer.enroll("blue bar", blues.slice(0, 3));
    await recognizer.enroll("blue bar", blues.slice(3));
    expect(recognizer.revision).toMatchObject({ number: 3, samples: 24 });
    expect(read).not.toHaveBeenCalled();
    expect((await recognizer.recognize(await partPicture(blue, 900))).kind).toBe("known");

    const yellows = await partPictures(yellow, 4, 400);
    await recognizer.enroll("yellow bar", yellows.slice(0, 2));
    await other.refresh();
    await other.enroll("yellow bar", yellows.slice(2));
    read.mockClear();
    await recognizer.refresh();
    expect(read).toHaveBeenCalledOnce();
    expect(recognizer.samples).toHaveLength(28);
    expect((await recognizer.recognize(await partPicture(yellow, 901))).kind).toBe("known");
  });

  it("refuses a gallery of another model, or embeds its kept pictures again", async () => {
    const store = keep(await openStore("memory:"));
    const first = await redAndGreen({ store });
    await store.setRefresh("default", { kind: "manual" });
    await first.enroll("green bar", await partPictures(green, 1, 60));
    const other = fakeEncoder({ name: "other" });
    await expect(Recognizer.open({ model: other, store })).rejects.toMatchObject({ code: "MODEL_MISMATCH" });
    const again = keep(await Recognizer.open({ model: other, store, onModelMismatch: "reembed" }));
    // The picture that waited is published first, so that it is embedded again too.
    expect(again.revision).toMatchObject({ number: 4, classes: 2, samples: 21 });
    expect(await again.recognize(await partPicture(green, 77))).toMatchObject({
      label: "green bar",
      model: "other",
    });
  });

  it("says so when pictures that it would have to embed again were not kept", async () => {
    const store = keep(await openStore("memory:"));
    await redAndGreen({ store, keep: "none" });
    const other = fakeEncoder({ name: "other" });
    await expect(Recognizer.open({ model: other, store, onModelMismatch: "reembed" })).rejects.toThrow(
      /a kept picture of every sample/,
    );
  });

  it("embeds further views when the decision asks for them", async () => {
    const recognizer = await redAndGreen();
    const decision = {
      ...recognizer.decision,
      views: { support: ["dihedral"], query: ["dihedral"] },
    } as const;
    await recognizer.setDecision(decision, { who: "test" });
    expect(recognizer.samples.map(({ embeddings }) => embeddings.length)).toEqual(Array(20).fill(8));
    await recognizer.enroll("blue bar", await partPictures(blue, 3));
    expect(recognizer.samples.at(-1)!.embeddings).toHaveLength(8);
    expect(await recognizer.recognize(await partPicture(red, 88))).toMatchObject({ label: "red bar" });
  });

  it("looks at a region of interest alone, and remembers what it saw there", async () => {
    const recognizer = await redAndGreen();
    const picture = await partPicture(blue, 9, 128);
    const region = { x: 32, y: 0, width: 48, height: 64 };
    const { added } = await recognizer.enroll("blue bar", [picture], { region });
    const kept = await recognizer.store.image("default", added[0]!.id);
    expect(kept).toMatchObject({ type: "image/jpeg", whole: true });
    await expect(
      recognizer.recognize(picture, { region: { x: 100, y: 0, width: 64, height: 64 } }),
    ).rejects.toMatchObject({ code: "REGION_OUTSIDE" });
  });

  it("refuses the pixels of another class in another file, and takes them where both names are right", async () => {
    const recognizer = await redAndGreen();
    const pixels = sharp(await partPicture(yellow, 5));
    const [a, b] = await Promise.all(
      [0, 9].map((compressionLevel) => pixels.clone().png({ compressionLevel }).toBuffer()),
    );
    await recognizer.enroll("yellow bar", [a!], { origins: ["a.png"] });
    const { added, rejected } = await recognizer.enroll("brass bar", [b!], { origins: ["b.png"] });
    expect(added).toEqual([]);
    expect(rejected).toMatchObject([{ origin: "b.png", code: "SAMPLE_IN_OTHER_CLASS" }]);
    expect(rejected[0]!.message).toContain("the same pixels as");
    expect((await recognizer.enroll("brass bar", [b!], { allowOtherClass: true })).added.length).toBe(1);
  });

  it("tells how sure the limit of a class is, and what one picture of each leaves open", async () => {
    const recognizer = keep(await Recognizer.open({ model: fakeEncoder() }));
    for (const [label, color] of [
      ["red bar", red],
      ["green bar", green],
    ] as const) {
      const { limit } = await recognizer.enroll(label, await partPictures(color, 1));
      expect(limit).toMatchObject({ threshold: null, source: "none", rates: null });
    }
    const open = await recognizer.recognize(await partPicture(blue, 3));
    expect(open.kind).not.toBe("unknown");
    expect(open.limit).toMatchObject({ threshold: null, source: "none" });
    const { limit } = await recognizer.enroll("red bar", await partPictures(red, 9, 50));
    expect(limit).toMatchObject({ source: "own", pictures: 10 });
    expect(limit!.rates![0]).toBeLessThan(0.05);
    expect(limit!.rates![1]).toBeGreaterThan(0.05);
    expect(limit!.missing).toBeGreaterThan(0);
  });

  it("tunes on its own pictures: says what it found, changes only what is better, and undoes by rollback", async () => {
    // Cosine of the raw pictures is blind to nothing here, so the decision at hand stays.
    const recognizer = await redAndGreen();
    const kept = await recognizer.tune({ who: "test" });
    expect(kept.report).toMatchObject({ pictures: 20, classes: 2 });
    expect(kept.report.predicted.head!.right).toMatchObject({ hits: 20, of: 20 });
    expect(recognizer.revision.number).toBe(
      JSON.stringify(kept.chosen) === JSON.stringify(recognizer.decision) ? 2 : 3,
    );

    const dry = await recognizer.tune({ apply: false, views: ["dihedral"] });
    expect(dry.report.summary).toMatch(/20/);
    expect(recognizer.samples.every(({ embeddings }) => embeddings.length === 1)).toBe(true);
  });
});
