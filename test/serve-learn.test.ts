import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Encoder, encoderOf, writeBundle } from "../src/models/index.ts";
import { buildServer, type LearningOptions } from "../src/server/index.ts";
import type { CandidateReply } from "../src/server/protocol-candidate.ts";
import { openPool } from "../src/serving/index.ts";
import { type GalleryStore, openStore } from "../src/store/index.ts";
import { blue, type Color, enroll, green, picture, recognize, red, request } from "./server-help.ts";
import { tinyBundle } from "./support/onnx-encoder.ts";

/** A server that trains a gallery's encoder beside the line, and finds it again when it is started anew. */

const colors: Readonly<Record<string, Color>> = { red, green, blue };
const path = "/v1/galleries/line-1/candidate";
let folder: string;
let store: GalleryStore;
let encoder: Encoder;
let app: FastifyInstance;
let learning: LearningOptions;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-serve-learn-"));
  const model = join(folder, "tiny.onnx");
  await writeBundle(tinyBundle(), model);
  const learned = join(folder, "learned");
  learning = {
    folder: learned,
    sources: { cache: join(folder, "none"), mirror: null, learned },
    modelOf: (name) => (name === "tiny" ? model : name),
    open: (bundle) => openPool(bundle, { workers: 1 }),
  };
  encoder = await encoderOf(tinyBundle());
  store = await openStore("memory:");
  app = serve();
  await request(app, "POST", "/v1/galleries", { name: "line-1" });
  for (const [label, color] of Object.entries(colors))
    for (let seed = 0; seed < 6; seed++) await enroll(app, label, await picture(color, seed));
});
afterEach(async () => {
  await app.close();
  await encoder.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

const serve = (options: { learning?: LearningOptions } = { learning }): FastifyInstance =>
  buildServer({ store, encoder, version: "0.0.0-test", limits: { requestsPerMinute: 1e9 }, ...options });
const start = (body: object) => request(app, "POST", path, body);
const state = async (): Promise<CandidateReply> => (await request(app, "GET", path)).json<CandidateReply>();
const until = (...phases: readonly CandidateReply["phase"][]): Promise<CandidateReply> =>
  vi.waitFor(
    async () => {
      const now = await state();
      expect([...phases, "failed"]).toContain(now.phase);
      return now;
    },
    { timeout: 100_000, interval: 20 },
  );
const learnedNames = (): Promise<string[]> => readdir(learning.folder).catch(() => []);

describe("a candidate whose encoder is trained", () => {
  it("comes while frames flow, is promoted, is there after a restart, and is rolled back", async () => {
    let going = true;
    const counts = { frames: 0, failed: 0 };
    const line = (async () => {
      for (let i = 0; going; i++) {
        const reply = await recognize(app, await picture(Object.values(colors)[i % 3]!, i % 6));
        counts.frames++;
        if (reply.statusCode !== 200) counts.failed++;
        // Training has what the line leaves.
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
    })();
    const started = await start({ encoder: { steps: 30, seed: 3 }, tune: false });
    expect(started.statusCode).toBe(202);
    expect(started.json()).toMatchObject({ phase: "training", model: "tiny", progress: null, learned: null });
    const training = await vi.waitFor(
      async () => {
        const now = await state();
        expect(now.loss).not.toBeNull();
        return now;
      },
      { timeout: 100_000, interval: 5 },
    );
    expect(training.progress?.of ?? 30).toBe(30);
    expect((await start({})).json().error.code).toBe("CANDIDATE_EXISTS");
    const candidate = await until("shadow");
    expect(candidate).toMatchObject({
      ...{ phase: "shadow", worse: false, progress: null },
      learned: { steps: 30, seed: 3, pictures: 15, keptBack: 3 },
      comparison: { heldOut: null, leftOut: { pictures: 3 } },
    });
    expect(candidate.model).toMatch(/^tiny-learned-[0-9a-f]{12}$/);
    expect(await learnedNames()).toEqual([candidate.model]);
    expect((await request(app, "POST", `${path}/promote`)).statusCode).toBe(200);
    const asked = await recognize(app, await picture(red, 2));
    expect(asked.json()).toMatchObject({ label: "red", model: candidate.model });
    going = false;
    await line;
    expect(counts.failed).toBe(0);
    expect(counts.frames).toBeGreaterThan(5);

    // Tuning its decision alone needs no other model.
    await start({ falseRejectRate: 0.2, tune: false });
    expect(await until("shadow")).toMatchObject({ model: candidate.model, learned: null });
    await app.close();
    expect(await learnedNames()).toEqual([candidate.model]);

    app = serve({});
    const without = await recognize(app, await picture(red, 2));
    expect(without.json().error).toMatchObject({
      code: "MODEL_MISMATCH",
      todo: expect.stringContaining("--learned"),
    });
    await app.close();
    app = serve();
    expect((await recognize(app, await picture(red, 2))).json()).toMatchObject({
      label: "red",
      model: candidate.model,
    });
    await request(app, "POST", "/v1/galleries/line-1/rollback", { to: candidate.revision! });
    expect((await recognize(app, await picture(red, 2))).json()).toMatchObject({
      label: "red",
      model: "tiny",
    });
  }, 240_000);

  it("is given up while it is trained or afterwards, and its bundle goes with it", async () => {
    await start({ encoder: { steps: 10_000 } });
    await vi.waitFor(async () => expect((await state()).loss).not.toBeNull(), 100_000);
    expect((await request(app, "DELETE", path)).statusCode).toBe(204);
    expect(await learnedNames()).toEqual([]);
    await start({ encoder: { steps: 2 }, tune: false });
    await until("shadow");
    expect((await learnedNames()).length).toBe(1);
    await request(app, "DELETE", path);
    expect(await learnedNames()).toEqual([]);
  }, 240_000);

  it("is one at a time, and says why it cannot be", async () => {
    expect((await start({ encoder: {}, model: "tiny" })).json().error.code).toBe("INVALID_ARGUMENT");
    expect((await start({ encoder: { steps: 0 } })).statusCode).toBe(400);
    await request(app, "POST", "/v1/galleries", { name: "few" });
    for (const [label, color] of Object.entries(colors))
      await enroll(app, label, await picture(color, 1), {}, "few");
    const few = "/v1/galleries/few/candidate";
    await start({ encoder: { steps: 10_000 } });
    expect((await request(app, "POST", few, { encoder: {} })).json().error.code).toBe("OVERLOADED");
    await request(app, "DELETE", path);
    await request(app, "POST", few, { encoder: {} });
    await vi.waitFor(async () => {
      const now = (await request(app, "GET", few)).json<CandidateReply>();
      expect(now).toMatchObject({ phase: "failed", error: { code: "TOO_FEW_SAMPLES" } });
      expect(now.error!.expected).toMatch(/4 pictures/);
    }, 60_000);
    await app.close();
    app = serve({});
    expect((await start({ encoder: {} })).json().error.expected).toBe("a server that trains encoders");
  }, 240_000);
});
