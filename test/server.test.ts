import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  ClassesReply,
  DiffReply,
  EnrollReply,
  GalleryReply,
  HistoryReply,
  ReadyReply,
  RecognitionReply,
  RecognitionsReply,
  RevisionReply,
  SamplesReply,
  VersionReply,
} from "../src/server/protocol.ts";
import {
  blue,
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

let server: TestServer;
const gallery = "/v1/galleries/line-1";

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

describe("the way of a part", () => {
  it("is enrolled, recognized, unknown, and a second class answers at once", async () => {
    const { app } = server;
    for (let seed = 0; seed < 3; seed++) {
      const reply = await enroll(app, "red", await picture(red, seed), { reason: "first parts" });
      expect(reply.statusCode).toBe(201);
      expect(body(EnrollReply, reply)).toMatchObject({ label: "red", revision: seed + 1, rejected: [] });
    }
    const known = await recognize(app, await picture(red, 9), { topK: "1" });
    expect(known.statusCode).toBe(200);
    expect(body(RecognitionReply, known)).toMatchObject({
      kind: "known",
      label: "red",
      gallery: "line-1",
      revision: 3,
      model: "cell-means",
    });
    expect(known.json().candidates).toHaveLength(1);

    const unknown = await recognize(app, await picture(blue, 1));
    expect(body(RecognitionReply, unknown).kind).toBe("unknown");

    for (let seed = 0; seed < 3; seed++) await enroll(app, "blue", await picture(blue, 10 + seed));
    const learned = await recognize(app, await picture(blue, 1));
    expect(body(RecognitionReply, learned)).toMatchObject({ kind: "known", label: "blue", revision: 6 });
  });

  it("takes PNG, WebP and unnamed bytes", async () => {
    const { app } = server;
    await enrollColors(app);
    for (const [type, format] of [
      ["image/png", "png"],
      ["image/webp", "webp"],
      ["application/octet-stream", "png"],
    ] as const) {
      const reply = await app.inject({
        method: "POST",
        url: `${gallery}/recognize`,
        headers: { "content-type": type },
        payload: await picture(red, 5, format),
      });
      expect(body(RecognitionReply, reply)).toMatchObject({ kind: "known", label: "red" });
    }
  });

  it("looks at the region alone", async () => {
    const { app } = server;
    await enrollColors(app);
    const reply = await recognize(app, await picture(red, 4), { region: "0,0,20,20" });
    expect(reply.statusCode).toBe(200);
    const outside = await recognize(app, await picture(red, 4), { region: "90,0,20,20" });
    expect(outside.statusCode).toBe(400);
    expect(outside.json().error.code).toBe("REGION_OUTSIDE");
  });

  it("answers several files in order, with the error of a broken one in its place", async () => {
    const { app } = server;
    await enrollColors(app);
    const reply = await app.inject({
      method: "POST",
      url: `${gallery}/recognize`,
      ...multipart([
        { name: "a.jpg", bytes: await picture(red, 5) },
        { name: "b.jpg", bytes: Buffer.from("hello") },
        { name: "c.jpg", bytes: await picture(green, 6) },
      ]),
    });
    expect(reply.statusCode).toBe(200);
    const { results } = body(RecognitionsReply, reply);
    expect(results[0]).toMatchObject({ origin: "a.jpg", answer: { label: "red", revision: 6 } });
    expect(results[1]).toMatchObject({ origin: "b.jpg", error: { code: "IMAGE_UNSUPPORTED" } });
    expect(results[2]).toMatchObject({ origin: "c.jpg", answer: { label: "green", revision: 6 } });
  });

  it("enrolls several files; a broken one and a copy never take the good ones with them", async () => {
    const { app } = server;
    const good = await picture(red, 1);
    const reply = await app.inject({
      method: "POST",
      url: `${gallery}/classes/red/samples`,
      ...multipart([
        { name: "one.jpg", bytes: good },
        { name: "broken.jpg", bytes: (await picture(red, 2)).subarray(0, 200) },
        { name: "copy.jpg", bytes: good },
        { name: "two.jpg", bytes: await picture(red, 3) },
      ]),
    });
    expect(reply.statusCode).toBe(201);
    const report = body(EnrollReply, reply);
    expect(report.added.map(({ origin }) => origin)).toEqual(["one.jpg", "two.jpg"]);
    expect(report.duplicates).toEqual(["copy.jpg"]);
    expect(report.rejected).toMatchObject([{ origin: "broken.jpg", code: "IMAGE_BROKEN" }]);
  });

  it("answers 200 to images that the class holds already, and refuses one of another class", async () => {
    const { app } = server;
    const image = await picture(red, 1);
    await enroll(app, "red", image);
    const again = await enroll(app, "red", image, { origin: "camera 2" });
    expect(again.statusCode).toBe(200);
    expect(body(EnrollReply, again)).toMatchObject({ added: [], duplicates: ["camera 2"], revision: 1 });
    const other = await enroll(app, "scarlet", image);
    expect(other.statusCode).toBe(409);
    expect(other.json().error.code).toBe("SAMPLE_IN_OTHER_CLASS");
    expect(other.json().report.rejected[0].message).toContain('"red"');
    const allowed = await enroll(app, "scarlet", image, { allowOtherClass: "true" });
    expect(allowed.statusCode).toBe(201);
  });
});

describe("galleries", () => {
  it("are made, listed, shown and removed", async () => {
    const { app } = server;
    const made = await request(app, "POST", "/v1/galleries", {
      name: "line-2",
      refresh: { kind: "after", samples: 2 },
    });
    expect(made.statusCode).toBe(201);
    expect(body(GalleryReply, made)).toMatchObject({ name: "line-2", model: "cell-means", pending: 0 });
    const again = await request(app, "POST", "/v1/galleries", { name: "line-2" });
    expect(again.statusCode).toBe(409);
    expect(again.json().error.code).toBe("GALLERY_EXISTS");

    const list = (await request(app, "GET", "/v1/galleries")).json();
    expect(list.galleries.map(({ name }: { name: string }) => name)).toEqual(["line-1", "line-2"]);

    await enroll(app, "red", await picture(red, 1), {}, "line-2");
    expect(body(GalleryReply, await request(app, "GET", "/v1/galleries/line-2"))).toMatchObject({
      pending: 1,
    });

    expect((await request(app, "DELETE", "/v1/galleries/line-2")).statusCode).toBe(204);
    const gone = await recognize(app, await picture(red, 1), {}, "line-2");
    expect(gone.statusCode).toBe(404);
    expect(gone.json().error.code).toBe("GALLERY_NOT_FOUND");
  });

  it("publish what is pending", async () => {
    const { app } = server;
    await request(app, "POST", "/v1/galleries", { name: "manual", refresh: { kind: "manual" } });
    await enroll(app, "red", await picture(red, 1), {}, "manual");
    const before = await recognize(app, await picture(red, 2), {}, "manual");
    expect(before.statusCode).toBe(409);
    expect(before.json().error.code).toBe("GALLERY_EMPTY");
    const published = await request(app, "POST", "/v1/galleries/manual/publish?reason=shift%20change");
    expect(body(RevisionReply, published)).toMatchObject({ number: 1, who: "local", reason: "shift change" });
    expect((await recognize(app, await picture(red, 2), {}, "manual")).json().revision).toBe(1);
  });

  it("keep their history: diff, rollback, and the recognizer follows at once", async () => {
    const { app } = server;
    await enrollColors(app);
    expect((await request(app, "DELETE", `${gallery}/classes/green?reason=retired`)).statusCode).toBe(200);
    expect((await recognize(app, await picture(green, 7))).json().kind).toBe("unknown");

    const history = body(HistoryReply, await request(app, "GET", `${gallery}/revisions?limit=2`));
    expect(history.revisions).toMatchObject([{ number: 7, reason: "retired" }, { number: 6 }]);
    const diff = body(DiffReply, await request(app, "GET", `${gallery}/revisions/6/diff/7`));
    expect(diff.removed).toHaveLength(3);

    const back = await request(app, "POST", `${gallery}/rollback`, { to: 6 });
    expect(body(RevisionReply, back)).toMatchObject({ number: 8, classes: 2, samples: 6 });
    expect((await recognize(app, await picture(green, 7))).json()).toMatchObject({
      label: "green",
      revision: 8,
    });
    const missing = await request(app, "POST", `${gallery}/rollback`, { to: 99 });
    expect(missing.statusCode).toBe(404);
    expect(missing.json().error.code).toBe("REVISION_NOT_FOUND");
  });

  it("travel as one file to another server", async () => {
    const { app } = server;
    await enrollColors(app);
    const file = await request(app, "GET", `${gallery}/export`);
    expect(file.statusCode).toBe(200);
    expect(file.headers).toMatchObject({
      "content-type": "application/gzip",
      "content-disposition": 'attachment; filename="line-1.protoline"',
      "content-length": String(file.rawPayload.length),
    });
    const post = (payload: Buffer, name = "copy", type = "application/gzip") =>
      app.inject({
        method: "POST",
        url: `/v1/galleries/${name}/import`,
        headers: { "content-type": type },
        payload,
      });
    const altered = Buffer.from(file.rawPayload);
    altered[200] = altered[200]! ^ 1;
    for (const wrong of [
      Buffer.from("no archive"),
      Buffer.alloc(0),
      file.rawPayload.subarray(0, 500),
      altered,
    ]) {
      const reply = await post(wrong);
      expect(reply.statusCode).toBe(422);
      expect(reply.json().error.code).toBe("GALLERY_FILE_INVALID");
    }
    expect((await post(file.rawPayload, "line-1")).json().error.code).toBe("GALLERY_EXISTS");
    expect((await post(file.rawPayload, "copy", "text/csv")).statusCode).toBe(415);

    const imported = await post(file.rawPayload);
    expect(imported.statusCode).toBe(201);
    const { head } = body(GalleryReply, imported);
    expect(head.hash).toBe((await server.store.gallery("line-1")).head.hash);
    expect((await recognize(app, await picture(red, 9), {}, "copy")).json()).toMatchObject({
      label: "red",
      gallery: "copy",
    });
    expect((await request(app, "GET", "/v1/galleries/none/export")).statusCode).toBe(404);
  });

  it("follow what another process does to the store", async () => {
    const { app, store } = server;
    await enrollColors(app);
    await store.renameClass("line-1", "red", "crimson", { who: "elsewhere" });
    await expect
      .poll(async () => (await recognize(app, await picture(red, 8))).json().label, { timeout: 5000 })
      .toBe("crimson");
  });
});

describe("classes and samples", () => {
  it("are counted, renamed, merged", async () => {
    const { app } = server;
    await enrollColors(app);
    const { classes } = body(ClassesReply, await request(app, "GET", `${gallery}/classes`));
    expect(classes).toMatchObject([
      { label: "green", samples: 3 },
      { label: "red", samples: 3 },
    ]);
    expect(classes[0]!.spread).toBeGreaterThan(0);

    const renamed = await request(app, "PATCH", `${gallery}/classes/red`, { label: "crimson" });
    expect(body(RevisionReply, renamed).number).toBe(7);
    expect((await recognize(app, await picture(red, 8))).json().label).toBe("crimson");
    const exists = await request(app, "PATCH", `${gallery}/classes/crimson`, { label: "green" });
    expect(exists.json().error.code).toBe("CLASS_EXISTS");
    const merged = await request(app, "POST", `${gallery}/merge`, { from: ["crimson"], into: "green" });
    expect(body(RevisionReply, merged)).toMatchObject({ classes: 1, samples: 6 });
    expect((await request(app, "DELETE", `${gallery}/classes/blue`)).json().error.code).toBe(
      "CLASS_NOT_FOUND",
    );
  });

  it("show their samples with the pictures that came in, and lose them by id", async () => {
    const { app } = server;
    const image = await picture(red, 1);
    await enroll(app, "red", image, { origin: "camera 1" });
    await enroll(app, "green", await picture(green, 1));
    const { samples } = body(SamplesReply, await request(app, "GET", `${gallery}/samples?label=red`));
    expect(samples).toMatchObject([{ label: "red", origin: "camera 1", who: "local" }]);
    const { id } = samples[0]!;

    const kept = await request(app, "GET", `${gallery}/samples/${id}/image`);
    expect(kept.headers["content-type"]).toBe("image/jpeg");
    expect(kept.headers["x-content-type-options"]).toBe("nosniff");
    expect(kept.rawPayload.equals(image)).toBe(true);

    const removed = await request(app, "DELETE", `${gallery}/samples?id=${id}`);
    expect(body(RevisionReply, removed)).toMatchObject({ classes: 1, samples: 1 });
    const unknown = await request(app, "GET", `${gallery}/samples/nothing/image`);
    expect(unknown.statusCode).toBe(404);
    expect(unknown.json().error.code).toBe("SAMPLE_NOT_FOUND");
    expect((await request(app, "DELETE", `${gallery}/samples?id=${id}`)).statusCode).toBe(400);
  });

  it.each([
    "螺丝 M8",
    "🔩 bolt",
    "M8/20 screw",
    "50 % & more?",
    "../../etc/passwd",
    "__proto__",
    "constructor",
  ])("take %s as a class name", async (label) => {
    const { app } = server;
    for (let seed = 0; seed < 2; seed++)
      expect((await enroll(app, label, await picture(red, seed))).statusCode).toBe(201);
    expect((await recognize(app, await picture(red, 7))).json().label).toBe(label);
    const path = `${gallery}/classes/${encodeURIComponent(label)}`;
    expect((await request(app, "PATCH", path, { label: `${label} 2` })).statusCode).toBe(200);
    const { classes } = (await request(app, "GET", `${gallery}/classes`)).json();
    expect(classes).toMatchObject([{ label: `${label} 2`, samples: 2 }]);
  });
});

describe("the system's routes", () => {
  it("tell liveness, readiness and version", async () => {
    const { app } = server;
    expect((await request(app, "GET", "/livez")).json()).toEqual({ live: true });
    await expect.poll(async () => (await request(app, "GET", "/readyz")).statusCode).toBe(200);
    expect(body(ReadyReply, await request(app, "GET", "/readyz"))).toEqual({
      ready: true,
      model: "ok",
      store: "ok",
      stopping: false,
    });
    expect(body(VersionReply, await request(app, "GET", "/v1/version"))).toMatchObject({
      protoline: "0.0.0-test",
      store: "memory",
      model: { name: "cell-means", embeddingDim: 48 },
    });
  });

  it("are not ready when the model does not run or the store does not answer", async () => {
    const { app, encoder, store } = server;
    encoder.embed = async () => {
      throw new Error("no memory");
    };
    store.galleries = async () => {
      throw new Error("disk gone");
    };
    await app.ready();
    const reply = await request(app, "GET", "/readyz");
    expect(reply.statusCode).toBe(503);
    expect(body(ReadyReply, reply)).toEqual({
      ready: false,
      model: "does not run",
      store: "down",
      stopping: false,
    });
    expect((await request(app, "GET", "/livez")).statusCode).toBe(200);
  });

  it("count by route pattern, kind and code, never by name", async () => {
    const { app } = server;
    await enrollColors(app);
    await recognize(app, await picture(red, 5));
    await recognize(app, await picture(blue, 5));
    await recognize(app, Buffer.from("hello"));
    const text = (await request(app, "GET", "/metrics")).payload;
    expect(text).toContain(
      'protoline_http_requests_total{method="POST",route="/v1/galleries/:gallery/classes/:label/samples",status="201"} 6',
    );
    expect(text).toContain('protoline_recognitions_total{kind="known"} 1');
    expect(text).toContain('protoline_recognitions_total{kind="unknown"} 1');
    expect(text).toContain('protoline_images_rejected_total{code="IMAGE_UNSUPPORTED"} 1');
    expect(text).toContain('protoline_gallery_revision{gallery="line-1"} 6');
    expect(text).toMatch(/protoline_stage_duration_seconds_count\{operation="recognize",stage="embed"\} 2/);
    expect(text).not.toContain('="red"');
  });
});
