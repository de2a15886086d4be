import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  embedWork,
  localExecutor,
  type Piece,
  queueExecutor,
  reembed,
  results,
  runJob,
  startWorker,
} from "../src/jobs/index.ts";
import { openEncoder } from "../src/models/index.ts";
import { Recognizer } from "../src/recognizer/index.ts";
import { openStore } from "../src/store/index.ts";
import { drawInto, environment, lines, main, newFolder, protoline } from "./cli-help.ts";

const url = "redis://127.0.0.1:6379";
const answers = await new Promise<boolean>((resolve) => {
  const socket = connect(6379, "127.0.0.1", () => {
    socket.destroy();
    resolve(true);
  });
  socket.on("error", () => resolve(false));
});
if (!answers && process.env.CI) throw new Error(`CI needs a Redis at ${url}`);
if (!answers) console.warn(`no Redis at ${url}: the tests of the job queue are skipped`);

const pieces = (n: number): Piece[] =>
  Array.from({ length: n }, (_, i) => ({ id: `piece-${i}`, kind: "square", input: i }));
const square = async ({ input }: Piece): Promise<number> => (input as number) ** 2;
const all = async (folder: string, of: readonly Piece[]): Promise<unknown[]> => {
  const found: unknown[] = [];
  for await (const one of results(folder, of)) found.push(one);
  return found;
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-jobs-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a job", () => {
  it("goes on where it was stopped, and does no piece twice", async () => {
    const stop = new AbortController();
    const done: unknown[] = [];
    const executor = localExecutor(async (piece) => {
      done.push(piece.input);
      if (done.length === 4) stop.abort();
      return square(piece);
    });
    const first = await runJob({ pieces: pieces(10), executor, folder, signal: stop.signal });
    expect(first).toMatchObject({ done: 4, total: 10, kept: 0, failed: [] });
    const told: number[] = [];
    const second = await runJob({
      ...{ pieces: pieces(10), executor, folder },
      onProgress: (progress) => told.push(progress.done),
    });
    expect(second).toMatchObject({ done: 10, total: 10, kept: 4 });
    expect(told).toEqual([4, 5, 6, 7, 8, 9, 10]);
    expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(await all(folder, pieces(10))).toEqual([0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
  });

  it("does the other pieces when one fails, and that one the next time; half a file counts for nothing", async () => {
    await writeFile(join(folder, "piece-2.json.part"), "[1, 2");
    let broken = true;
    const executor = localExecutor(async (piece) => {
      if (broken && piece.input === 1) throw new Error("no memory");
      return square(piece);
    });
    const report = await runJob({ pieces: pieces(3), executor, folder });
    expect(report).toMatchObject({ done: 2, failed: [{ id: "piece-1", reason: "no memory" }] });
    broken = false;
    expect(await runJob({ pieces: pieces(3), executor, folder })).toMatchObject({ done: 3, kept: 2 });
    expect(await all(folder, pieces(3))).toEqual([0, 1, 4]);
  });
});

describe.runIf(answers)("the queue", () => {
  const prefix = `protoline-test-${randomUUID()}`;
  afterAll(async () => {
    const redis = new Redis(url);
    for (const key of await redis.keys(`${prefix}*`)) await redis.del(key);
    await redis.quit();
  });

  it("shares the pieces among workers, each once, and hands their results back", async () => {
    const times = new Map<string, number>();
    const work = async (piece: Piece): Promise<number> => {
      times.set(piece.id, (times.get(piece.id) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return square(piece);
    };
    const workers = await Promise.all([1, 2].map(() => startWorker({ url, prefix, work })));
    const executor = await queueExecutor({ url, prefix });
    const report = await runJob({ pieces: pieces(60), executor, folder });
    await executor.close();
    await Promise.all(workers.map((worker) => worker.close()));
    expect(report).toMatchObject({ done: 60, failed: [] });
    expect(await all(folder, pieces(60))).toEqual(pieces(60).map(({ input }) => (input as number) ** 2));
    expect([...times.values()]).toEqual(Array(60).fill(1));
  });

  it("tries a piece again, says why one failed for good, and takes it anew when it is asked for again", async () => {
    let tries = 0;
    let broken = true;
    const worker = await startWorker({
      ...{ url, prefix },
      work: async (piece) => {
        if (piece.input === 0 && tries++ === 0) throw new Error("once");
        if (piece.input === 1 && broken) throw new Error("for good");
        return square(piece);
      },
    });
    const executor = await queueExecutor({ url, prefix });
    const some = pieces(2).map((piece) => ({ ...piece, id: `again-${piece.id}` }));
    const report = await runJob({ pieces: some, executor, folder });
    expect(report).toMatchObject({ done: 1, failed: [{ reason: "for good" }] });
    broken = false;
    expect(await runJob({ pieces: some, executor, folder })).toMatchObject({ done: 2, kept: 1, failed: [] });
    await executor.close();
    await worker.close();
  });

  it("gives the piece of a worker that was killed to another", { timeout: 40_000 }, async () => {
    const child = spawn(process.execPath, [
      fileURLToPath(new URL("jobs-child.mjs", import.meta.url)),
      ...[url, prefix],
    ]);
    const taken = new Promise((resolve) => child.stdout.once("data", resolve));
    const executor = await queueExecutor({ url, prefix });
    const [piece] = pieces(1).map((one) => ({ ...one, id: "orphan", input: 7 }));
    const result = executor.execute(piece!);
    await taken;
    child.kill("SIGKILL");
    const worker = await startWorker({ url, prefix, work: square, silenceMs: 1000 });
    expect(await result).toBe(49);
    await executor.close();
    await worker.close();
  });

  it("says that no Redis is there", async () => {
    for (const wrong of ["redis://127.0.0.1:9", "http://127.0.0.1:6379", "nothing"])
      await expect(queueExecutor({ url: wrong })).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE" });
  });
});

describe("protoline backfill", () => {
  let home: string;
  beforeAll(async () => {
    home = await newFolder();
    for (const [i, kind] of (["washer", "bolt"] as const).entries()) {
      await drawInto(join(home, "parts", kind), kind, 8, i);
      await drawInto(join(home, "frames", kind), kind, 6, 10 + i);
    }
    await writeFile(join(home, "frames/bolt/broken.jpg"), "no picture");
    await protoline(home, ["enroll", "parts"]);
  });
  afterAll(() => rm(home, { recursive: true, force: true }));
  const told = async (out: string): Promise<{ file: string; kind?: string; error?: { code: string } }[]> =>
    lines(await readFile(join(home, out, "results.jsonl"), "utf8")).map((text) => JSON.parse(text));

  it("answers a folder piece by piece, counts what is right, and does only what is new the next time", async () => {
    const args = ["backfill", "frames", "--out", "done", "--piece", "4", "--truth", "--json"];
    const first = await protoline(home, args);
    expect(first.code).toBe(8);
    expect(JSON.parse(first.out)).toMatchObject({ done: 4, kept: 0, pictures: 13, errors: 1 });
    expect(JSON.parse(first.out).classes).toMatchObject([
      { label: "bolt", frames: 6, wrong: 0 },
      { label: "washer", frames: 6, wrong: 0 },
    ]);
    const before = await told("done");
    expect(before.find(({ error }) => error)?.error).toMatchObject({ code: "IMAGE_UNSUPPORTED" });
    const again = JSON.parse((await protoline(home, args)).out);
    expect(again).toMatchObject({ done: 4, kept: 4, pictures: 13 });
    expect(await told("done")).toEqual(before);
    expect((await readdir(join(home, "done"))).sort()).toEqual(["pieces", "results.jsonl"]);
  });

  it.runIf(answers)("comes to the same by workers", async () => {
    const prefix = `protoline-test-${randomUUID()}`;
    const queue = ["--queue", url, "--queue-prefix", prefix];
    const worker = spawn(process.execPath, [main, "work", ...queue], { cwd: home, env: environment(home) });
    const { out } = await protoline(home, ["backfill", "frames", "--out", "far", ...queue, "--json"]);
    expect(JSON.parse(out)).toMatchObject({ done: 1, pictures: 13 });
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.kill("SIGTERM");
    expect(await ended).toBe(0);
    await protoline(home, ["backfill", "frames", "--out", "near"]);
    expect(await told("far")).toEqual(await told("near"));
    const redis = new Redis(url);
    for (const key of await redis.keys(`${prefix}*`)) await redis.del(key);
    await redis.quit();
  });
});

describe("a gallery that is embedded again", () => {
  const who = { who: "test" };
  async function gallery() {
    const store = await openStore("memory:");
    const [before, after] = await Promise.all([openEncoder("scattering"), openEncoder("compact")]);
    const recognizer = await Recognizer.open({ store, model: before, gallery: "line" });
    const pictures = join(folder, "parts");
    for (const [i, kind] of (["washer", "bolt"] as const).entries()) {
      await drawInto(join(pictures, kind), kind, 5, i);
      const files = (await readdir(join(pictures, kind))).map((name) => join(pictures, kind, name));
      await recognizer.enroll(kind, files.slice(0, 4), who);
    }
    const later = async (): Promise<unknown> => {
      const [last] = (await readdir(join(pictures, "bolt"))).slice(4);
      return recognizer.enroll("bolt", [join(pictures, "bolt", last!)], who);
    };
    const close = async (): Promise<void> => {
      await recognizer.close();
      await Promise.all([before.close(), after.close(), store.close()]);
    };
    return { store, after, later, close };
  }
  const vectors = async (store: Awaited<ReturnType<typeof openStore>>) =>
    (await store.snapshot("line")).samples.map(({ contentHash, embeddings }) => [contentHash, embeddings]);

  it("has what a recognizer that takes it over makes of it, pictures that come meanwhile too", async () => {
    const { store, after, later, close } = await gallery();
    let pieces = 0;
    const executor = localExecutor(async (piece) => {
      if (++pieces === 2) await later();
      return embedWork({ store, encoders: async () => after })(piece);
    });
    const options = { store, gallery: "line", encoder: after, model: "compact", change: who, pieceSize: 4 };
    const revision = await reembed({ ...options, executor, folder: join(folder, "done") });
    expect(revision).toMatchObject({ samples: 9, classes: 2 });
    expect(pieces).toBe(3);
    expect((await store.gallery("line")).modelHash).toBe(after.modelHash);
    const made = await vectors(store);
    await store.rollback("line", revision.number - 1, who);
    const taken = await Recognizer.open({ store, model: after, gallery: "line", onModelMismatch: "reembed" });
    expect(await vectors(store)).toEqual(made);
    await taken.close();
    await close();
  });

  it("stays as it was when a piece fails, and the next try does what is missing alone", async () => {
    const { store, after, close } = await gallery();
    const { head } = await store.gallery("line");
    let pieces = 0;
    let broken = true;
    const executor = localExecutor(async (piece) => {
      if (++pieces === 2 && broken) throw new Error("no memory");
      return embedWork({ store, encoders: async () => after })(piece);
    });
    const options = {
      ...{ store, gallery: "line", encoder: after, model: "compact", change: who, pieceSize: 2 },
      ...{ executor, folder: join(folder, "done") },
    };
    await expect(reembed(options)).rejects.toMatchObject({
      code: "JOB_INCOMPLETE",
      got: "1 failed; the first: no memory",
    });
    expect((await store.gallery("line")).head).toEqual(head);
    broken = false;
    await reembed(options);
    expect(pieces).toBe(5);
    await close();
  });

  it("is refused by a worker that has another model under that name", async () => {
    const { store, after, close } = await gallery();
    const other = await openEncoder("scattering");
    const executor = localExecutor(embedWork({ store, encoders: async () => other }));
    await expect(
      reembed({
        ...{ store, gallery: "line", encoder: after, model: "compact", change: who },
        ...{ executor, folder: join(folder, "done") },
      }),
    ).rejects.toThrow("on this machine");
    await other.close();
    await close();
  });

  it.runIf(answers)("comes by workers, from the command", async () => {
    const home = await newFolder();
    for (const [i, kind] of (["washer", "bolt"] as const).entries())
      await drawInto(join(home, "parts", kind), kind, 5, i);
    await protoline(home, ["enroll", "parts", "--model", "scattering"]);
    await drawInto(join(home, "held", "washer"), "washer", 3, 9);
    await protoline(home, ["enroll", "held", "--model", "scattering", "--gallery", "default.holdout"]);
    const prefix = `protoline-test-${randomUUID()}`;
    const queue = ["--queue", url, "--queue-prefix", prefix];
    const worker = spawn(process.execPath, [main, "work", ...queue], { cwd: home, env: environment(home) });
    const args = ["gallery", "reembed", "--model", "compact", ...queue, "--json"];
    const { out, code, err } = await protoline(home, args);
    expect(code, err).toBe(0);
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.kill("SIGTERM");
    expect(await ended).toBe(0);
    const reason = "embedded again by compact";
    expect(lines(out).map((line) => JSON.parse(line))).toMatchObject([
      { gallery: "default", revision: { samples: 10, reason } },
      { gallery: "default.holdout", revision: { samples: 3, reason } },
    ]);
    const { out: listed } = await protoline(home, ["gallery", "list", "--json"]);
    expect(listed.match(/"model":"\w+"/g)).toEqual(['"model":"compact"', '"model":"compact"']);
    const redis = new Redis(url);
    for (const key of await redis.keys(`${prefix}*`)) await redis.del(key);
    await redis.quit();
    await rm(home, { recursive: true, force: true });
  });
});
