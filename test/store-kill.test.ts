import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import Database from "libsql";
import { afterAll, expect, it } from "vitest";
import { createRng } from "../src/core/index.ts";
import { type GallerySnapshot, type GalleryStore, openStore } from "../src/store/index.ts";
import { decision, gallery } from "./store.contract.ts";

/** Two writers on one file at a time, each killed at a moment of its own: 2 × 26 kills. */
const rounds = 26;

const child = fileURLToPath(new URL("./store-child.mjs", import.meta.url));
const built = existsSync(new URL("../dist/store/index.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "protoline-kill-"));
const writing = new Set<ChildProcess>();
afterAll(() => {
  // A test that fails shall not leave writers behind, which go on without end where their file is gone.
  for (const writer of writing) writer.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

interface Acknowledged {
  readonly number: number;
  readonly hash: string;
  readonly samples: readonly { readonly id: string; readonly origin: string }[];
}

interface Writer {
  readonly process: ChildProcess;
  readonly acknowledged: Acknowledged[];
  /** After the first acknowledged change, or the end. */
  readonly began: Promise<void>;
  readonly ended: Promise<{
    readonly signal: string | null;
    readonly code: number | null;
    readonly errors: string;
  }>;
}

function write(path: string, seed: number, ...count: string[]): Writer {
  const process_ = spawn(process.execPath, [child, path, `${seed}`, ...count], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  writing.add(process_);
  process_.once("close", () => writing.delete(process_));
  const acknowledged: Acknowledged[] = [];
  let errors = "";
  process_.stderr.on("data", (data) => {
    errors += data;
  });
  const lines = createInterface({ input: process_.stdout });
  const read = new Promise<void>((resolve) => lines.once("close", resolve));
  const began = new Promise<void>((resolve) => {
    lines.once("line", () => resolve());
    lines.once("close", resolve);
  });
  lines.on("line", (line) => acknowledged.push(JSON.parse(line)));
  const ended = new Promise<{ signal: string | null; code: number | null; errors: string }>((resolve) =>
    process_.once("close", async (code, signal) => {
      await read;
      resolve({ signal, code, errors });
    }),
  );
  return { process: process_, acknowledged, began, ended };
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The documented hash, written again from its description: the decision's keys in sorted order, spelt out. */
function hashOf({ modelHash, samples }: GallerySnapshot): string {
  const { views, transform, head, openSet, ambiguity } = decision;
  const lambda = head.kind === "ridge" ? head.lambda : 0;
  const spec =
    `{"ambiguity":{"margin":${ambiguity.margin}},"head":{"kind":"${head.kind}","lambda":${lambda}},` +
    `"openSet":{"falseRejectRate":${openSet.falseRejectRate}},` +
    `"transform":{"center":"${transform.center}","normalize":true,"power":${transform.power}},` +
    `"views":{"query":[${views.query}],"support":[${views.support}]}}`;
  const labels = [...new Set(samples.map(({ label }) => label))].sort();
  const classes = labels.map((label) => {
    const contents = samples.filter((one) => one.label === label).map(({ contentHash }) => contentHash);
    return [label, sha256(contents.sort().join("\n"))];
  });
  return sha256(`["${modelHash}",${spec},${JSON.stringify(classes)}]`);
}

/** Checks all revisions from `from` on, everything acknowledged, and the statistics; returns the head's number. */
async function check(
  path: string,
  store: GalleryStore,
  acknowledged: readonly Acknowledged[],
  from: number,
): Promise<number> {
  const raw = new Database(path);
  expect(raw.pragma("integrity_check")).toEqual([{ integrity_check: "ok" }]);
  expect(raw.pragma("foreign_key_check")).toEqual([]);
  raw.close();

  const head = await store.head("line");
  const history = (await store.history("line")).toReversed();
  expect(history.map(({ number, parent }) => [number, parent])).toEqual(
    Array.from({ length: head + 1 }, (_, i) => [i, i === 0 ? null : i - 1]),
  );
  for (const info of history.slice(from)) {
    const snapshot = await store.snapshot("line", info.number);
    expect(snapshot.samples).toHaveLength(info.samples);
    expect(hashOf(snapshot)).toBe(info.hash);
  }
  for (const { number, hash, samples } of acknowledged) {
    expect(history[number]!.hash).toBe(hash);
    for (const { id, origin } of samples) {
      const image = await store.image("line", id);
      expect(image && Buffer.from(image.bytes).toString()).toBe(origin);
    }
  }
  const { samples } = await store.snapshot("line");
  const statistics = await store.classStatistics("line");
  expect(statistics.map(({ label }) => label)).toEqual(
    [...new Set(samples.map(({ label }) => label))].sort(),
  );
  for (const { label, n, sum, sumOfSquares } of statistics) {
    const first = samples.filter((one) => one.label === label).map(({ embeddings }) => embeddings[0]!);
    expect(n).toBe(first.length);
    expect(sum).toEqual(sum.map((_, i) => first.reduce((total, x) => total + x[i]!, 0)));
    expect(sumOfSquares).toEqual(sum.map((_, i) => first.reduce((total, x) => total + x[i]! ** 2, 0)));
  }
  return head;
}

async function create(path: string): Promise<void> {
  const store = await openStore(path);
  await store.createGallery(gallery("line", { dim: 64 }));
  await store.close();
}

it("the writers of these tests run over dist/, which `npm run build` makes", () => expect(built).toBe(true));

it.runIf(built)(
  "loses no acknowledged change and keeps no half revision over 50 kills",
  async () => {
    const path = join(folder, "killed.db");
    await create(path);
    const rng = createRng(4);
    let kills = 0;
    let head = 0;
    let changes = 0;
    for (let round = 0; round < rounds; round++) {
      const writers = [write(path, 2 * round), write(path, 2 * round + 1)];
      await Promise.all(writers.map(({ began }) => began));
      await Promise.all(
        writers.map(async ({ process }) => {
          await new Promise((resolve) => setTimeout(resolve, 120 * rng.next()));
          process.kill("SIGKILL");
        }),
      );
      for (const { ended } of writers) {
        const { signal, errors } = await ended;
        expect([signal, errors]).toEqual(["SIGKILL", ""]);
        kills++;
      }
      const acknowledged = writers.flatMap((writer) => writer.acknowledged);
      changes += acknowledged.length;
      // Opened anew each time: that is where SQLite repairs what a kill left.
      const store = await openStore(path);
      head = await check(path, store, acknowledged, head);
      await store.close();
    }
    const store = await openStore(path);
    await check(path, store, [], 0);
    await store.close();
    expect(kills).toBeGreaterThanOrEqual(50);
    expect(changes).toBeGreaterThan(kills);
  },
  180_000,
);

it.runIf(built)("keeps revisions in line while two processes write, and tells a third of them", async () => {
  const path = join(folder, "shared.db");
  await create(path);
  const watcher = await openStore(path);
  const writers = [write(path, 1, "40"), write(path, 2, "40")];
  await Promise.race(writers.map(({ began }) => began));
  // The first change that is acknowledged may leave the gallery as it was, at revision 0.
  await expect.poll(() => watcher.head("line"), { timeout: 10_000 }).toBeGreaterThan(0);
  for (const { ended } of writers) expect(await ended).toEqual({ code: 0, signal: null, errors: "" });
  const acknowledged = writers.flatMap((writer) => writer.acknowledged);
  expect(acknowledged).toHaveLength(80);
  await check(path, watcher, acknowledged, 0);
  await watcher.close();
});
