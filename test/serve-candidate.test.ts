import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import sharp from "sharp";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Encoder } from "../src/models/index.ts";
import { writeBundle } from "../src/models/index.ts";
import { buildServer, type ServerOptions } from "../src/server/index.ts";
import type { CandidateReply } from "../src/server/protocol-candidate.ts";
import { openPool } from "../src/serving/index.ts";
import { type GalleryStore, openStore } from "../src/store/index.ts";
import {
  blue,
  type Color,
  cellMeans,
  enroll,
  green,
  picture,
  recognize,
  red,
  request,
  type TestEncoder,
} from "./server-help.ts";
import { tinyBundle } from "./support/onnx-encoder.ts";

const colors: Readonly<Record<string, Color>> = { red, green, blue };
const path = "/v1/galleries/line-1/candidate";

/** Another model: as `cellMeans`, with its numbers in the opposite order. */
function reversed(): TestEncoder & { closed: boolean } {
  const inner = cellMeans();
  const other = Object.assign(inner, {
    manifest: { ...inner.manifest, name: "reversed" },
    modelHash: "d".repeat(64),
    closed: false,
    close: async () => {
      other.closed = true;
    },
  });
  const embed = inner.embed.bind(inner);
  other.embed = async (inputs) => {
    if (other.closed) throw new Error("asked after it was closed");
    const rows = await embed(inputs);
    return {
      ...rows,
      data: rows.data.map((_, i) => rows.data[i - (i % rows.dim) + rows.dim - 1 - (i % rows.dim)]!),
    };
  };
  return other;
}

let store: GalleryStore;
let app: FastifyInstance;
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  await app.close();
  await store.close();
  for (const close of closing.splice(0)) await close();
});

async function start(encoder: Encoder, options: Partial<ServerOptions> = {}): Promise<void> {
  store = await openStore("memory:");
  app = buildServer({
    ...{ store, encoder, version: "0.0.0-test", limits: { requestsPerMinute: 1e9 } },
    ...options,
  });
  expect((await request(app, "POST", "/v1/galleries", { name: "line-1" })).statusCode).toBe(201);
  for (const [label, color] of Object.entries(colors))
    for (let seed = 0; seed < 4; seed++)
      expect((await enroll(app, label, await picture(color, seed))).statusCode).toBe(201);
}

const state = async (): Promise<CandidateReply> => (await request(app, "GET", path)).json<CandidateReply>();
const ready = (): Promise<CandidateReply> =>
  vi.waitFor(async () => {
    const now = await state();
    expect(["shadow", "failed"]).toContain(now.phase);
    return now;
  }, 30_000);

/** Frames of all colours, some at a time, until it is told to stop; counts what is not answered right. */
function flow(senders: number) {
  let going = true;
  const counts = { frames: 0, failed: 0, wrong: 0 };
  const models = new Set<string>();
  const sent = Promise.all(
    Array.from({ length: senders }, async (_, sender) => {
      for (let i = sender; going; i++) {
        const label = Object.keys(colors)[i % 3]!;
        const reply = await recognize(app, await picture(colors[label]!, i % 4));
        counts.frames++;
        if (reply.statusCode !== 200) counts.failed++;
        else if (reply.json().label !== label) counts.wrong++;
        else models.add(reply.json().model);
      }
    }),
  );
  return {
    counts,
    models,
    async stop() {
      going = false;
      await sent;
      return counts;
    },
  };
}

describe("a candidate beside a gallery", () => {
  it("of another model is loaded, shadowed, promoted and rolled back while frames and enrollments flow", async () => {
    const others: ReturnType<typeof reversed>[] = [];
    const open = async (): Promise<Encoder> => {
      const other = reversed();
      others.push(other);
      return other;
    };
    await start(cellMeans(), { models: new Map([["reversed", open]]) });
    await request(app, "POST", "/v1/galleries", { name: "line-1.holdout" });
    for (const [label, color] of Object.entries(colors))
      expect((await enroll(app, label, await picture(color, 9), {}, "line-1.holdout")).statusCode).toBe(201);

    const line = flow(4);
    const started = await request(app, "POST", path, { model: "reversed", tune: false });
    expect(started.statusCode).toBe(202);
    expect((await request(app, "POST", path, {})).json().error.code).toBe("CANDIDATE_EXISTS");
    const candidate = await ready();
    expect(candidate).toMatchObject({ phase: "shadow", model: "reversed", worse: false, revision: 12 });
    expect(candidate.comparison!.heldOut).toMatchObject({
      ...{ pictures: 3, change: { lost: 0, gained: 0 } },
      ...{ current: { right: { hits: 3 } }, candidate: { right: { hits: 3 } } },
    });
    await vi.waitFor(async () => expect((await state()).shadow!.frames).toBeGreaterThan(3), 20_000);
    expect((await state()).shadow).toMatchObject({ different: 0, failed: 0 });

    // Classes come all the while: none is lost, whichever model embeds it.
    const labels = Array.from({ length: 12 }, (_, i) => `new ${i}`);
    const enrolling = (async () => {
      for (const [i, label] of labels.entries()) {
        const image = await picture([150 + 8 * i, 140, 10 * i], i);
        expect((await enroll(app, label, image)).statusCode).toBe(201);
      }
    })();
    const promoted = await request(app, "POST", `${path}/promote?reason=better`);
    expect(promoted.statusCode).toBe(200);
    expect(promoted.json()).toMatchObject({ reason: "better" });
    await enrolling;
    expect((await request(app, "GET", path)).json().error.code).toBe("CANDIDATE_NOT_FOUND");
    expect((await request(app, "GET", "/v1/galleries/line-1")).json()).toMatchObject({ model: "reversed" });
    expect((await store.gallery("line-1.holdout")).model).toBe("reversed");
    expect((await recognize(app, await picture(red, 1))).json()).toMatchObject({
      label: "red",
      model: "reversed",
    });
    const there = await request(app, "GET", "/v1/galleries/line-1/classes");
    expect(there.json().classes.length).toBe(3 + labels.length);

    const back = await request(app, "POST", "/v1/galleries/line-1/rollback", { to: candidate.revision! });
    expect(back.statusCode).toBe(200);
    expect((await recognize(app, await picture(red, 1))).json()).toMatchObject({
      label: "red",
      model: "cell-means",
    });
    // The held-out pictures went along, and go back by themselves as little as any other gallery.
    await request(app, "POST", "/v1/galleries/line-1.holdout/rollback", { to: 3 });
    const counts = await line.stop();
    expect(counts).toMatchObject({ failed: 0, wrong: 0 });
    expect(counts.frames).toBeGreaterThan(20);
    expect([...line.models].sort()).toEqual(["cell-means", "reversed"]);
    // Drained, then closed; one was opened for all of it.
    await vi.waitFor(() => expect(others.map(({ closed }) => closed)).toEqual([true]));
  }, 90_000);

  it("of another decision is counted where it differs, and changes nothing until it is promoted", async () => {
    await start(cellMeans());
    const before = (await recognize(app, await picture(red, 30))).json();
    // Nearly every frame may be called unknown.
    await request(app, "POST", path, { tune: false, falseRejectRate: 0.95 });
    expect(await ready()).toMatchObject({
      phase: "shadow",
      summary: null,
      decision: { openSet: { falseRejectRate: 0.95 } },
    });
    const shown = await vi.waitFor(async () => {
      const { ms: _, ...answer } = (await recognize(app, await picture(red, 30))).json();
      const { ms: __, ...same } = before;
      expect(answer).toEqual(same);
      const { shadow } = await state();
      expect(shadow!.different).toBeGreaterThan(0);
      return shadow!;
    }, 20_000);
    expect(shown.changes).toMatchObject([{ from: "known", to: "unknown" }]);
    const [difference] = shown.differences;
    expect(difference).toMatchObject({
      current: { kind: "known", nearest: "red" },
      candidate: { kind: "unknown" },
    });
    const frame = await request(app, "GET", `${path}/frames/${difference!.id}`);
    expect((await sharp(frame.rawPayload).metadata()).format).toBe("jpeg");
    const metrics = await request(app, "GET", "/metrics");
    expect(metrics.body).toMatch(
      /protoline_shadow_frames_total\{gallery="line-1",outcome="different"\} [1-9]/,
    );

    await request(app, "POST", `${path}/promote`);
    expect((await recognize(app, await picture(red, 30))).json()).toMatchObject({
      kind: "unknown",
      revision: 13,
    });
    await request(app, "POST", "/v1/galleries/line-1/rollback", { to: 12 });
    expect((await recognize(app, await picture(red, 30))).json()).toMatchObject({
      kind: "known",
      label: "red",
    });
  }, 60_000);

  it("is tuned by itself when enough samples have gathered", async () => {
    await start(cellMeans(), { learnAfter: 3 });
    const frame = async () => recognize(app, await picture(green, 2));
    await frame();
    await enroll(app, "green", await picture(green, 20));
    await enroll(app, "green", await picture(green, 21));
    await frame();
    expect((await request(app, "GET", path)).statusCode).toBe(404);
    await enroll(app, "green", await picture(green, 22));
    await frame();
    const candidate = await ready();
    expect(candidate).toMatchObject({ who: "protoline", phase: "shadow", revision: 15 });
    expect(candidate.summary).toMatch(/picture/);
    expect((await request(app, "DELETE", path)).statusCode).toBe(204);
    expect((await request(app, "GET", path)).statusCode).toBe(404);
  }, 60_000);

  it("says why it cannot be", async () => {
    await start(cellMeans());
    expect((await request(app, "POST", path, { model: "/etc/passwd" })).json().error.code).toBe(
      "MODEL_NOT_FOUND",
    );
    expect((await request(app, "POST", `${path}/promote`)).json().error.code).toBe("CANDIDATE_NOT_FOUND");
    await request(app, "POST", "/v1/galleries", { name: "empty" });
    const empty = await request(app, "POST", "/v1/galleries/empty/candidate", {});
    expect(empty.json().error.code).toBe("GALLERY_EMPTY");
    await request(app, "POST", "/v1/galleries", { name: "one" });
    await enroll(app, "red", await picture(red, 1), {}, "one");
    await request(app, "POST", "/v1/galleries/one/candidate", {});
    await vi.waitFor(async () => {
      const { phase, error } = (
        await request(app, "GET", "/v1/galleries/one/candidate")
      ).json<CandidateReply>();
      expect({ phase, code: error?.code }).toEqual({ phase: "failed", code: "TOO_FEW_SAMPLES" });
    }, 20_000);
    const early = await request(app, "POST", "/v1/galleries/one/candidate/promote");
    expect(early.json().error.code).toBe("CANDIDATE_NOT_READY");
  }, 60_000);

  it("of a model in worker threads drains: the old pool answers what it was asked, and ends", async () => {
    const folder = await mkdtemp(join(tmpdir(), "protoline-candidate-"));
    closing.push(() => rm(folder, { recursive: true }));
    const bundle = tinyBundle();
    await writeBundle(
      { ...bundle, manifest: { ...bundle.manifest, name: "second" } },
      join(folder, "second.onnx"),
    );
    await start(cellMeans(), {
      models: new Map([["second", () => openPool(join(folder, "second.onnx"), { workers: 1 })]]),
    });
    await request(app, "POST", path, { model: "second", tune: false });
    expect(await ready()).toMatchObject({ phase: "shadow" });
    expect((await request(app, "POST", `${path}/promote`)).statusCode).toBe(200);
    const image = await picture(red, 1);
    const asked = Array.from({ length: 24 }, () => recognize(app, image));
    await request(app, "POST", "/v1/galleries/line-1/rollback", { to: 12 });
    for (const reply of await Promise.all(asked)) {
      expect(reply.statusCode).toBe(200);
      expect(["second", "cell-means"]).toContain(reply.json().model);
    }
    expect((await recognize(app, image)).json()).toMatchObject({ model: "cell-means", label: "red" });
  }, 60_000);
});
