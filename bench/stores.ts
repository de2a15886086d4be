/**
 * What the stores cost, by turns in one run: enrolling ten samples and reading a gallery of 10,000.
 * `npx tsx bench/stores.ts` prints a table and writes docs/results/bench-stores.md. PostgreSQL and Redis are instances of
 * its own on this machine, which write each change to the disk before they acknowledge it; SQLite does so too.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createRng, sha256 } from "../src/core/index.ts";
import { defaultDecision } from "../src/fewshot/index.ts";
import { type GalleryStore, type NewSample, openStore } from "../src/store/index.ts";
import { type Instance, postgresInstance, redisInstance } from "../test/store-instances.ts";
import type { Found } from "../test/store-servers.ts";

const [dim, size, pictureBytes, enrollments, readings] = [512, 10_000, 10_000, 30, 7];
const rng = createRng(1);
let made = 0;

function sample(label: string, withPicture: boolean): NewSample {
  const content = `${made++}`;
  return {
    label,
    embeddings: [Float32Array.from({ length: dim }, () => rng.normal())],
    contentHash: sha256(content),
    image: withPicture
      ? {
          bytes: Uint8Array.from({ length: pictureBytes }, () => rng.int(256)),
          type: "image/jpeg",
          whole: true,
        }
      : null,
    origin: `${content}.jpg`,
    time: 1_700_000_000_000,
  };
}

const nothing = (): void => undefined;
const by = { who: "bench", modelHash: "m1" };

const empty = { model: "net", modelHash: "m1", dim, decision: defaultDecision, who: "bench" };
const stores: (readonly [driver: string, store: GalleryStore])[] = [];
const missing: string[] = [];
const closing: (() => unknown)[] = [];

async function open(driver: string, address: string): Promise<void> {
  for (let tries = 0; ; tries++)
    try {
      const store = await openStore(address);
      closing.unshift(() => store.close());
      stores.push([driver, store]);
      return;
    } catch (error) {
      // A server that starts.
      if (tries === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
}

async function openInstance(driver: string, found: Found<Instance>): Promise<void> {
  if ("missing" in found) {
    missing.push(`${driver}: ${found.missing}`);
    return;
  }
  closing.unshift(() => found.there.remove());
  found.there.start();
  await open(driver, found.there.address);
}

/**
 * Medians in milliseconds, a store each. The stores take turns, so that other work of the machine meets all of them; the
 * first turn is not counted.
 */
async function medians<T>(
  runs: number,
  prepare: () => T,
  work: (store: GalleryStore, made: T) => Promise<unknown>,
): Promise<number[]> {
  const times = stores.map((): number[] => []);
  for (let run = 0; run <= runs; run++)
    for (const [i, [, store]] of stores.entries()) {
      const made = prepare();
      const start = performance.now();
      await work(store, made);
      if (run > 0) times[i]!.push(performance.now() - start);
    }
  return times.map((ms) => ms.sort((a, b) => a - b)[runs >> 1]!);
}

const ten = () => Array.from({ length: 10 }, () => sample("new", true));
const columns: number[][] = [];
try {
  const folder = mkdtempSync(join(tmpdir(), "protoline-bench-"));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  await open("memory", "memory:");
  await open("sqlite", `sqlite:${join(folder, "bench.db")}`);
  await openInstance("postgres", await postgresInstance());
  await openInstance("redis", await redisInstance());

  for (const [, store] of stores)
    for (const name of ["small", "large"]) await store.createGallery({ ...empty, name });
  columns.push(await medians(enrollments, ten, (store, samples) => store.addSamples("small", samples, by)));
  for (let i = 0; i < size; i += 1000) {
    const samples = Array.from({ length: 1000 }, (_, k) => sample(`class ${(i + k) % 100}`, false));
    for (const [, store] of stores) await store.addSamples("large", samples, by);
  }
  columns.push(await medians(enrollments, ten, (store, samples) => store.addSamples("large", samples, by)));
  columns.push(await medians(readings, nothing, (store) => store.snapshot("large")));
  columns.push(await medians(readings * 10, nothing, (store) => store.gallery("large")));
} finally {
  for (const close of closing) await close();
}
const rows = stores.map(([driver], i) => [driver, columns.map((column) => column[i]!)] as const);

const base = rows.find(([driver]) => driver === "sqlite")![1];
const cell = (ms: number, i: number): string => (ms / base[i]!).toFixed(2);
const text = `# Stores

\`npx tsx bench/stores.ts\`, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} cores (${cpus()[0]!.model.trim()}). Medians of ${enrollments} enrollments and ${readings} readings, by turns, as multiples of SQLite's in the same run: the machine had other work, so milliseconds would say little. The servers run on the same machine, so the network costs nothing here. Embeddings of ${dim} values, one view; enrolled with a picture of ${pictureBytes / 1000} kB each. PostgreSQL, Redis (\`appendfsync always\`) and SQLite acknowledge what is on the disk.

| driver | enroll 10 samples into a small gallery | enroll 10 into one of 10,000 | snapshot of 10,000 samples | look whether the head is new |
| --- | --- | --- | --- | --- |
${rows.map(([driver, figures]) => `| ${driver} | ${figures.map(cell).join(" | ")} |`).join("\n")}
${missing.map((line) => `\nNot measured: ${line}.\n`).join("")}`;
for (const [driver, figures] of rows)
  console.log(driver, figures.map((ms) => `${ms.toFixed(1)} ms`).join(" "));
console.log(text);
await writeFile(new URL("../docs/results/bench-stores.md", import.meta.url), text);
