import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { Agent, type OutgoingHttpHeaders, request } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Served, type ServedOptions, startServed } from "../scripts/soak/child.ts";
import { verifyAudit } from "../src/audit/index.ts";
import { drawPart, type PartKind } from "../src/cli/demo/parts.ts";
import { createRng } from "../src/core/index.ts";
import { createApiKey } from "../src/server/index.ts";
import { openStore } from "../src/store/index.ts";
import { newFolder } from "./cli-help.ts";
import { hugePng } from "./server-help.ts";

/** Faults of clients and of the machine, over a real `protoline serve`: no wrong answer, nothing acknowledged that is lost. */

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const mib = 2 ** 20;
const gallery = "/v1/galleries/line";

let folder: string;
let known: readonly { readonly label: PartKind; readonly bytes: Uint8Array<ArrayBuffer> }[];
let served: Served | undefined;
beforeAll(async () => {
  folder = await newFolder();
  const kinds = ["gear", "washer"] as const;
  known = await Promise.all(
    Array.from({ length: 6 }, async (_, i) => {
      const label = kinds[i % 2]!;
      return { label, bytes: new Uint8Array(await drawPart(label, createRng(i))) };
    }),
  );
});
afterEach(() => served?.stop("SIGKILL"));
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Reply {
  readonly status: number;
  readonly text: string;
}
const agent = new Agent({ keepAlive: true });
afterAll(() => agent.destroy());

function send(
  method: string,
  path: string,
  body?: Uint8Array | string,
  headers: OutgoingHttpHeaders = { "content-type": "image/jpeg" },
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const options = { method, agent, headers: { ...headers, "content-length": body?.length ?? 0 } };
    const sent = request(`${served!.address}${path}`, options, (reply) => {
      let text = "";
      reply.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      reply.on("end", () => resolve({ status: reply.statusCode!, text }));
      reply.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const enroll = (label: string, bytes: Uint8Array, origin: string): Promise<Reply> =>
  send("POST", `${gallery}/classes/${label}/samples?origin=${origin}`, bytes);

/** A server whose gallery `line` holds the known pictures; frames are never refused for being late. */
async function start(options: Omit<ServedOptions, "folder"> & { readonly store: string }): Promise<Served> {
  const { store, args = [], env, ...rest } = options;
  const made = await startServed({
    ...{ folder, ...rest, args: ["--answer-within-ms", "60000", ...args] },
    env: { PROTOLINE_STORE: store, ...env },
  });
  served = made;
  const created = await send("POST", "/v1/galleries", '{"name":"line"}', {
    "content-type": "application/json",
  });
  if (created.status === 201)
    for (const [i, { label, bytes }] of known.entries())
      expect((await enroll(label, bytes, `known-${i}`)).status).toBe(201);
  return made;
}

/** Asks for a known picture; it must be known by its name. */
async function right(i: number): Promise<{ readonly revision: number; readonly ms: Record<string, number> }> {
  const { label, bytes } = known[i % known.length]!;
  const { status, text } = await send("POST", `${gallery}/recognize`, bytes);
  const answer = JSON.parse(text);
  expect([status, answer]).toMatchObject([200, { kind: "known", label }]);
  return answer;
}
const origins = async (): Promise<string[]> =>
  JSON.parse((await send("GET", `${gallery}/samples`)).text).samples.map(
    ({ origin }: { origin: string }) => origin,
  );
const figures = async (headers: OutgoingHttpHeaders = {}): Promise<string> =>
  (await send("GET", "/metrics", undefined, headers)).text;
const errorsOfItsOwn = (text: string): string[] =>
  text.split("\n").filter((line) => /^protoline_http_requests_total\{.*status="5\d\d"/.test(line));

/** A connection that was opened and has sent `text`; what comes back is kept only where somebody reads. */
function open(text: string | Uint8Array): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(served!.port, "127.0.0.1", () => socket.write(text, () => resolve(socket)));
    socket.once("error", reject);
  });
}
const head = (path: string, length: number, type = "image/jpeg"): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`;

describe("a server process, and clients as they should not be", () => {
  it("is held up by none that sends slowly, and answers that one rightly in the end", async () => {
    await start({ store: `sqlite:${join(folder, "slow.db")}` });
    const silent = await Promise.all(
      Array.from({ length: 150 }, (_, i) =>
        open(i % 2 ? "POST /v1/galleries/line/reco" : head(`${gallery}/recognize`, 20_000)),
      ),
    );
    for (const socket of silent) socket.on("error", () => undefined);
    // Ten parts with pauses, the whole of which lasts longer than any frame.
    const slow = Array.from({ length: 20 }, async (_, i) => {
      const { label, bytes } = known[i % known.length]!;
      const socket = await open(head(`${gallery}/recognize`, bytes.length));
      let text = "";
      socket.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      for (let part = 0; part < 10; part++) {
        await sleep(200);
        socket.write(
          bytes.subarray(
            Math.floor((bytes.length * part) / 10),
            Math.floor((bytes.length * (part + 1)) / 10),
          ),
        );
      }
      await expect.poll(() => text, { timeout: 30_000 }).toContain('"ms":');
      socket.destroy();
      expect([text.slice(0, 12), JSON.parse(text.split("\r\n\r\n")[1]!)]).toMatchObject([
        "HTTP/1.1 200",
        { kind: "known", label },
      ]);
    });
    for (let i = 0; i < 40; i++) await right(i);
    await Promise.all(slow);
    expect(await origins()).toHaveLength(known.length);
    for (const socket of silent) socket.destroy();
    expect(errorsOfItsOwn(await figures())).toEqual([]);
  }, 90_000);

  it("keeps nothing for one that asks much and reads nothing", async () => {
    const { rss } = await start({ store: `sqlite:${join(folder, "reader.db")}` });
    const page = await send("GET", "/openapi.json");
    expect(page.status).toBe(200);
    for (let i = 0; i < 20; i++) await right(i);
    const before = rss();
    // As many as may be asked ahead, a page of some hundred kilobytes each; more on one connection is hung up on.
    const ask = (times: number) =>
      open("GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(times));
    const readers = await Promise.all(Array.from({ length: 15 }, () => ask(16)));
    const greedy = await Promise.all(Array.from({ length: 15 }, () => ask(1000)));
    for (const socket of [...readers, ...greedy]) socket.pause().on("error", () => undefined);
    // What may be asked ahead, and as much as a warm server grows by; all that they asked for would be much more.
    const ahead = (readers.length + greedy.length) * 16 * page.text.length;
    const bound = ahead + 100 * mib;
    expect(greedy.length * 1000 * page.text.length).toBeGreaterThan(10 * bound);
    let most = 0;
    for (let i = 0; i < 60; i++) {
      await right(i);
      most = Math.max(most, rss());
      await sleep(20);
    }
    expect((most - before) / mib).toBeLessThan(bound / mib);
    for (const socket of greedy) socket.resume();
    await expect.poll(() => greedy.every((socket) => socket.closed)).toBe(true);
    for (const socket of readers) socket.destroy();
    await right(0);
    expect(errorsOfItsOwn(await figures())).toEqual([]);
  }, 90_000);

  it("makes nothing of half a body, whatever it was to be", async () => {
    const { rss } = await start({ store: `sqlite:${join(folder, "half.db")}` });
    const { bytes } = known[0]!;
    const form = `--B\r\ncontent-disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n`;
    const halves = [
      [`${gallery}/recognize`, "image/jpeg", bytes],
      [`${gallery}/classes/gear/samples`, "image/jpeg", bytes],
      [`${gallery}/classes/gear/samples`, "multipart/form-data; boundary=B", Buffer.from(form)],
      [`${gallery}/rollback`, "application/json", Buffer.from('{"to": 1}')],
      ["/v1/galleries/other/import", "application/gzip", bytes],
      ["/v2/models/compact/infer", "application/json", Buffer.from('{"inputs": []}')],
    ] as const;
    const leave = async (): Promise<void> => {
      for (const [path, type, body] of halves) {
        const socket = await open(head(path, body.length, type));
        socket.on("error", () => undefined);
        await new Promise((resolve) => socket.write(body.subarray(0, body.length >> 1), resolve));
        socket.resetAndDestroy();
      }
    };
    for (let i = 0; i < 40; i++) await leave();
    const before = rss();
    for (let i = 0; i < 120; i++) {
      await leave();
      if (i % 10 === 0) await right(i);
    }
    expect((rss() - before) / mib).toBeLessThan(100);
    expect(await origins()).toHaveLength(known.length);
    expect(JSON.parse((await send("GET", gallery)).text).head.number).toBe(known.length);
    await expect.poll(figures).toContain('protoline_recognitions_admitted{which="now"} 0');
    expect(errorsOfItsOwn(await figures())).toEqual([]);
  }, 90_000);

  it("answers 10,000 bodies of garbage with what is wrong with them, and does not grow", async () => {
    const store = `sqlite:${join(folder, "garbage.db")}`;
    const { rss } = await start({ store });
    // Keys of their own, as one may ask 6,000 times a minute.
    const opened = await openStore(store);
    const keys: string[] = [];
    for (let i = 0; i < 8; i++) {
      const { key, record } = createApiKey({ name: `sender ${i}`, scopes: ["admin"] });
      await opened.putApiKey(record);
      keys.push(key);
    }
    await opened.close();
    await sleep(1100);
    const bomb = hugePng(60_000, 60_000);
    const heads = [
      "",
      "ffd8ffe000104a464946",
      "89504e470d0a1a0a",
      "52494646ffffffff57454250",
      "47494638396100ff",
      "49492a0008000000",
      "1f8b08",
    ];
    const statuses = new Map<number, number>();
    let next = 0;
    const sender = async (key: string, until: number): Promise<void> => {
      while (next < until) {
        const i = next++;
        const rng = createRng(i);
        const noise = Buffer.from(Uint8Array.from({ length: rng.int(1500) }, () => rng.int(256)));
        const garbage =
          i % 50 === 0 ? bomb : Buffer.concat([Buffer.from(heads[i % heads.length]!, "hex"), noise]);
        const image = { authorization: `Bearer ${key}`, "content-type": "image/jpeg" };
        const json = { ...image, "content-type": "application/json" };
        const multipart = { ...image, "content-type": "multipart/form-data; boundary=B" };
        const reply = await [
          () => send("POST", `${gallery}/recognize`, garbage, image),
          () => send("POST", `${gallery}/classes/gear/samples`, garbage, image),
          () => send("POST", `${gallery}/recognize`, garbage, multipart),
          () => send("POST", "/v1/galleries", garbage, json),
          () => send("POST", "/v2/models/compact/infer", garbage, json),
          () =>
            send("POST", "/v1/galleries/other/import", garbage, {
              ...image,
              "content-type": "application/gzip",
            }),
        ][i % 6]!();
        statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
        const { error } = JSON.parse(reply.text);
        expect([i, reply.status, typeof (error.code ?? error)]).toEqual([
          i,
          expect.toSatisfy((s) => s >= 400 && s < 500),
          "string",
        ]);
      }
    };
    const all = async (until: number): Promise<void> => {
      await Promise.all(keys.map((key) => sender(key, until)));
    };
    await all(4000);
    const before = rss();
    await all(10_000);
    expect((rss() - before) / mib).toBeLessThan(80);
    expect([...statuses.values()].reduce((a, b) => a + b, 0)).toBe(10_000);
    const authorization = `Bearer ${keys[0]}`;
    const { label, bytes } = known[0]!;
    const reply = await send("POST", `${gallery}/recognize`, bytes, {
      authorization,
      "content-type": "image/jpeg",
    });
    expect([reply.status, JSON.parse(reply.text)]).toMatchObject([200, { label, revision: known.length }]);
    expect(errorsOfItsOwn(await figures({ authorization }))).toEqual([]);
  }, 240_000);
});

describe("a server process whose clock is set", () => {
  it("goes on answering, enrolling and measuring when it jumps an hour on, back, and home again", async () => {
    const hour = 3_600_000;
    const jumps = [hour, -hour, 0];
    const clock = fileURLToPath(new URL("support/shifted-clock.mjs", import.meta.url));
    const { child } = await start({
      ...{ store: `sqlite:${join(folder, "clock.db")}`, node: ["--import", clock] },
      env: { PROTOLINE_TEST_JUMPS: jumps.join() },
    });
    let going = true;
    let answers = 0;
    const load = Promise.all(
      Array.from({ length: 3 }, async (_, sender) => {
        let revision = 0;
        for (let i = sender; going; i++) {
          const answer = await right(i);
          expect(answer.revision).toBeGreaterThanOrEqual(revision);
          revision = answer.revision;
          for (const ms of Object.values(answer.ms))
            expect(ms >= 0 && ms < 60_000, JSON.stringify(answer.ms)).toBe(true);
          answers++;
        }
      }),
    );
    const story = (async () => {
      for (const [i, jump] of jumps.entries()) {
        child.kill("SIGUSR2");
        const origin = `jump-${i}`;
        const bytes = new Uint8Array(await drawPart("bolt", createRng(100 + i)));
        await sleep(200);
        expect((await enroll("bolt", bytes, origin)).status).toBe(201);
        const { samples } = JSON.parse((await send("GET", `${gallery}/samples?label=bolt`)).text);
        const { time } = samples.find((sample: { origin: string }) => sample.origin === origin);
        expect(Math.abs(time - (Date.now() + jump))).toBeLessThan(60_000);
        // Longer than the interval in which the store is looked at.
        const before = answers;
        await sleep(1500);
        expect(answers).toBeGreaterThan(before);
      }
    })().finally(() => {
      going = false;
    });
    await Promise.race([load, story]);
    await story;
    await load;
    const { revisions } = JSON.parse((await send("GET", `${gallery}/revisions`)).text);
    expect(revisions.map(({ number }: { number: number }) => number)).toEqual(
      Array.from({ length: known.length + jumps.length + 1 }, (_, i) => known.length + jumps.length - i),
    );
    expect(errorsOfItsOwn(await figures())).toEqual([]);
  }, 90_000);
});

/** A disk of a few megabytes: a file system in memory that the processes of one namespace see alone; needs no rights. */
const namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"] as const;
const mount = 'mount -t tmpfs -o size=4m tmpfs "$0"';
const tried = spawnSync(namespace[0], [...namespace.slice(1), mount, "/tmp"], { encoding: "utf8" });
const noDisk = tried.status === 0 ? "" : ` (skipped: ${tried.error?.message ?? tried.stderr.trim()})`;

describe.skipIf(noDisk !== "")(`a server process whose disk is full${noDisk}`, () => {
  let keeper: ChildProcess | undefined;
  afterAll(() => keeper?.kill("SIGKILL"));

  it("goes on recognizing, refuses what it cannot keep, loses nothing of what it took, and takes more when there is room", async () => {
    const disk = join(folder, "disk");
    await mkdir(disk);
    keeper = spawn(
      namespace[0],
      [...namespace.slice(1), `${mount} && echo mounted && exec sleep 600`, disk],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    await new Promise((resolve) => keeper!.stdout!.once("data", resolve));
    const seen = `/proc/${keeper.pid}/root${disk}`;
    const options = {
      store: `sqlite:${join(disk, "full.db")}`,
      args: ["--audit", join(disk, "audit.jsonl"), "--tray", join(disk, "tray")],
      through: [
        "nsenter",
        "--target",
        String(keeper.pid),
        "--user",
        "--mount",
        "--preserve-credentials",
        "--",
      ],
    };
    await start(options);
    const filler = join(seen, "filler");
    await writeFile(filler, Buffer.alloc(2 * mib));

    const acknowledged = known.map((_, i) => `known-${i}`);
    const refusals = new Map<string, number>();
    let drawn = 0;
    const more = async (): Promise<boolean> => {
      const origin = `more-${drawn}`;
      const bytes = new Uint8Array(await drawPart("bracket", createRng(1000 + drawn++)));
      const { status, text } = await enroll("bracket", bytes, origin);
      if (status === 201) acknowledged.push(origin);
      else {
        const { code } = JSON.parse(text).error;
        expect([status, code]).toEqual(code === "STORE_FULL" ? [507, code] : [503, "AUDIT_UNAVAILABLE"]);
        refusals.set(code, (refusals.get(code) ?? 0) + 1);
      }
      await right(drawn);
      return status === 201;
    };
    // Unknown frames fill it too.
    for (let i = 0; i < 10; i++)
      expect(
        (await send("POST", `${gallery}/recognize`, await drawPart("motor housing", createRng(i)))).status,
      ).toBe(200);
    for (let refused = 0; refused < 12; ) if (!(await more())) refused++;
    await expect(writeFile(join(seen, "one-more"), Buffer.alloc(mib))).rejects.toMatchObject({
      code: "ENOSPC",
    });
    await rm(join(seen, "one-more"), { force: true });
    expect(acknowledged.length).toBeGreaterThan(known.length);
    expect(await origins()).toEqual(acknowledged);
    const unfinished = async () =>
      (await readdir(join(seen, "tray"))).filter((name) => name.endsWith(".part"));
    await expect.poll(unfinished).toEqual([]);

    await rm(filler);
    for (let i = 0; i < 5; i++) expect(await more()).toBe(true);
    await served!.stop("SIGKILL");
    await start(options);
    expect(await origins()).toEqual(acknowledged);
    for (let i = 0; i < known.length; i++) await right(i);
    expect(await more()).toBe(true);
    expect(await served!.stop()).toBe(0);
    expect(await verifyAudit(join(seen, "audit.jsonl"))).toMatchObject({ problem: null });
    expect([...refusals.values()].reduce((a, b) => a + b, 0)).toBe(12);
  }, 120_000);
});
