import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ErrorCode } from "../src/core/index.ts";
import type { DecisionSpec } from "../src/fewshot/types.ts";
import type { Backend } from "../src/store/backend.ts";
import { createStore } from "../src/store/create-store.ts";
import type { GallerySnapshot, GalleryStore, NewSample } from "../src/store/index.ts";

export const decision: DecisionSpec = {
  views: { support: [], query: [] },
  transform: { power: 0.5, normalize: true, center: "gallery" },
  head: { kind: "ridge", lambda: 0.5 },
  openSet: { falseRejectRate: 0.05 },
  ambiguity: { margin: 0.1 },
};

export const dim = 4;
export const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");

/** A sample whose embedding and content follow from `content`. */
export function sample(label: string, content: string, more: Partial<NewSample> = {}): NewSample {
  const bytes = createHash("sha256").update(content).digest();
  const view = (k: number): Float32Array =>
    Float32Array.from({ length: dim }, (_, i) => (bytes[i + k * dim]! - 128) / 7);
  return {
    label,
    embeddings: [view(0), view(1)],
    contentHash: hashOf(content),
    image: null,
    origin: `${content}.jpg`,
    time: 1_700_000_000_000,
    ...more,
  };
}

export const gallery = (name = "line", more: object = {}) => ({
  name,
  model: "net",
  modelHash: "m1",
  dim,
  decision,
  who: "anna",
  ...more,
});
export const by = { who: "anna", modelHash: "m1" };

/** What a reader of a snapshot can tell apart, without the ids. */
export const content = ({ modelHash, decision, samples }: GallerySnapshot) => ({
  modelHash,
  decision,
  samples: samples.map(({ id, ...rest }) => rest),
});

export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | "no error"> {
  return promise.then(
    () => "no error" as const,
    (error: { code: ErrorCode }) => error.code,
  );
}

/** What every driver must do. `open` opens a new, empty store. */
export function storeContract(name: string, open: () => Promise<GalleryStore>): void {
  describe(`the ${name} store`, () => {
    let store: GalleryStore;
    beforeEach(async () => {
      store = await open();
      await store.createGallery(gallery());
    });
    afterEach(() => store.close());
    const labels = async (revision?: number) =>
      (await store.snapshot("line", revision)).samples.map(({ label, origin }) => `${label}:${origin[0]}`);

    it("begins with an empty revision 0", async () => {
      const info = await store.gallery("line");
      expect(info).toMatchObject({
        name: "line",
        model: "net",
        dim,
        pending: 0,
        refresh: { kind: "immediate" },
      });
      expect(info.head).toMatchObject({ number: 0, parent: null, classes: 0, samples: 0, who: "anna" });
      expect((await store.snapshot("line")).samples).toEqual([]);
      expect(await store.head("line")).toBe(0);
      expect(await store.galleries()).toEqual([info]);
    });

    it("keeps all of a sample, in the order of enrollment", async () => {
      const image = { bytes: Uint8Array.of(1, 2, 0, 255), type: "image/png", whole: true };
      const samples = [sample("B", "1", { image }), sample("A", "2"), sample("B", "3")];
      const result = await store.addSamples("line", samples, by);
      expect(result).toMatchObject({ duplicates: [], conflicts: [], pending: 0, revision: { number: 1 } });
      expect(result.added.map(({ index }) => index)).toEqual([0, 1, 2]);
      const snapshot = await store.snapshot("line");
      expect(snapshot).toMatchObject({ gallery: "line", modelHash: "m1", dim, decision });
      expect(content(snapshot).samples).toEqual(
        samples.map(({ image: _, ...rest }) => ({ ...rest, who: "anna" })),
      );
      expect(snapshot.samples.map(({ id }) => id)).toEqual(result.added.map(({ id }) => id));
      const kept = await store.image("line", result.added[0]!.id);
      expect({ ...kept, bytes: [...kept!.bytes] }).toEqual({ ...image, bytes: [1, 2, 0, 255] });
      expect(await store.image("line", result.added[1]!.id)).toBeNull();
      expect(await store.image("line", "nothing")).toBeNull();
    });

    it("skips a content that its class has, and refuses one that another class has, each for itself", async () => {
      await store.addSamples("line", [sample("A", "1")], by);
      const mixed = [
        sample("A", "1"),
        sample("B", "1"),
        sample("B", "2"),
        sample("B", "2"),
        sample("C", "2"),
      ];
      const result = await store.addSamples("line", mixed, by);
      expect(result.added.map(({ index }) => index)).toEqual([2]);
      expect(result.duplicates).toEqual([0, 3]);
      expect(result.conflicts).toEqual([
        { index: 1, label: "A" },
        { index: 4, label: "B" },
      ]);
      const allowed = await store.addSamples("line", mixed, { ...by, allowOtherClass: true });
      expect(allowed.added.map(({ index }) => index)).toEqual([1, 4]);
      expect(await labels()).toEqual(["A:1", "B:2", "B:1", "C:2"]);
    });

    it("names a content by its hash, whatever way led to it", async () => {
      const samples = ["1", "2", "3", "4"].map((text) => sample(text < "3" ? "A" : "B", text));
      await store.createGallery(gallery("other"));
      const one = (await store.addSamples("line", samples, by)).revision;
      let two = one;
      for (const backwards of samples.toReversed())
        two = (await store.addSamples("other", [{ ...backwards, origin: "x", time: 1 }], by)).revision;
      expect([two.number, two.hash]).toEqual([4, one.hash]);
      expect((await store.renameClass("other", "B", "C", by)).hash).not.toBe(one.hash);
      await store.renameClass("other", "A", "B", by);
      expect((await store.renameClass("other", "C", "A", by)).hash).not.toBe(one.hash);
    });

    it("publishes nothing when nothing is added", async () => {
      const first = await store.addSamples("line", [sample("A", "1")], by);
      const second = await store.addSamples("line", [sample("A", "1")], by);
      expect(second.revision).toEqual(first.revision);
      expect((await store.addSamples("line", [], by)).revision.number).toBe(1);
    });

    it("takes names of any script, with slashes, and as one whatever their Unicode form", async () => {
      const names = ["M8/20 螺丝", "🔩", "..", "Kühlkörper", "__proto__"];
      await store.addSamples(
        "line",
        names.map((label, i) => sample(label, `${i}`)),
        by,
      );
      expect((await store.snapshot("line")).samples.map(({ label }) => label)).toEqual(names);
      expect(
        (await store.addSamples("line", [sample("Ku\u0308hlko\u0308rper", "3")], by)).duplicates,
      ).toEqual([0]);
      expect((await store.removeClass("line", " 🔩", by)).classes).toBe(4);
    });

    it("refuses wrong samples as a whole call, with a code", async () => {
      const good = sample("A", "1");
      const wrong: [Partial<NewSample>, ErrorCode][] = [
        [{ label: "" }, "LABEL_INVALID"],
        [{ label: "x".repeat(10_000) }, "LABEL_INVALID"],
        [{ label: "a\nb" }, "LABEL_INVALID"],
        [{ embeddings: [] }, "INVALID_ARGUMENT"],
        [{ embeddings: [new Float32Array(3)] }, "DIMENSION_MISMATCH"],
        [{ embeddings: [Float32Array.of(0, Number.NaN, 0, 0)] }, "NOT_FINITE"],
        [{ contentHash: "abc" }, "INVALID_ARGUMENT"],
        [{ time: -1 }, "INVALID_ARGUMENT"],
        [{ image: { bytes: new Uint8Array(0), type: "image/png", whole: true } }, "INVALID_ARGUMENT"],
        [{ image: { bytes: Uint8Array.of(1), type: "png", whole: true } }, "INVALID_ARGUMENT"],
      ];
      for (const [part, code] of wrong)
        expect(await codeOf(store.addSamples("line", [good, sample("B", "2", part)], by))).toBe(code);
      expect(await codeOf(store.addSamples("line", [good], { ...by, modelHash: "m2" }))).toBe(
        "MODEL_MISMATCH",
      );
      expect(await store.head("line")).toBe(0);
    });

    it("renames, merges and removes classes, and single samples", async () => {
      await store.addSamples("line", [sample("A", "1"), sample("B", "2"), sample("C", "3")], by);
      await store.addSamples("line", [sample("B", "1"), sample("A", "4")], { ...by, allowOtherClass: true });
      expect(await store.renameClass("line", "C", "D", { who: "bo", reason: "typo" })).toMatchObject({
        number: 3,
        who: "bo",
        reason: "typo",
      });
      expect(await codeOf(store.renameClass("line", "A", "B", by))).toBe("CLASS_EXISTS");
      expect(await codeOf(store.renameClass("line", "C", "E", by))).toBe("CLASS_NOT_FOUND");
      expect(await labels()).toEqual(["A:1", "B:2", "D:3", "B:1", "A:4"]);
      await store.mergeClasses("line", ["A", "D", "B"], "B", by);
      expect(await labels()).toEqual(["B:2", "B:3", "B:1", "B:4"]);
      expect(await codeOf(store.mergeClasses("line", ["B"], "B", by))).toBe("INVALID_ARGUMENT");
      expect(await codeOf(store.mergeClasses("line", ["A"], "B", by))).toBe("CLASS_NOT_FOUND");
      const [first, , third] = (await store.snapshot("line")).samples;
      expect(await codeOf(store.removeSamples("line", [first!.id, "99-aaaaaaaa"], by))).toBe(
        "INVALID_ARGUMENT",
      );
      expect((await store.removeSamples("line", [first!.id, third!.id], by)).samples).toBe(2);
      expect(await labels()).toEqual(["B:3", "B:4"]);
      expect(await store.removeClass("line", "B", by)).toMatchObject({ classes: 0, samples: 0 });
      expect(await codeOf(store.removeClass("line", "B", by))).toBe("CLASS_NOT_FOUND");
      expect(await labels(3)).toEqual(["A:1", "B:2", "D:3", "B:1", "A:4"]);
    });

    it("rolls back to any revision, and undoes that too", async () => {
      const one = (await store.addSamples("line", [sample("A", "1"), sample("B", "2")], by)).revision;
      const two = await store.renameClass("line", "A", "C", by);
      const three = await store.setDecision("line", { ...decision, ambiguity: { margin: 0.2 } }, by);
      const four = await store.rollback("line", 1, by);
      expect(four).toMatchObject({ number: 4, parent: 3, hash: one.hash });
      expect(content(await store.snapshot("line"))).toEqual(content(await store.snapshot("line", 1)));
      const five = await store.rollback("line", 3, by);
      expect(five.hash).toBe(three.hash);
      expect(new Set([one.hash, two.hash, three.hash]).size).toBe(3);
      expect((await store.snapshot("line")).decision.ambiguity.margin).toBe(0.2);
      expect((await store.history("line")).map(({ number }) => number)).toEqual([5, 4, 3, 2, 1, 0]);
      expect((await store.history("line", 2)).map(({ number }) => number)).toEqual([5, 4]);
      for (const wrong of [6, -1, 1.5, Number.NaN]) {
        expect(await codeOf(store.rollback("line", wrong, by))).toBe("REVISION_NOT_FOUND");
        expect(await codeOf(store.snapshot("line", wrong))).toBe("REVISION_NOT_FOUND");
      }
      // What was removed and enrolled again is a new sample, and the old revision still has the old one.
      await store.rollback("line", 0, by);
      await store.addSamples("line", [sample("A", "1"), sample("B", "2")], by);
      expect((await store.gallery("line")).head.hash).toBe(one.hash);
      expect((await store.rollback("line", 1, by)).hash).toBe(one.hash);
    });

    it("tells two revisions apart", async () => {
      const { added } = await store.addSamples("line", [sample("A", "1"), sample("B", "2")], by);
      await store.renameClass("line", "A", "C", by);
      const more = await store.addSamples("line", [sample("D", "3")], by);
      await store.removeClass("line", "B", by);
      const [a, b, d] = [added[0]!.id, added[1]!.id, more.added[0]!.id];
      expect(await store.diff("line", 1, 4)).toEqual({
        from: 1,
        to: 4,
        added: [{ id: d, label: "D" }],
        removed: [{ id: b, label: "B" }],
        relabelled: [{ id: a, from: "A", to: "C" }],
        decisionChanged: false,
        modelChanged: false,
      });
      expect(await store.diff("line", 4, 1)).toMatchObject({
        added: [{ id: b, label: "B" }],
        removed: [{ id: d, label: "D" }],
        relabelled: [{ id: a, from: "C", to: "A" }],
      });
    });

    it("lets samples wait as the refresh policy says", async () => {
      await store.setRefresh("line", { kind: "after", samples: 3 });
      const waiting = await store.addSamples("line", [sample("A", "1"), sample("A", "2")], by);
      expect(waiting).toMatchObject({ pending: 2, revision: { number: 0 } });
      expect(await labels()).toEqual([]);
      const again = await store.addSamples("line", [sample("A", "1"), sample("B", "2")], by);
      expect(again).toMatchObject({ duplicates: [0], conflicts: [{ index: 1, label: "A" }], pending: 2 });
      const third = await store.addSamples("line", [sample("B", "3")], by);
      expect(third).toMatchObject({ pending: 0, revision: { number: 1, samples: 3, classes: 2 } });

      await store.setRefresh("line", { kind: "manual" });
      for (const text of ["4", "5", "6", "7"]) await store.addSamples("line", [sample("C", text)], by);
      expect((await store.gallery("line")).pending).toBe(4);
      expect(await store.publish("line", by)).toMatchObject({ number: 2, samples: 7 });
      expect((await store.publish("line", by)).number).toBe(2);
    });

    it("takes pending samples along with their class", async () => {
      await store.addSamples("line", [sample("A", "1"), sample("B", "2")], by);
      await store.setRefresh("line", { kind: "manual" });
      await store.addSamples("line", [sample("A", "3"), sample("C", "4"), sample("D", "5")], by);
      await store.addSamples("line", [sample("D", "1")], { ...by, allowOtherClass: true });
      expect(await codeOf(store.renameClass("line", "A", "C", by))).toBe("CLASS_EXISTS");
      await store.renameClass("line", "A", "E", by);
      expect((await store.renameClass("line", "C", "F", by)).number).toBe(2);
      // E holds content 1 already, so D's pending copy of it goes.
      expect((await store.mergeClasses("line", ["D"], "E", by)).number).toBe(2);
      expect((await store.removeClass("line", "F", by)).number).toBe(2);
      expect((await store.gallery("line")).pending).toBe(2);
      await store.publish("line", by);
      expect(await labels()).toEqual(["E:1", "B:2", "E:3", "E:5"]);
    });

    it("does not publish twice what a rollback brought back meanwhile", async () => {
      await store.addSamples("line", [sample("A", "1")], by);
      await store.rollback("line", 0, by);
      await store.setRefresh("line", { kind: "manual" });
      await store.addSamples("line", [sample("A", "1")], by);
      await store.rollback("line", 1, by);
      expect((await store.publish("line", by)).number).toBe(3);
      expect((await store.gallery("line")).pending).toBe(0);
      expect(await labels()).toEqual(["A:1"]);
    });

    it("replaces all embeddings at once, and finds the old ones after a rollback", async () => {
      const { added } = await store.addSamples("line", [sample("A", "1"), sample("B", "2")], by);
      const old = await store.snapshot("line");
      const embeddings = new Map(added.map(({ id, index }) => [id, [Float32Array.of(index, 2, 3)]]));
      const replacement = { model: "other", modelHash: "m2", dim: 3, embeddings };
      const first = new Map([...embeddings].slice(0, 1));
      expect(await codeOf(store.replaceEmbeddings("line", { ...replacement, embeddings: first }, by))).toBe(
        "INVALID_ARGUMENT",
      );
      expect(await codeOf(store.replaceEmbeddings("line", { ...replacement, dim: 4 }, by))).toBe(
        "DIMENSION_MISMATCH",
      );
      expect((await store.replaceEmbeddings("line", replacement, by)).number).toBe(2);
      expect(await store.gallery("line")).toMatchObject({ model: "other", modelHash: "m2", dim: 3 });
      expect((await store.snapshot("line")).samples.map((one) => one.embeddings)).toEqual([
        ...embeddings.values(),
      ]);
      expect(await codeOf(store.addSamples("line", [sample("A", "3")], by))).toBe("MODEL_MISMATCH");
      expect((await store.classStatistics("line"))[1]).toEqual({
        label: "B",
        n: 1,
        sum: Float64Array.of(1, 2, 3),
        sumOfSquares: Float64Array.of(1, 4, 9),
      });
      expect((await store.diff("line", 1, 2)).modelChanged).toBe(true);

      await store.setRefresh("line", { kind: "manual" });
      const late = sample("B", "9", { embeddings: [Float32Array.of(7, 7, 7)] });
      await store.addSamples("line", [late], { ...by, modelHash: "m2" });
      expect(await codeOf(store.rollback("line", 1, by))).toBe("MODEL_MISMATCH");
      expect(await codeOf(store.replaceEmbeddings("line", replacement, by))).toBe("MODEL_MISMATCH");
      await store.publish("line", by);
      expect((await store.rollback("line", 1, by)).hash).toBe(old.revision.hash);
      expect(content(await store.snapshot("line"))).toEqual(content(old));
      expect(await store.gallery("line")).toMatchObject({ model: "net", modelHash: "m1", dim });
    });

    it("keeps a whole picture rather than a thumbnail of the same content", async () => {
      const kept = (whole: boolean, byte: number) => ({
        image: { bytes: Uint8Array.of(byte), type: "image/jpeg", whole },
      });
      const { added } = await store.addSamples("line", [sample("A", "1", kept(false, 1))], by);
      await store.addSamples("line", [sample("B", "1", kept(true, 2))], { ...by, allowOtherClass: true });
      await store.addSamples("line", [sample("C", "1", kept(false, 3))], { ...by, allowOtherClass: true });
      const image = await store.image("line", added[0]!.id);
      expect([image!.whole, ...image!.bytes]).toEqual([true, 2]);
    });

    it("keeps its own copy of what it is given, and gives copies away", async () => {
      const given = sample("A", "1");
      await store.addSamples("line", [given], by);
      given.embeddings[0]!.fill(9);
      (await store.snapshot("line")).samples[0]!.embeddings[0]!.fill(8);
      (await store.classStatistics("line"))[0]!.sum.fill(7);
      expect((await store.snapshot("line")).samples[0]!.embeddings).toEqual(sample("A", "1").embeddings);
      expect((await store.classStatistics("line"))[0]!.sum).toEqual(
        Float64Array.from(sample("A", "1").embeddings[0]!),
      );
    });

    it("keeps galleries apart", async () => {
      await store.createGallery(gallery("other", { modelHash: "m9", dim: 2 }));
      await store.addSamples("line", [sample("A", "1")], by);
      const two = { embeddings: [Float32Array.of(1, 2)] };
      const result = await store.addSamples("other", [sample("B", "1", two)], { ...by, modelHash: "m9" });
      expect(result.conflicts).toEqual([]);
      expect((await store.galleries()).map(({ name, head }) => [name, head.samples])).toEqual([
        ["line", 1],
        ["other", 1],
      ]);
      await store.removeGallery("line");
      expect(await codeOf(store.snapshot("line"))).toBe("GALLERY_NOT_FOUND");
      expect(await codeOf(store.head("line"))).toBe("GALLERY_NOT_FOUND");
      expect((await store.snapshot("other")).samples).toHaveLength(1);
      expect((await store.createGallery(gallery())).head.number).toBe(0);
      expect((await store.snapshot("line")).samples).toEqual([]);
    });

    it("refuses wrong galleries with a code", async () => {
      expect(await codeOf(store.createGallery(gallery()))).toBe("GALLERY_EXISTS");
      for (const name of ["", ".hidden", "a/b", "ü", "x".repeat(65)])
        expect(await codeOf(store.createGallery(gallery(name)))).toBe("INVALID_ARGUMENT");
      for (const part of [
        { dim: 0 },
        { dim: 1.5 },
        { modelHash: "" },
        { refresh: { kind: "after", samples: 0 } },
        { decision: {} },
        { decision: { ...decision, head: { kind: "oracle" } } },
        { decision: { ...decision, openSet: { falseRejectRate: 1 } } },
      ])
        expect(await codeOf(store.createGallery(gallery("new", part)))).toBe("INVALID_ARGUMENT");
      expect(await store.galleries()).toHaveLength(1);
    });

    it("tells who listens of every gallery that changes, and nobody who listens no longer", async () => {
      const heard = new Set<string | null>();
      const others: (string | null)[] = [];
      const end = store.subscribe((name) => heard.add(name));
      store.subscribe((name) => others.push(name));
      const told = async (name: string, change: Promise<unknown>): Promise<void> => {
        heard.clear();
        await change;
        await expect.poll(() => heard, { interval: 2, timeout: 5000 }).toContain(name);
      };
      // A server tells once that it tells; what is changed before that is covered by it.
      await store.setRefresh("line", { kind: "immediate" });
      await expect.poll(() => heard.size).toBeGreaterThan(0);
      await told("line", store.addSamples("line", [sample("A", "1")], by));
      await told("line", store.renameClass("line", "A", "B", by));
      await told("other", store.createGallery(gallery("other")));
      await told("line", store.rollback("line", 0, by));
      await told("other", store.removeGallery("other"));
      end();
      heard.clear();
      const before = others.length;
      await store.addSamples("line", [sample("A", "2")], by);
      await expect.poll(() => others.length).toBeGreaterThan(before);
      expect([...heard]).toEqual([]);
    });

    it("keeps a change whole on a machine so slow that each part of it gives way to other work", async () => {
      // A clock that goes on by 10 ms with every look at it: whatever paces itself pauses each time.
      let clock = performance.now();
      const slow = vi.spyOn(performance, "now").mockImplementation(() => {
        clock += 10;
        return clock;
      });
      try {
        await store.addSamples("line", [sample("A", "1"), sample("B", "2"), sample("C", "3")], by);
        const { samples } = await store.snapshot("line");
        const embeddings = new Map(samples.map((one) => [one.id, one.embeddings]));
        const again = { model: "net 2", modelHash: "m2", dim, embeddings };
        expect((await store.replaceEmbeddings("line", again, by)).number).toBe(2);
        expect(await labels()).toEqual(["A:1", "B:2", "C:3"]);
      } finally {
        slow.mockRestore();
      }
    });

    it("keeps API keys", async () => {
      const key = { id: "k1", name: "line 3", hash: hashOf("secret"), scopes: ["read"], created: 5 } as const;
      await store.putApiKey(key);
      await store.putApiKey({ ...key, id: "k0", scopes: ["recognize", "admin"] });
      await store.putApiKey({ ...key, name: "line 4" });
      expect((await store.apiKeys()).map(({ id, name }) => [id, name])).toEqual([
        ["k0", "line 3"],
        ["k1", "line 4"],
      ]);
      expect(await store.removeApiKey("k1")).toBe(true);
      expect(await store.removeApiKey("k1")).toBe(false);
      expect(await codeOf(store.putApiKey({ ...key, hash: "secret" }))).toBe("INVALID_ARGUMENT");
      expect(await codeOf(store.putApiKey({ ...key, scopes: [] }))).toBe("INVALID_ARGUMENT");
    });

    it("answers calls made at once as if they came one after the other", async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => store.addSamples("line", [sample("A", `${i}`)], by)),
      );
      expect(results.map(({ revision }) => revision.number)).toEqual(results.map((_, i) => i + 1));
      expect((await store.snapshot("line")).samples).toHaveLength(20);
    });
  });
}

/** What a driver must keep to beneath the store: a change is whole or not there. */
export function changesAreWhole(name: string, open: () => Promise<Backend>): void {
  it(`nothing remains of a change that fails half-way in the ${name} store`, async () => {
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
}
