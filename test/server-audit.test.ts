import { mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type AuditLine,
  type AuditLog,
  auditedStore,
  openAuditLog,
  verifyAudit,
} from "../src/audit/index.ts";
import { openStore } from "../src/store/index.ts";
import {
  enroll,
  newKey,
  picture,
  recognize,
  red,
  request,
  type TestServer,
  testServer,
} from "./server-help.ts";

let folder: string;
let file: string;
let log: AuditLog;
let server: TestServer;
const gallery = "/v1/galleries/line-1";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-audit-"));
  file = join(folder, "audit.jsonl");
  log = await openAuditLog({ file });
  server = await testServer({ audit: log });
});
afterEach(async () => {
  await server.close();
  await log.close();
  await rm(folder, { recursive: true, force: true });
});

const lines = async (): Promise<AuditLine[]> =>
  (await readFile(file, "utf8"))
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AuditLine);

describe("a server with an audit log", () => {
  it("writes every change with who, what, why, the request, and what was before and after", async () => {
    const { app } = server;
    await request(app, "POST", "/v1/galleries", { name: "line-2" });
    const enrolled = await enroll(app, "red", await picture(red), { reason: "new lot" });
    await enroll(app, "red", await picture(red, 1));
    await request(app, "PATCH", `${gallery}/classes/red?reason=standard`, { label: "red iron" });
    await request(app, "POST", `${gallery}/merge`, { from: ["red iron"], into: "iron" });
    await request(app, "POST", `${gallery}/publish`);
    const { samples } = (await request(app, "GET", `${gallery}/samples`)).json();
    await request(app, "DELETE", `${gallery}/samples?id=${samples[0].id}`);
    await request(app, "DELETE", `${gallery}/classes/iron`);
    await request(app, "POST", `${gallery}/rollback`, { to: 2 });
    await request(app, "DELETE", "/v1/galleries/line-2");
    const refused = await request(app, "POST", `${gallery}/rollback`, { to: 99 });
    expect(refused.json().error.code).toBe("REVISION_NOT_FOUND");

    const written = await lines();
    const ends = written.filter(({ event }) => event.phase === "end").map(({ event }) => event);
    expect(ends.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
      "gallery.create done",
      "samples.enroll done",
      "samples.enroll done",
      "class.rename done",
      "class.merge done",
      "gallery.publish done",
      "samples.remove done",
      "class.remove done",
      "gallery.rollback done",
      "gallery.remove done",
      "gallery.rollback REVISION_NOT_FOUND",
    ]);
    for (const end of ends) {
      const begin = written.find(({ seq }) => seq === end.of)!;
      expect(begin.event).toMatchObject({ phase: "begin", action: end.action, request: end.request });
      expect(end).toMatchObject({ who: "local", caller: "local" });
      expect(end.request).toMatch(/^[0-9a-f-]{36}$/);
    }
    expect(ends[1]).toMatchObject({
      gallery: "line-1",
      reason: "new lot",
      request: enrolled.headers["x-request-id"],
      old: { revision: 0, samples: 0 },
      new: { revision: 1, samples: 1, added: [{ id: enrolled.json().added[0].id }] },
    });
    expect(ends[3]).toMatchObject({
      reason: "standard",
      old: { label: "red", revision: 2 },
      new: { revision: 3, parent: 2 },
    });
    expect(ends[8]).toMatchObject({ new: { samples: 2 } });
    expect(ends.at(-1)).toMatchObject({ new: null });
    expect(await verifyAudit(file)).toMatchObject({ problem: null, open: [] });
  });

  it("names the key that was used", async () => {
    const key = await newKey(server.store, "office", ["enroll"]);
    await expect
      .poll(async () => (await server.app.inject({ url: "/v1/galleries" })).statusCode, { timeout: 5000 })
      .toBe(401);
    const reply = await server.app.inject({
      method: "POST",
      url: `${gallery}/classes/red/samples`,
      headers: { "content-type": "image/jpeg", "x-api-key": key },
      payload: await picture(red),
    });
    expect(reply.statusCode).toBe(201);
    const { event } = (await lines()).at(-1)!;
    expect(event.who).toBe("office");
    expect(event.caller).toMatch(/^key [0-9a-f]{12}$/);
  });

  it("refuses a change that it cannot write, goes on recognizing, and takes changes again afterwards", async () => {
    const { app, store } = server;
    await enroll(app, "red", await picture(red));
    await rename(file, `${file}.moved`);
    const refused = [
      await enroll(app, "red", await picture(red, 1)),
      await request(app, "PATCH", `${gallery}/classes/red`, { label: "iron" }),
      await request(app, "DELETE", gallery),
      await request(app, "POST", "/v1/galleries", { name: "line-2" }),
    ];
    for (const reply of refused) {
      expect(reply.statusCode).toBe(503);
      expect(reply.json().error.code).toBe("AUDIT_UNAVAILABLE");
    }
    expect((await store.gallery("line-1")).head).toMatchObject({ number: 1, samples: 1 });
    expect((await store.galleries()).length).toBe(1);
    expect((await recognize(app, await picture(red))).json().label).toBe("red");
    const figures = (await request(app, "GET", "/metrics")).payload;
    expect(figures).toContain("protoline_audit_up 0");
    expect(figures).toContain("protoline_store_up 1");

    await rename(`${file}.moved`, file);
    expect((await enroll(app, "red", await picture(red, 1))).statusCode).toBe(201);
    expect((await request(app, "GET", "/metrics")).payload).toContain("protoline_audit_up 1");
    expect((await verifyAudit(file)).problem).toBeNull();
  });
});

describe("an audited store", () => {
  it("keeps the old and the new value of a decision, a model and a key, and no key's hash", async () => {
    const store = auditedStore(await openStore("memory:"), log, {
      who: "zhang",
      caller: "command line",
      request: null,
    });
    const { decision } = await server.store.snapshot("line-1");
    await store.createGallery({
      name: "g",
      model: "m",
      modelHash: "a".repeat(64),
      dim: 2,
      decision,
      who: "zhang",
    });
    const tuned = { ...decision, ambiguity: { margin: 0.2 } };
    await store.setDecision("g", tuned, { who: "zhang", reason: "tune" });
    await store.setRefresh("g", { kind: "manual" });
    await store.replaceEmbeddings(
      "g",
      { model: "m2", modelHash: "b".repeat(64), dim: 3, embeddings: new Map() },
      { who: "zhang" },
    );
    await newKey(store, "camera", ["read"]);
    const [key] = await store.apiKeys();
    await store.removeApiKey(key!.id);
    await store.close();

    const events = (await lines()).map(({ event }) => event);
    const of = (action: string, phase: string) =>
      events.find((event) => event.action === action && event.phase === phase);
    expect(of("decision.tune", "begin")).toMatchObject({
      who: "zhang",
      caller: "command line",
      old: { decision: { ambiguity: { margin: 0.05 } } },
      new: { decision: { ambiguity: { margin: 0.2 } } },
    });
    expect(of("gallery.refresh", "end")).toMatchObject({
      old: { kind: "immediate" },
      new: { kind: "manual" },
    });
    expect(of("model.promote", "begin")).toMatchObject({ old: { model: "m" }, new: { model: "m2" } });
    expect(of("key.create", "end")).toMatchObject({ old: null, new: { name: "camera", scopes: ["read"] } });
    expect(of("key.revoke", "end")).toMatchObject({ old: { name: "camera" }, new: { removed: true } });
    expect(await readFile(file, "utf8")).not.toContain(key!.hash);
  });
});
