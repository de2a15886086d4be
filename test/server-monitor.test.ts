import sharp from "sharp";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Alert, createAlerts } from "../src/alerts/index.ts";
import type { DriftReply } from "../src/server/protocol-monitor.ts";
import { blue, type Color, enroll, green, picture, red, type TestServer, testServer } from "./server-help.ts";

let server: TestServer;
const told: Alert[] = [];
afterEach(async () => {
  await server.close();
  told.length = 0;
});

/** A server that knows red and green, and learns its reference from 16 frames. */
async function start(): Promise<void> {
  const alerts = createAlerts({
    couriers: [{ send: (alert) => told.push(alert), waiting: 0, lost: 0, close: async () => undefined }],
    quietMs: 0,
  });
  server = await testServer({
    alerts,
    watch: { referenceFrames: 16, windowFrames: 8, windows: 1, level: 0.05 },
  });
  for (const [label, color] of [
    ["red", red],
    ["green", green],
  ] as const)
    for (let seed = 0; seed < 6; seed++) await enroll(server.app, label, await picture(color, seed));
}

async function show(frames: number, color: (i: number) => Color, from = 100): Promise<void> {
  for (let i = 0; i < frames; i++) {
    const { statusCode } = await server.app.inject({
      method: "POST",
      url: "/v1/galleries/line-1/recognize",
      headers: { "content-type": "image/jpeg" },
      payload: await picture(color(i), from + i),
    });
    expect(statusCode).toBe(200);
  }
}
const drift = async (): Promise<DriftReply> =>
  (await server.app.inject("/v1/galleries/line-1/drift")).json() as DriftReply;
const good = (i: number): Color => (i % 2 === 0 ? red : green);
const judgedOf = (n: number) => vi.waitFor(async () => expect((await drift()).judged.length).toBe(n), 20_000);

describe("a server that watches its line", () => {
  it("learns, is calm, alarms, says what to do, and resolves it with a new reference", async () => {
    await start();
    expect(await drift()).toMatchObject({ phase: "learning", revision: null, alarm: false, judged: [] });
    await show(16, good);
    expect(await drift()).toMatchObject({ phase: "watching", revision: 12, reference: { frames: 16 } });
    await show(8, good, 200);
    await judgedOf(1);
    expect((await drift()).alarm).toBe(false);

    await show(8, () => blue, 300);
    await judgedOf(2);
    const after = await drift();
    expect(after).toMatchObject({ alarm: true, unknownRate: 1 });
    expect(after.text).toMatch(/more frames are unknown.*: look at the tray/);
    expect(after.alerts).toMatchObject([
      { gallery: "line-1", kind: "drift", state: "raised", text: after.text },
    ]);
    expect(told.map(({ kind, state }) => `${kind} ${state}`)).toEqual(["drift raised"]);
    expect(after.reference.summary).toMatchObject({
      unknownRate: 0,
      answers: [{ frames: 8 }, { frames: 8 }],
    });
    expect(after.judged[1]).toMatchObject({ frame: 32, answers: [{ label: null, frames: 8 }] });
    expect(after.judged[1]!.medianDistance).toBeGreaterThan(after.judged[0]!.medianDistance);
    expect(after.judged[0]!.meanConfidence).toBeGreaterThan(0.9);

    // Before and after in pictures: four of each answer.
    const { reference, alarmed } = after.pictures;
    expect(reference.map(({ label }) => label).sort()).toEqual([
      ...Array(4).fill("green"),
      ...Array(4).fill("red"),
    ]);
    expect(alarmed).toMatchObject({ frame: 32, pictures: Array(4).fill({ label: null }) });
    const pictureOf = (id: string) => server.app.inject(`/v1/galleries/line-1/drift/pictures/${id}`);
    const shown = await pictureOf(alarmed!.pictures[0]!.id);
    expect([shown.statusCode, shown.headers["content-type"]]).toEqual([200, "image/jpeg"]);
    const { channels } = await sharp(shown.rawPayload).stats();
    expect(channels[2]!.mean).toBeGreaterThan(channels[0]!.mean + 50);
    expect((await pictureOf("no-such")).json()).toMatchObject({ error: { code: "FRAME_NOT_FOUND" } });

    const metrics = (await server.app.inject("/metrics")).body;
    expect(metrics).toContain('protoline_unknown_rate{gallery="line-1"} 1');
    expect(metrics).toContain('protoline_drift_alarm{gallery="line-1"} 1');
    expect(metrics).toMatch(/protoline_drift_statistic\{gallery="line-1",test="unknownRate"\} 1/);
    expect(metrics).toMatch(/protoline_classes\{gallery="line-1",verdict="good"\} 2/);

    const restarted = await server.app.inject({
      method: "POST",
      url: "/v1/galleries/line-1/drift/reference",
    });
    expect([restarted.statusCode, restarted.json()]).toMatchObject([
      200,
      { phase: "learning", alarm: false, alerts: [], judged: [], pictures: { reference: [], alarmed: null } },
    ]);
    expect(told.at(-1)).toMatchObject({ kind: "drift", state: "resolved" });
  });

  it("begins a new reference with a new revision, and says that a class has become bad", async () => {
    await start();
    await show(20, good);
    expect(await drift()).toMatchObject({ phase: "watching", revision: 12 });
    // The same part under two names.
    for (let seed = 0; seed < 6; seed++) await enroll(server.app, "rouge", await picture(red, 400 + seed));
    await show(1, good);
    expect(await drift()).toMatchObject({ phase: "learning", revision: 18, reference: { frames: 1 } });
    await vi.waitFor(() => expect(told.map(({ kind }) => kind)).toEqual(["quality"]), 20_000);
    expect(told[0]!.text).toMatch(/of 3 classes are bad\. "(red|rouge)": /);
    await server.app.inject({ method: "DELETE", url: "/v1/galleries/line-1" });
    await vi.waitFor(() => expect(told.at(-1)).toMatchObject({ kind: "quality", state: "resolved" }), 5000);
    expect((await server.app.inject("/v1/galleries/line-1/drift")).json()).toMatchObject({
      error: { code: "GALLERY_NOT_FOUND" },
    });
  });
});
