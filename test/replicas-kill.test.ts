import { type ChildProcess, spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { drawPart, type PartKind } from "../src/cli/demo/parts.ts";
import { createRng } from "../src/core/index.ts";
import { openStore } from "../src/store/index.ts";
import { environment, main, newFolder } from "./cli-help.ts";
import { type Instance, postgresInstance, redisInstance } from "./store-instances.ts";
import { describeWith, type Found } from "./store-servers.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const waiting = { timeout: 60_000, interval: 20 };

/** A server of its own process, which may be killed and started again. */
interface Replica {
  /** `null` while it is not there. */
  address: string | null;
  child: ChildProcess | undefined;
  start(): Promise<void>;
  kill(): Promise<void>;
}

function replica(folder: string, store: string, more: readonly string[]): Replica {
  const it: Replica = {
    address: null,
    child: undefined,
    async start() {
      const args = [
        "serve",
        "--port",
        "0",
        "--json",
        "--workers",
        "1",
        "--answer-within-ms",
        "60000",
        ...more,
      ];
      const child = spawn(process.execPath, [main, ...args], {
        ...{ cwd: folder, env: environment(folder, { PROTOLINE_STORE: store }) },
        stdio: ["ignore", "pipe", "pipe"],
      });
      it.child = child;
      let output = "";
      it.address = await new Promise<string>((resolve, reject) => {
        for (const stream of [child.stdout, child.stderr])
          stream.setEncoding("utf8").on("data", (text: string) => {
            output += text;
            const found = /"address":"([^"]+)"/.exec(output);
            if (found) resolve(found[1]!);
          });
        child.once("close", () => reject(new Error(output)));
      });
    },
    async kill() {
      it.address = null;
      const { child } = it;
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGKILL");
      await gone;
    },
  };
  return it;
}

let folder: string;
const replicas: Replica[] = [];
beforeAll(async () => {
  folder = await newFolder();
});
afterEach(async () => {
  for (const it of replicas.splice(0)) await it.kill();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const post = (url: string, body: Uint8Array): Promise<Response> =>
  fetch(url, { method: "POST", headers: { "content-type": "image/jpeg" }, body: Buffer.from(body) });

function kills(kind: string, found: Found<Instance>): void {
  describeWith(found, (instance) => {
    afterAll(() => instance.remove());
    const opened = () => openStore(instance.address).catch(() => null);

    it(`servers over ${kind} that are killed lose nothing acknowledged, with an outbox even while the store is away`, async () => {
      instance.start();
      await expect.poll(async () => (await opened())?.close() ?? "away", waiting).toBe(undefined);
      const outbox = join(folder, `outbox ${kind}`);
      const one = replica(folder, instance.address, ["--outbox", outbox]);
      const two = replica(folder, instance.address, []);
      replicas.push(one, two);
      for (const it of replicas) await it.start();
      const galleries = `${one.address}/v1/galleries`;
      const headers = { "content-type": "application/json" };
      await fetch(galleries, { method: "POST", headers, body: JSON.stringify({ name: "line" }) });

      const rng = createRng(7);
      const known: { readonly label: PartKind; readonly bytes: Uint8Array }[] = [];
      for (const label of ["gear", "washer"] as const)
        for (let i = 0; i < 3; i++) {
          const bytes = await drawPart(label, rng.fork(known.length));
          known.push({ label, bytes });
          const reply = await post(`${galleries}/line/classes/${label}/samples`, bytes);
          expect(reply.status).toBe(201);
        }

      let running = true;
      let away = false;
      /** Origins in the order in which each server acknowledged them. */
      const acknowledged = { one: [] as string[], two: [] as string[] };
      const count = { answers: 0, made: 0, later: 0, refused: 0, cut: 0 };
      const write = async (name: keyof typeof acknowledged, it: Replica): Promise<void> => {
        for (let i = 0; running; i++) {
          await sleep(30);
          if (it.address === null) continue;
          const [label, origin] = [i % 2 ? "gear" : "washer", `${name}-${i}`] as const;
          const bytes = await drawPart(label, createRng(i + (name === "one" ? 1e6 : 2e6)));
          const url = `${it.address}/v1/galleries/line/classes/${label}/samples?origin=${origin}`;
          const reply = await post(url, bytes).catch(() => null);
          // The body too may be cut off by the kill: then nothing is known to be acknowledged.
          const body = (await reply?.json().catch(() => null)) as { error?: { code: string } } | null;
          if (!reply || !body) count.cut++;
          else if (reply.status === 201 || reply.status === 202) {
            acknowledged[name].push(origin);
            count[reply.status === 201 ? "made" : "later"]++;
          } else {
            expect([reply.status, body.error?.code]).toEqual([503, expect.stringMatching(/^STORE_/)]);
            count.refused++;
            await sleep(20);
          }
        }
      };
      const read = async (it: Replica): Promise<void> => {
        for (let i = 0; running; i++) {
          await sleep(50);
          const { label, bytes } = known[i % known.length]!;
          const at = it.address;
          if (at === null) continue;
          const reply = await post(`${at}/v1/galleries/line/recognize`, bytes).catch(() => null);
          const body = await reply?.json().catch(() => null);
          if (!reply || !body) {
            expect(it).not.toBe(two);
            continue;
          }
          // A server that was just started has no gallery open yet; without the store it cannot open one.
          if (away && it === one && reply.status === 503) continue;
          expect([reply.status, body]).toMatchObject([200, { kind: "known", label }]);
          count.answers++;
        }
      };
      const more = async (of: keyof typeof count | keyof typeof acknowledged, by: number): Promise<void> => {
        const now = () => (of === "one" || of === "two" ? acknowledged[of].length : count[of]);
        const before = now();
        await expect.poll(now, waiting).toBeGreaterThanOrEqual(before + by);
      };
      const load = Promise.all([write("one", one), write("two", two), read(one), read(two)]);

      const story = (async () => {
        // A server dies; the other goes on.
        await more("one", 3);
        await sleep(100 * rng.next());
        await one.kill();
        await more("two", 2);
        await more("answers", 4);
        await one.start();
        await more("one", 3);
        // The store dies, then the server that keeps enrollments, and then this server again while it makes them.
        away = true;
        await instance.kill();
        await more("later", 15);
        await more("refused", 1);
        await more("answers", 4);
        await sleep(50 * rng.next());
        await one.kill();
        instance.start();
        await expect.poll(async () => (await opened())?.close() ?? "away", waiting).toBe(undefined);
        away = false;
        for (let round = 0; round < 2; round++) {
          await one.start();
          await sleep(500 + 500 * rng.next());
          await one.kill();
        }
        await one.start();
        await more("two", 2);
      })().finally(() => {
        running = false;
      });
      await Promise.race([load, story]);
      await story;
      await load;

      const rest = async () => (await (await fetch(`${one.address}/v1/outbox`)).json()) as object;
      await expect.poll(rest, waiting).toEqual({ waiting: [], refused: [] });
      const store = (await opened())!;
      const { samples, revision } = await store.snapshot("line");
      const history = await store.history("line");
      await store.close();
      const origins = samples.map(({ origin }) => origin);
      expect(new Set(samples.map(({ contentHash }) => contentHash)).size).toBe(samples.length);
      for (const name of ["one", "two"] as const) {
        const there = origins.filter((origin) => origin.startsWith(`${name}-`));
        expect(acknowledged[name].filter((origin) => !there.includes(origin))).toEqual([]);
        // In the order in which they were sent, one after the other.
        const numbers = there.map((origin) => Number(origin.slice(4)));
        expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      }
      expect(history.toReversed().map(({ number, samples }) => [number, samples])).toEqual(
        Array.from({ length: revision.number + 1 }, (_, i) => [i, i]),
      );
      for (const { address } of [one, two])
        await expect
          .poll(async () => {
            const reply = await post(`${address}/v1/galleries/line/recognize`, known[0]!.bytes);
            return ((await reply.json()) as { revision: number }).revision;
          }, waiting)
          .toBe(revision.number);
      if (process.env.PROTOLINE_FIGURES) console.log(`${kind}: ${JSON.stringify(count)}`);
    }, 180_000);
  });
}

kills("postgres", await postgresInstance());
kills("redis", await redisInstance());
