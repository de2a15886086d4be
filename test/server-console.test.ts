import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CheckReply, MapReply, MoveReply } from "../src/server/protocol-console.ts";
import {
  blue,
  enrollColors,
  green,
  multipart,
  newKey,
  picture,
  red,
  request,
  type TestServer,
  testServer,
} from "./server-help.ts";

let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-console-"));
  await mkdir(join(folder, "assets"));
  await writeFile(join(folder, "index.html"), "<!doctype html><title>Protoline</title>");
  await writeFile(join(folder, "assets/index-1a2b.js"), "export {};".repeat(100));
  server = await testServer({ console: folder });
  await enrollColors(server.app);
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

describe("the console's files", () => {
  it("are served under a strict policy, the page not cached and what is named by its hash for a year", async () => {
    const page = await server.app.inject({ url: "/" });
    expect(page.statusCode).toBe(200);
    expect(page.headers["content-type"]).toMatch(/^text\/html/);
    const policy = String(page.headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(page.headers["cache-control"]).toBe("no-cache");
    const script = await server.app.inject({
      url: "/assets/index-1a2b.js",
      headers: { "accept-encoding": "gzip, br" },
    });
    expect(script.headers["cache-control"]).toContain("immutable");
    expect(script.headers["content-encoding"]).toBe("gzip");
    expect(gunzipSync(script.rawPayload).toString()).toBe("export {};".repeat(100));
  });

  it("are these and no others of the disk", async () => {
    for (const url of ["/index-1a2b.js", "/assets/", "/assets/..%2findex.html", "/../package.json"])
      expect((await server.app.inject({ url })).json().error.code, url).toBe("ROUTE_NOT_FOUND");
  });
});

describe("/v1/me", () => {
  it("says who calls and what he may do", async () => {
    expect((await server.app.inject({ url: "/v1/me" })).json()).toEqual({
      ...{ kind: "local", name: "local", scopes: ["admin"] },
    });
    const other = await testServer();
    const key = await newKey(other.store, "screen", ["read"]);
    const reply = await other.app.inject({ url: "/v1/me", headers: { "x-api-key": key } });
    expect(reply.json()).toEqual({ kind: "key", name: "screen", scopes: ["read"] });
    expect((await other.app.inject({ url: "/v1/me" })).statusCode).toBe(401);
    await other.close();
  });
});

describe("/v1/candidates", () => {
  it("names the models of the server and the candidates beside its galleries, to who may look", async () => {
    const own = await testServer();
    await enrollColors(own.app);
    const all = async () => (await own.app.inject({ url: "/v1/candidates" })).json();
    expect(await all()).toEqual({ models: ["cell-means"], learns: false, candidates: [] });
    const started = await request(own.app, "POST", "/v1/galleries/line-1/candidate", { tune: false });
    const { id, who, since, model } = started.json();
    expect((await all()).candidates).toEqual([
      { gallery: "line-1", id, who, since, model, phase: expect.any(String) },
    ]);
    await own.close();
    const other = await testServer();
    const key = await newKey(other.store, "camera", ["recognize"]);
    const reply = await other.app.inject({ url: "/v1/candidates", headers: { "x-api-key": key } });
    expect(reply.json().error.code).toBe("FORBIDDEN");
    await other.close();
  });
});

describe("a thumbnail", () => {
  it("is a small JPEG, also the second time; none of a gallery or sample that is not there", async () => {
    const { samples } = (await server.app.inject({ url: "/v1/galleries/line-1/samples" })).json();
    const url = `/v1/galleries/line-1/samples/${samples[0].id}/thumbnail`;
    const first = await server.app.inject({ url });
    expect(first.headers["content-type"]).toBe("image/jpeg");
    expect((await server.app.inject({ url })).rawPayload.equals(first.rawPayload)).toBe(true);
    const codeOf = async (path: string): Promise<string> =>
      (await server.app.inject({ url: path })).json().error.code;
    expect(await codeOf("/v1/galleries/line-1/samples/none/thumbnail")).toBe("SAMPLE_NOT_FOUND");
    expect(await codeOf(url.replace("line-1", "none"))).toBe("GALLERY_NOT_FOUND");
  });
});

describe("a check before enrolling", () => {
  const check = async (label: string, files: Parameters<typeof multipart>[0]): Promise<CheckReply> =>
    (
      await server.app.inject({
        method: "POST",
        url: `/v1/galleries/line-1/classes/${label}/check`,
        ...multipart(files),
      })
    ).json();

  it("tells duplicates, what looks the same, what cannot be read and the odd one out; nothing is kept", async () => {
    const blues = await Promise.all([10, 11, 12, 13, 14].map((seed) => picture(blue, seed)));
    const files = [...blues, blues[0]!, await picture(red, 0), await picture(green, 50), Buffer.from("text")];
    const named = files.map((bytes, i) => ({ name: `${i}.jpg`, bytes }));
    const before = await server.store.head("line-1");
    const { pictures, nearest, leftOut, revision } = await check("blue", named);
    expect(pictures.map(({ origin }) => origin)).toEqual(named.map(({ name }) => name));
    expect(pictures[5]!.sameAs).toBe(0);
    expect(pictures[6]!.duplicateOf).toMatchObject({ label: "red" });
    expect(pictures[6]!.leftOut).toBeNull();
    expect(pictures[7]).toMatchObject({ outlier: true, leftOut: { right: false, label: "green" } });
    expect(pictures[8]).toMatchObject({ error: { code: "IMAGE_UNSUPPORTED" }, leftOut: null });
    expect(pictures.slice(0, 5).every(({ outlier, error }) => !outlier && error === null)).toBe(true);
    expect(nearest).not.toBeNull();
    expect(leftOut!.of).toBe(7);
    expect(revision).toBe(before);
    expect(await server.store.head("line-1")).toBe(before);
  });

  it("works on the first pictures of a gallery, and on nothing that can be read", async () => {
    const empty = await testServer();
    const url = "/v1/galleries/line-1/classes/red/check";
    const one = multipart([{ name: "1.jpg", bytes: await picture(red, 1) }]);
    const reply = (await empty.app.inject({ method: "POST", url, ...one })).json();
    expect(reply).toMatchObject({
      nearest: null,
      leftOut: null,
      pictures: [{ outlier: false, error: null }],
    });
    const none = multipart([{ name: "a.txt", bytes: Buffer.from("text") }]);
    const bad = (await empty.app.inject({ method: "POST", url, ...none })).json();
    expect(bad.pictures[0].error.code).toBe("IMAGE_UNSUPPORTED");
    await empty.close();
  });
});

describe("the map", () => {
  it("gives each sample its place, and its answer when it is left out", async () => {
    const reply = (await server.app.inject({ url: "/v1/galleries/line-1/map" })).json() as MapReply;
    expect(reply).toMatchObject({ of: 6, dim: 48, falseRejectRate: 0.05 });
    expect(Buffer.from(reply.vectors, "base64")).toHaveLength(4 * 6 * 48);
    for (const { label, leftOut } of reply.samples) {
      expect(leftOut).toMatchObject({ nearest: label });
      expect(leftOut!.strange!).toBeGreaterThan(leftOut!.excess!);
    }
    const empty = await testServer();
    expect((await empty.app.inject({ url: "/v1/galleries/line-1/map" })).json().samples).toEqual([]);
    await empty.close();
  });

  it("takes another false-reject rate as a revision", async () => {
    const own = await testServer();
    await enrollColors(own.app);
    const url = "/v1/galleries/line-1/decision";
    const reply = await request(own.app, "PATCH", url, { falseRejectRate: 0.2 });
    expect(reply.json()).toMatchObject({ number: 7, reason: "false-reject rate 0.2" });
    expect((await own.app.inject({ url: "/v1/galleries/line-1/map" })).json().falseRejectRate).toBe(0.2);
    for (const falseRejectRate of [0, 1, -1, "x"])
      expect((await request(own.app, "PATCH", url, { falseRejectRate })).statusCode).toBe(400);
    await own.close();
  });
});

describe("moving samples", () => {
  it("splits a class without losing a picture, and can be rolled back", async () => {
    const own = await testServer();
    await enrollColors(own.app);
    const { samples } = (await own.app.inject({ url: "/v1/galleries/line-1/samples?label=red" })).json();
    const id = samples.slice(0, 2).map((sample: { id: string }) => sample.id);
    const url = "/v1/galleries/line-1/samples/move";
    const reply = (await request(own.app, "POST", url, { id, into: "dark red" })).json() as MoveReply;
    const classes = async (): Promise<object> =>
      Object.fromEntries(
        (await own.app.inject({ url: "/v1/galleries/line-1/classes" }))
          .json()
          .classes.map((it: { label: string; samples: number }) => [it.label, it.samples]),
      );
    expect(await classes()).toEqual({ "dark red": 2, red: 1, green: 3 });
    const after = (await own.app.inject({ url: "/v1/galleries/line-1/samples?label=dark%20red" })).json();
    const image = await own.app.inject({ url: `/v1/galleries/line-1/samples/${after.samples[0].id}/image` });
    expect(image.statusCode).toBe(200);
    await request(own.app, "POST", "/v1/galleries/line-1/rollback", { to: reply.before });
    expect(await classes()).toEqual({ red: 3, green: 3 });
    const missing = await request(own.app, "POST", url, { id: ["none"], into: "x" });
    expect(missing.json().error.code).toBe("SAMPLE_NOT_FOUND");
    await own.close();
  });
});
