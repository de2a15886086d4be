import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type LearnEncoderOptions, learnEncoder } from "../src/learning/index.ts";
import { type Encoder, encoderOf, openEncoder, readBundle, writeBundle } from "../src/models/index.ts";
import {
  isWorse,
  makeCandidate,
  promoteCandidate,
  Recognizer,
  type Solver,
  tryDecision,
  tuneDecision,
} from "../src/recognizer/index.ts";
import { type GalleryStore, openStore } from "../src/store/index.ts";
import { blue, type Color, green, picture, red } from "./server-help.ts";
import { tinyBundle } from "./support/onnx-encoder.ts";

/** An encoder that is trained on a gallery's pictures in a process of its own, and what its candidate is held to. */

const colors: Readonly<Record<string, Color>> = { red, green, blue };
const solver: Solver = { tune: async (it) => tuneDecision(it), try: async (it) => tryDecision(it) };
let folder: string;
let store: GalleryStore;
let encoder: Encoder;
let recognizer: Recognizer;
let options: LearnEncoderOptions;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-learning-"));
  const model = join(folder, "tiny.onnx");
  await writeBundle(tinyBundle(), model);
  encoder = await encoderOf(tinyBundle());
  store = await openStore("memory:");
  recognizer = await Recognizer.open({ store, model: encoder, gallery: "line-1" });
  await enroll(recognizer, 8, 0);
  const learned = join(folder, "learned");
  options = {
    ...{ store, gallery: "line-1", encoder, model, folder: learned, steps: 4 },
    sources: { cache: join(folder, "none"), mirror: null, learned },
  };
});
afterEach(async () => {
  await recognizer.close();
  await encoder.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

async function enroll(into: Recognizer, n: number, from: number): Promise<void> {
  for (const [label, color] of Object.entries(colors)) {
    const pictures = Array.from({ length: n }, (_, i) => picture(color, from + i, "png"));
    await into.enroll(label, await Promise.all(pictures));
  }
}
const there = (): Promise<string[]> => readdir(options.folder).catch(() => []);

describe("an encoder trained on a gallery", () => {
  it("is a bundle of its own that says what it was trained on; equal seeds make equal ones", async () => {
    const steps: number[] = [];
    const made = await learnEncoder({ ...options, onProgress: ({ done }) => steps.push(done) });
    expect(made).toMatchObject({ made: true, pictures: 18, keptBack: 6 });
    expect(steps).toEqual([1, 2, 3, 4]);
    expect(await there()).toEqual([made.name]);
    const { manifest } = await readBundle(made.path);
    expect(manifest).toMatchObject({
      embeddingDim: 4,
      preprocess: encoder.manifest.preprocess,
      decision: encoder.manifest.decision,
      provenance: { license: encoder.manifest.provenance.license },
      learned: {
        from: { name: "tiny", modelHash: encoder.modelHash },
        ...{ gallery: "line-1", revision: recognizer.revision.number, steps: 4, seed: 1 },
      },
    });
    expect(manifest.provenance.origin).toMatch(/^tiny \([0-9a-f]{12}\) trained further on gallery "line-1"/);
    expect(manifest.learned!.shown.length).toBe(18);

    const before = await encoder.embed([new Float32Array(192).fill(100)]);
    const opened = await openEncoder(made.path);
    const after = await opened.embed([new Float32Array(192).fill(100)]);
    await opened.close();
    expect(opened.modelHash).toBe(made.modelHash);
    expect(made.modelHash).not.toBe(encoder.modelHash);
    const moved = Math.max(...after.data.map((value, i) => Math.abs(value / before.data[i]! - 1)));
    expect(moved).toBeGreaterThan(0);
    expect(moved).toBeLessThan(0.05);

    expect(await learnEncoder(options)).toMatchObject({ made: false, modelHash: made.modelHash });
    expect(await learnEncoder({ ...options, seed: 2 })).toMatchObject({ made: true });
    expect((await there()).length).toBe(2);
  }, 180_000);

  it("is compared by pictures that it was not trained on: those kept back, or those held out alone", async () => {
    const first = await openEncoder((await learnEncoder(options)).path);
    const parts = { store, gallery: "line-1", current: encoder, solver, wanted: { tune: false } };
    const { comparison, decision } = await makeCandidate({ ...parts, encoder: first });
    expect(comparison).toMatchObject({
      heldOut: null,
      leftOut: { pictures: 6, current: { right: { of: 6 } } },
    });
    expect(isWorse(comparison)).toBe(false);
    // The gallery's own decision goes along.
    expect(decision).toEqual(recognizer.decision);
    await first.close();

    const held = await Recognizer.open({ store, model: encoder, gallery: "line-1.holdout" });
    await enroll(held, 2, 40);
    await held.close();
    const made = await learnEncoder(options);
    expect(made).toMatchObject({ pictures: 24, keptBack: 0 });
    const second = await openEncoder(made.path);
    const both = await makeCandidate({ ...parts, encoder: second });
    expect(both.comparison).toMatchObject({ heldOut: { pictures: 6 }, leftOut: null });
    // Beside it, another candidate is not asked about those pictures either: the gallery's own encoder knows them.
    await promoteCandidate(store, "line-1", both, { who: "test" });
    await store.removeGallery("line-1.holdout");
    const again = await makeCandidate({ ...parts, current: second, encoder: second });
    expect(again.comparison).toEqual({ heldOut: null, leftOut: null });
    expect(isWorse(again.comparison)).toBeNull();
    await second.close();
  }, 180_000);

  it("is given up at once, leaving nothing", async () => {
    const ends = new AbortController();
    const learning = learnEncoder({
      ...{ ...options, steps: 1e6, signal: ends.signal },
      onProgress: ({ done }) => done === 2 && ends.abort(new Error("enough")),
    });
    await expect(learning).rejects.toThrow("enough");
    expect(await there()).toEqual([]);
  }, 180_000);

  it("needs pictures that were kept, enough of them, and the gallery's own model", async () => {
    await expect(
      learnEncoder({ ...options, encoder: { ...encoder, modelHash: "d".repeat(64) } }),
    ).rejects.toMatchObject({
      code: "MODEL_MISMATCH",
    });
    await expect(learnEncoder({ ...options, model: join(folder, "none") })).rejects.toMatchObject({
      code: "MODEL_NOT_FOUND",
    });
    const forgetful = await Recognizer.open({ store, model: encoder, gallery: "line-2", keep: "none" });
    await enroll(forgetful, 2, 0);
    await expect(learnEncoder({ ...options, gallery: "line-2" })).rejects.toMatchObject({
      code: "TOO_FEW_SAMPLES",
    });
    await enroll(forgetful, 4, 2);
    await expect(learnEncoder({ ...options, gallery: "line-2" })).rejects.toThrow(
      /a kept picture of every sample/,
    );
    await forgetful.close();
  }, 180_000);

  it("cannot be one whose weights no gradient reaches", async () => {
    const { manifest, model } = tinyBundle();
    const odd = { model, manifest: { ...manifest, pooling: "meanStd" as const, embeddingDim: 8 } };
    const path = join(folder, "odd.onnx");
    await writeBundle(odd, path);
    const other = await encoderOf(odd);
    await expect(learnEncoder({ ...options, model: path, encoder: other })).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
    });
    await other.close();
  }, 180_000);
});
