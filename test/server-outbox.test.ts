import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openAuditLog, verifyAudit } from "../src/audit/index.ts";
import { ProtolineError } from "../src/core/index.ts";
import type { ServerOptions } from "../src/server/index.ts";
import { type GalleryStore, openStore } from "../src/store/index.ts";
import {
  blue,
  enroll,
  green,
  multipart,
  newKey,
  picture,
  recognize,
  red,
  type TestServer,
  testServer,
} from "./server-help.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A store that is away when told so, and in `losing` makes a change and loses the answer. */
interface Switch {
  readonly store: GalleryStore;
  state: "there" | "away" | "losing";
}

async function switched(): Promise<Switch> {
  const inner = await openStore("memory:");
  const gone = () =>
    new ProtolineError("STORE_UNAVAILABLE", { expected: "a server", got: "none", todo: "Try again." });
  const it: Switch = {
    state: "there",
    store: new Proxy(inner, {
      get(target, name: keyof GalleryStore) {
        const value = target[name];
        if (typeof value !== "function" || name === "subscribe" || name === "close") return value;
        const call = value.bind(target) as (...args: readonly unknown[]) => Promise<unknown>;
        return async (...args: readonly unknown[]) => {
          if (it.state === "away") throw gone();
          const result = await call(...args);
          if (it.state === "losing" && name === "addSamples") {
            it.state = "away";
            throw gone();
          }
          return result;
        };
      },
    }),
  };
  return it;
}

let folder: string;
let at: Switch;
let server: TestServer;
const openings: TestServer[] = [];

async function start(options: Partial<ServerOptions> = {}): Promise<TestServer> {
  const made = await testServer({ store: at.store, outbox: folder, ...options });
  openings.push(made);
  await made.app.ready();
  return made;
}
/** As a server that is killed: nothing more is made of what waits. */
async function stop(): Promise<void> {
  await openings.pop()!.app.close();
}

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "protoline-outbox-")), "outbox");
  at = await switched();
  server = await start();
  await enroll(server.app, "red", await picture(red, 0));
  await enroll(server.app, "green", await picture(green, 0));
});
afterEach(async () => {
  for (const { app } of openings.splice(0)) await app.close();
  await rm(join(folder, ".."), { recursive: true, force: true });
});

const listOf = async ({ app }: TestServer) => (await app.inject({ url: "/v1/outbox" })).json();
const files = async (of = folder) => (await readdir(of)).filter((name) => name.endsWith(".enroll"));
const drained = async (): Promise<void> => {
  await expect.poll(async () => (await listOf(server)).waiting, { timeout: 10_000 }).toEqual([]);
};
const originsOf = async (label: string): Promise<readonly string[]> =>
  (await at.store.snapshot("line-1")).samples
    .filter((sample) => sample.label === label)
    .map(({ origin }) => origin);

describe("a server with an outbox", () => {
  it("takes enrollments while the store is away and makes them in their order when it is back", async () => {
    at.state = "away";
    for (let seed = 1; seed < 4; seed++) {
      const query = { origin: `${seed}.jpg`, reason: `lot ${seed}` };
      const reply = await enroll(server.app, "blue", await picture(blue, seed), query);
      expect([reply.statusCode, reply.json()]).toMatchObject([
        202,
        {
          id: expect.any(String),
          label: "blue",
          waiting: [`${seed}.jpg`],
          added: [],
          rejected: [],
          revision: 2,
        },
      ]);
      const { waiting } = await listOf(server);
      expect(waiting.at(-1)).toMatchObject({ id: reply.json().id, who: "local", origins: [`${seed}.jpg`] });
    }
    expect(await files()).toHaveLength(3);
    expect((await recognize(server.app, await picture(red, 7))).json()).toMatchObject({ label: "red" });
    const figures = (await server.app.inject({ url: "/metrics" })).payload;
    expect(figures).toContain('protoline_outbox_enrollments{state="waiting"} 3');

    at.state = "there";
    // Behind those that wait, or after them: never before.
    const last = await enroll(server.app, "blue", await picture(blue, 4), { origin: "4.jpg" });
    expect([201, 202]).toContain(last.statusCode);
    await drained();
    expect(await originsOf("blue")).toEqual(["1.jpg", "2.jpg", "3.jpg", "4.jpg"]);
    expect((await at.store.history("line-1")).map(({ reason }) => reason)).toContain("lot 2");
    expect((await recognize(server.app, await picture(blue, 7))).json()).toMatchObject({ label: "blue" });
    expect(await files()).toEqual([]);
    expect((await enroll(server.app, "blue", await picture(blue, 5))).statusCode).toBe(201);
  });

  it("says at once which pictures it cannot take", async () => {
    at.state = "away";
    const { headers, payload } = multipart([
      { name: "good.jpg", bytes: await picture(blue, 1) },
      { name: "cut.jpg", bytes: (await picture(blue, 2)).subarray(0, 300) },
    ]);
    const url = "/v1/galleries/line-1/classes/blue/samples";
    const reply = await server.app.inject({ method: "POST", url, headers, payload });
    expect([reply.statusCode, reply.json()]).toMatchObject([
      202,
      { waiting: ["good.jpg"], rejected: [{ origin: "cut.jpg", code: "IMAGE_BROKEN" }] },
    ]);
    const none = await enroll(server.app, "blue", Buffer.from("no picture"));
    expect([none.statusCode, none.json()]).toMatchObject([
      415,
      { error: { code: "IMAGE_UNSUPPORTED" }, report: { added: [] } },
    ]);
    const far = await enroll(server.app, "blue", await picture(blue, 3), { region: "0,0,5000,5000" });
    expect(far.json().error.code).toBe("REGION_OUTSIDE");
    expect((await enroll(server.app, " ", await picture(blue, 3))).json().error.code).toBe("LABEL_INVALID");
    expect(await files()).toHaveLength(1);
    // Other changes, and galleries that are not open, are refused as without an outbox.
    const removal = await server.app.inject({ method: "DELETE", url: "/v1/galleries/line-1/classes/red" });
    const other = await enroll(server.app, "red", await picture(red, 3), {}, "line-2");
    for (const { statusCode, headers } of [removal, other])
      expect([statusCode, headers["retry-after"]]).toEqual([503, "1"]);
  });

  it("keeps what cannot be made with its reason, and goes on", async () => {
    at.state = "away";
    const { headers, payload } = multipart([
      { name: "taken.jpg", bytes: await picture(red, 0) },
      { name: "new.jpg", bytes: await picture(blue, 1) },
    ]);
    const url = "/v1/galleries/line-1/classes/blue/samples";
    const half = (await server.app.inject({ method: "POST", url, headers, payload })).json();
    await enroll(server.app, "blue", await picture(blue, 2), { origin: "2.jpg" });
    at.state = "there";
    await drained();
    expect(await originsOf("blue")).toEqual(["new.jpg", "2.jpg"]);
    const { refused } = await listOf(server);
    expect(refused).toMatchObject([
      { id: half.id, code: "SAMPLE_IN_OTHER_CLASS", message: expect.stringContaining('"taken.jpg"') },
    ]);
    await stop();
    server = await start();
    expect((await listOf(server)).refused).toEqual(refused);
    expect(await files(join(folder, "refused"))).toHaveLength(1);
    const figures = (await server.app.inject({ url: "/metrics" })).payload;
    expect(figures).toContain('protoline_outbox_enrollments{state="refused"} 1');

    // Mended and moved back, it is made; what is in already is no harm.
    const { samples } = await at.store.snapshot("line-1");
    const taken = samples.find(({ label }) => label === "red")!;
    await at.store.removeSamples("line-1", [taken.id], { who: "test" });
    await stop();
    const [file] = (await files(join(folder, "refused"))) as [string];
    await rename(join(folder, "refused", file), join(folder, file));
    server = await start();
    await drained();
    expect(await originsOf("blue")).toEqual(["new.jpg", "2.jpg", "taken.jpg"]);
    expect((await listOf(server)).refused).toEqual([]);
  });

  it("starts with what a server that was killed left: whole files, half ones, and some that are none", async () => {
    at.state = "away";
    await enroll(server.app, "blue", await picture(blue, 1), { origin: "1.jpg" });
    await enroll(server.app, "blue", await picture(blue, 2), { origin: "2.jpg" });
    const [first, second] = (await files()) as [string, string];
    await stop();
    await writeFile(join(folder, "000000000009-x.enroll.part"), "{");
    const whole = await readFile(join(folder, second));
    await writeFile(join(folder, second), whole.subarray(0, whole.length - 1));
    at.state = "there";
    server = await start();
    await drained();
    expect(await originsOf("blue")).toEqual(["1.jpg"]);
    expect(await readdir(folder)).toEqual(["refused"]);
    expect(await files(join(folder, "refused"))).toEqual([second]);
    expect(first < second).toBe(true);
  });

  it("makes a change once whose answer was lost, on behalf of who sent it", async () => {
    const file = join(folder, "../audit.jsonl");
    const audit = await openAuditLog({ file });
    await stop();
    server = await start({ audit });
    const authorization = `Bearer ${await newKey(at.store, "station 4", ["enroll", "recognize", "read"])}`;
    await sleep(1100);
    const headers = { authorization, "content-type": "image/jpeg" };
    at.state = "losing";
    const reply = await server.app.inject({
      ...{ method: "POST", url: "/v1/galleries/line-1/classes/blue/samples?origin=1.jpg", headers },
      payload: await picture(blue, 1),
    });
    expect(reply.statusCode).toBe(202);
    at.state = "there";
    await expect.poll(files, { timeout: 5000 }).toEqual([]);
    expect(await originsOf("blue")).toEqual(["1.jpg"]);
    await stop();
    await audit.close();
    expect(await verifyAudit(file)).toMatchObject({ problem: null, open: [] });
    const lines = (await readFile(file, "utf8")).trim().split("\n");
    const events = lines.map((line) => JSON.parse(line).event).filter((one) => one.phase === "begin");
    expect(events).toHaveLength(2);
    for (const event of events)
      expect(event).toMatchObject({ who: "station 4", request: reply.headers["x-request-id"] });
  });

  it("refuses to start over a folder that is none, and enrollments that it cannot keep", async () => {
    const taken = join(folder, "../file");
    await writeFile(taken, "");
    const broken = await testServer({ store: at.store, outbox: taken });
    await expect(broken.app.ready()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await broken.app.close();
    at.state = "away";
    await rm(folder, { recursive: true });
    const reply = await enroll(server.app, "blue", await picture(blue, 1));
    expect([reply.statusCode, reply.json().error.code]).toEqual([503, "STORE_UNAVAILABLE"]);
    expect((await listOf(server)).waiting).toEqual([]);
  });

  it("loses and doubles nothing and keeps the order, whatever comes and goes", async () => {
    const images = await Promise.all(Array.from({ length: 12 }, (_, seed) => picture(blue, seed + 1)));
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ enroll: fc.nat(images.length - 1) }) },
      fc.constantFrom("away", "there", "losing", "restart", "wait"),
    );
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
        const label = `blue ${round++}`;
        const expected: number[] = [];
        const again = async () => {
          await stop();
          // A server needs its store once to start.
          at.state = "there";
          server = await start();
          await recognize(server.app, images[0]!);
        };
        for (const it of steps)
          if (typeof it === "object") {
            const query = { origin: `${it.enroll}`, allowOtherClass: "true" };
            const { statusCode } = await enroll(server.app, label, images[it.enroll]!, query);
            expect([200, 201, 202]).toContain(statusCode);
            if (!expected.includes(it.enroll)) expected.push(it.enroll);
          } else if (it === "restart") await again();
          else if (it === "wait") await sleep(20);
          else at.state = it;
        at.state = "there";
        await drained();
        expect((await listOf(server)).refused).toEqual([]);
        expect(await originsOf(label)).toEqual(expected.map(String));
      }),
      { numRuns: 12, seed: 3 },
    );
  }, 60_000);
});
