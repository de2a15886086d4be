import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import { createRng } from "../src/core/index.ts";
import { openStore } from "../src/store/index.ts";
import { gallery } from "./store.contract.ts";
import { describeWith, type Found, type Place, postgresServer, redisServer } from "./store-servers.ts";

/** Two writers at a time, each killed in the middle of its work: 2 × 6 kills a server. */
const rounds = 6;

const child = fileURLToPath(new URL("./store-child.mjs", import.meta.url));

interface Acknowledged {
  readonly number: number;
  readonly hash: string;
  readonly samples: readonly { readonly id: string; readonly origin: string }[];
}

/** Runs a writer until it has changed something and then for `ms` more; what it was told is done. */
async function writeAndDie(address: string, seed: number, ms: number): Promise<Acknowledged[]> {
  const writer = spawn(process.execPath, [child, address, `${seed}`], { stdio: ["ignore", "pipe", "pipe"] });
  const acknowledged: Acknowledged[] = [];
  let errors = "";
  writer.stderr.on("data", (data) => {
    errors += data;
  });
  const lines = createInterface({ input: writer.stdout });
  lines.on("line", (line) => acknowledged.push(JSON.parse(line)));
  const closed = new Promise<void>((resolve) => lines.once("close", resolve));
  await Promise.race([new Promise((resolve) => lines.once("line", resolve)), closed]);
  await new Promise((resolve) => setTimeout(resolve, ms));
  writer.kill("SIGKILL");
  await closed;
  expect([errors, writer.exitCode]).toEqual(["", null]);
  return acknowledged;
}

it("the writers of these tests run over dist/, which `npm run build` makes", () =>
  expect(existsSync(new URL("../dist/store/index.js", import.meta.url))).toBe(true));

function kills(kind: string, found: Found<Place>): void {
  describeWith(found, (place) => {
    afterAll(() => place.remove());

    it(`a writer that dies half-way leaves nothing in a ${kind} store, and nothing acknowledged is lost`, async () => {
      const address = place.fresh();
      const store = await openStore(address);
      await store.createGallery(gallery("line", { dim: 64 }));
      const rng = createRng(9);
      const acknowledged: Acknowledged[] = [];
      for (let round = 0; round < rounds; round++) {
        const seeds = [2 * round, 2 * round + 1];
        const done = await Promise.all(seeds.map((seed) => writeAndDie(address, seed, 200 * rng.next())));
        acknowledged.push(...done.flat());
      }
      const history = (await store.history("line")).toReversed();
      const head = await store.head("line");
      expect(history.map(({ number }) => number)).toEqual(Array.from({ length: head + 1 }, (_, i) => i));
      for (const { number, samples, classes } of history) {
        const snapshot = await store.snapshot("line", number);
        expect(snapshot.samples).toHaveLength(samples);
        expect(new Set(snapshot.samples.map(({ label }) => label)).size).toBe(classes);
      }
      for (const { number, hash, samples } of acknowledged) {
        expect(history[number]!.hash).toBe(hash);
        for (const { id, origin } of samples) {
          const image = await store.image("line", id);
          expect(image && Buffer.from(image.bytes).toString()).toBe(origin);
        }
      }
      expect(acknowledged.length).toBeGreaterThanOrEqual(2 * rounds);
      const { samples } = await store.snapshot("line");
      for (const { label, n, sum } of await store.classStatistics("line")) {
        const first = samples.filter((one) => one.label === label).map(({ embeddings }) => embeddings[0]!);
        expect(n).toBe(first.length);
        expect(sum).toEqual(sum.map((_, i) => first.reduce((total, x) => total + x[i]!, 0)));
      }
      await store.close();
    }, 180_000);
  });
}

kills("postgres", await postgresServer());
kills("redis", await redisServer());
