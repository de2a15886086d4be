import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { galleryRates, Recognizer } from "../src/recognizer/index.ts";
import {
  ClassesReply,
  EnrollReply,
  QualityReply,
  RecognitionReply,
  RecognitionsReply,
} from "../src/server/protocol.ts";
import { CheckReply, MapReply, TrayReply } from "../src/server/protocol-console.ts";
import {
  blue,
  type Color,
  cellMeans,
  enroll,
  enrollColors,
  green,
  multipart,
  picture,
  recognize,
  red,
  request,
  type TestServer,
  testServer,
} from "./server-help.ts";

const gallery = "/v1/galleries/line-1";
let server: TestServer;

beforeEach(async () => {
  server = await testServer();
});
afterEach(() => server.close());

/** The reply's JSON, held to its schema. */
function body<S extends TSchema>(schema: S, reply: { json(): unknown }): Static<S> {
  const value = reply.json();
  expect([...Value.Errors(schema, value)]).toEqual([]);
  return value as Static<S>;
}
const get = async <S extends TSchema>(schema: S, path: string): Promise<Static<S>> =>
  body(schema, await server.app.inject({ url: `${gallery}/${path}` }));
const check = async (label: string, color: Color, seeds: readonly number[]): Promise<CheckReply> => {
  const files = await Promise.all(
    seeds.map(async (seed) => ({ name: `${seed}.jpg`, bytes: await picture(color, seed) })),
  );
  const url = `${gallery}/classes/${label}/check`;
  return body(CheckReply, await server.app.inject({ method: "POST", url, ...multipart(files) }));
};

/** An encoder that knows no limit for classes of one picture. */
function withoutPriors() {
  const encoder = cellMeans();
  const priors = { baseMean: null, limits: { deviation: 0.34, oneShot: null } };
  return { ...encoder, manifest: { ...encoder.manifest, priors } };
}

describe("an answer", () => {
  it("carries the limit of its nearest class, which made it known or unknown", async () => {
    const { app } = server;
    await enrollColors(app);
    const known = body(RecognitionReply, await recognize(app, await picture(red, 9)));
    expect(known).toMatchObject({ kind: "known", limit: { label: "red", source: "own" } });
    expect(known.limit.distance).toBeLessThanOrEqual(known.limit.threshold!);
    const unknown = body(RecognitionReply, await recognize(app, await picture(blue, 1), { topK: "1" }));
    expect(unknown.kind).toBe("unknown");
    expect(unknown.limit.distance).toBeGreaterThan(unknown.limit.threshold!);

    const several = multipart([{ name: "a.jpg", bytes: await picture(green, 7) }]);
    const reply = await app.inject({ method: "POST", url: `${gallery}/recognize`, ...several });
    expect(body(RecognitionsReply, reply).results).toMatchObject([{ answer: { limit: { label: "green" } } }]);
  });

  it("has no limit where nothing is known of it: no number stands for that, and nothing is unknown", async () => {
    await server.close();
    server = await testServer({ encoder: withoutPriors() });
    const { app } = server;
    const first = body(EnrollReply, await enroll(app, "red", await picture(red, 0)));
    expect(first.limit).toMatchObject({ threshold: null, source: "none", pictures: 0, rates: null });
    expect(first.limit!.missing).toBeGreaterThan(2);
    await enroll(app, "green", await picture(green, 0));

    const reply = await recognize(app, await picture(blue, 1));
    const answer = body(RecognitionReply, reply);
    expect(answer.kind).not.toBe("unknown");
    expect(answer.limit).toMatchObject({ threshold: null, source: "none" });
    expect(answer.candidates.map(({ threshold }) => threshold)).toEqual([null, null]);
    expect(reply.payload).not.toMatch(/NaN|Infinity|"null"|e\+?\d{3}/);

    const { classes } = await get(ClassesReply, "classes");
    expect(classes.map(({ limit }) => [limit!.threshold, limit!.source])).toEqual([
      [null, "none"],
      [null, "none"],
    ]);
    const { samples } = await get(MapReply, "map");
    expect(samples.map(({ leftOut }) => leftOut)).toEqual([null, null]);
    const { expected } = await get(QualityReply, "quality");
    expect(expected).toMatchObject({ pictures: 0, classes: 0, strangers: [] });
    expect(expected!.rates.every(({ caught, falseReject }) => caught === null && falseReject.of === 0)).toBe(
      true,
    );

    // The second picture of one class brings a limit to both.
    const second = body(EnrollReply, await enroll(app, "red", await picture(red, 1)));
    expect(second.limit).toMatchObject({ source: "own", pictures: 2 });
    const after = await get(ClassesReply, "classes");
    expect(after.classes.find(({ label }) => label === "green")!.limit).toMatchObject({ source: "shared" });
    expect(body(RecognitionReply, await recognize(app, await picture(blue, 1))).kind).toBe("unknown");
  });

  it("of the encoder's prior says so, and a frame of the tray how far beyond the limit it was", async () => {
    const { app, store } = server;
    const { decision } = await store.snapshot("line-1");
    await store.setDecision("line-1", { ...decision, head: { kind: "gaussian" } }, { who: "test" });
    await enroll(app, "red", await picture(red, 0));
    await enroll(app, "green", await picture(green, 0));
    const answer = body(RecognitionReply, await recognize(app, await picture(blue, 1)));
    expect(answer).toMatchObject({ kind: "unknown", limit: { source: "prior" } });
    await expect.poll(async () => (await get(TrayReply, "tray")).groups.length).toBe(1);
    const [group] = (await get(TrayReply, "tray")).groups;
    const { distance, threshold } = answer.limit;
    expect(group!.frames[0]!.excess).toBeCloseTo(distance / threshold!, 6);
  });
});

describe("the classes", () => {
  it("tell where each ends, how sure that is, and how many pictures make it so", async () => {
    await enrollColors(server.app);
    const { classes } = await get(ClassesReply, "classes");
    for (const { limit } of classes) {
      expect(Object.keys(limit!)).toEqual(["threshold", "source", "pictures", "rates", "missing", "frames"]);
      expect(limit).toMatchObject({ source: "own", pictures: 3, frames: 0 });
      const [low, high] = limit!.rates!;
      expect(low).toBeLessThan(0.05);
      expect(high).toBeGreaterThan(0.1);
      expect(limit!.missing).toBeGreaterThan(0);
    }
  });

  it("are told the same of pictures before they are enrolled", async () => {
    const { app } = server;
    await enrollColors(app);
    const before = await check("red", red, [3, 4]);
    expect(before.limit).toMatchObject({ source: "own", pictures: 5 });
    for (const seed of [3, 4]) await enroll(app, "red", await picture(red, seed));
    const { classes } = await get(ClassesReply, "classes");
    const { threshold: _, frames: __, ...now } = classes.find(({ label }) => label === "red")!.limit!;
    expect(before.limit).toEqual(now);
    const one = await check("blue", blue, [1]);
    expect(one.limit).toMatchObject({ source: "shared", pictures: 0, rates: null });
    expect(one.limit!.missing).toBeGreaterThan(before.limit!.missing);
  });
});

describe("the quality of a gallery", () => {
  it("says what is to be expected at several stated rates, as the library does", async () => {
    const { app, store, encoder } = server;
    await enrollColors(app);
    const { expected, falseRejectRate, classes } = await get(QualityReply, "quality");
    expect(falseRejectRate).toBe(0.05);
    expect(expected!.rates.map(({ stated }) => stated)).toEqual([0.01, 0.05, 0.1, 0.2]);
    for (const { caught, falseReject } of expected!.rates) {
      expect(caught!.of).toBe(6);
      expect(falseReject.of).toBe(6);
    }
    expect(expected!.strangers.map(({ label }) => label).sort()).toEqual(["green", "red"]);
    expect(classes.map(({ limit }) => limit!.source)).toEqual(["own", "own"]);
    const recognizer = await Recognizer.open({ model: encoder, store, gallery: "line-1" });
    expect(expected).toEqual(galleryRates(recognizer));
    await recognizer.close();
  });

  it("has them for the rate of each revision, and not where they are not wanted", async () => {
    const { app } = server;
    await enrollColors(app);
    await get(QualityReply, "quality");
    await request(app, "PATCH", `${gallery}/decision`, { falseRejectRate: 0.3 });
    const { expected, falseRejectRate } = await get(QualityReply, "quality");
    expect(falseRejectRate).toBe(0.3);
    expect(expected!.rates.map(({ stated }) => stated)).toEqual([0.01, 0.05, 0.1, 0.2, 0.3]);
    expect((await get(QualityReply, "quality?expected=false")).expected).toBeNull();
  });

  it("of one class says what can be said", async () => {
    for (let seed = 0; seed < 3; seed++) await enroll(server.app, "red", await picture(red, seed));
    const { expected, classes } = await get(QualityReply, "quality");
    expect(expected).toMatchObject({ pictures: 3, classes: 1, strangers: [] });
    for (const { caught, falseReject } of expected!.rates) {
      expect(caught).toBeNull();
      expect(falseReject.of).toBe(3);
    }
    expect(classes).toMatchObject([{ label: "red", limit: { source: "own" } }]);
    expect((await get(MapReply, "map")).samples[0]!.leftOut).toMatchObject({ strange: null });
  });

  it("of an empty gallery is empty", async () => {
    expect(await get(QualityReply, "quality")).toMatchObject({ classes: [], expected: { pictures: 0 } });
    expect((await get(ClassesReply, "classes")).classes).toEqual([]);
  });
});
