import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { green, picture, red } from "../../test/server-help.ts";
import { tinyBundle } from "../../test/support/onnx-encoder.ts";
import { encoderOf, writeBundle } from "../models/index.ts";
import { Recognizer } from "../recognizer/index.ts";
import { createAdmission, createBatcher, embeddingFor, openPool } from "./index.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Doubles each number, in no more batches at a time than there are lanes. */
function doubling(lanes: number, ms: () => number) {
  let busy = 0;
  const sizes: number[] = [];
  const run = async (numbers: readonly number[]): Promise<number[]> => {
    expect(++busy).toBeLessThanOrEqual(lanes);
    sizes.push(numbers.length);
    await sleep(ms());
    busy--;
    if (numbers.some((value) => value < 0)) throw new Error("negative");
    return numbers.map((value) => 2 * value);
  };
  return { run, sizes };
}
const aborting = (): { signal: AbortSignal; abort: () => void } => {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(new Error("left")) };
};

describe("the batcher", () => {
  it("gives every request its own answer, once, whatever comes together", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 0, max: 3 }),
        async (requests, lanes, maxBatch, maxLatencyMs) => {
          const { run, sizes } = doubling(lanes, () => Math.random() * 2);
          const batcher = createBatcher(lanes, run, { maxBatch, maxLatencyMs });
          let value = 0;
          const asked = requests.map((n) => Array.from({ length: n }, () => value++));
          const answers = await Promise.all(asked.map((values) => batcher.submit(values)));
          answers.forEach(({ results }, i) => {
            expect(results).toEqual(asked[i]!.map((one) => 2 * one));
          });
          await batcher.idle();
          expect(Math.max(...sizes)).toBeLessThanOrEqual(maxBatch);
          expect(batcher.state()).toEqual({ waiting: 0, batches: sizes.length, embedded: value, refused: 0 });
        },
      ),
      { numRuns: 40 },
    );
  });

  it("fails the batch that failed alone", async () => {
    const { run } = doubling(1, () => 1);
    const batcher = createBatcher(1, run, { maxBatch: 1 });
    const [good, bad, after] = await Promise.allSettled([1, -1, 2].map((value) => batcher.submit([value])));
    expect([good!.status, bad!.status, after!.status]).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });

  it("bounds what waits", async () => {
    const { run } = doubling(1, () => 5);
    const batcher = createBatcher(1, run, { maxBatch: 1, maxWaiting: 4 });
    const burst = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => batcher.submit([i])));
    const refused = burst.filter((it) => it.status === "rejected");
    // One is under way, four wait.
    expect(refused).toHaveLength(15);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: "OVERLOADED" });
    expect(batcher.state().refused).toBe(15);
    const large = await batcher.submit(Array.from({ length: 9 }, (_, i) => i));
    expect(large.results).toHaveLength(9);
  });

  it("does not embed what nobody waits for any more", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }), async (leaves) => {
        const { run, sizes } = doubling(1, () => 1);
        const batcher = createBatcher(1, run, { maxBatch: 1 });
        // Taken up at once, so that all others wait.
        const first = batcher.submit([99]);
        const asked = leaves.map((leaving, i) => {
          const { signal, abort } = aborting();
          return { leaving, abort, answer: batcher.submit([i], signal) };
        });
        const all = Promise.allSettled(asked.map(({ answer }) => answer));
        for (const { leaving, abort } of asked) if (leaving) abort();
        (await all).forEach((it, i) => {
          expect(it.status).toBe(leaves[i] ? "rejected" : "fulfilled");
          if (it.status === "fulfilled") expect(it.value.results[0]).toBe(2 * i);
        });
        await first;
        await batcher.idle();
        expect(sizes).toHaveLength(1 + leaves.filter((leaving) => !leaving).length);
      }),
      { numRuns: 20 },
    );
  });

  it("says how long a picture waited", async () => {
    const { run } = doubling(1, () => 20);
    const batcher = createBatcher(1, run, { maxBatch: 1 });
    const [first, second] = await Promise.all([batcher.submit([1]), batcher.submit([2])]);
    expect(first!.waited).toBeLessThan(10);
    expect(second!.waited).toBeGreaterThan(15);
  });

  it("waits for company as long as it is told, and no longer than the batch is full", async () => {
    const { run, sizes } = doubling(2, () => 1);
    const batcher = createBatcher(2, run, { maxBatch: 3, maxLatencyMs: 40 });
    const started = performance.now();
    await Promise.all([1, 2, 3].map((value) => batcher.submit([value])));
    expect(performance.now() - started).toBeLessThan(35);
    await Promise.all([4, 5].map((value) => batcher.submit([value])));
    expect(performance.now() - started).toBeGreaterThan(35);
    expect(sizes).toEqual([3, 2]);
  });
});

describe("admission", () => {
  const burst = async (
    { enter }: ReturnType<typeof createAdmission>,
    clients: number,
    forMs: number,
    work: () => Promise<unknown>,
  ): Promise<{ refused: number; ms: number[] }> => {
    const until = performance.now() + forMs;
    const counts = { refused: 0, ms: [] as number[] };
    await Promise.all(
      Array.from({ length: clients }, async () => {
        while (performance.now() < until) {
          const started = performance.now();
          let leave: () => void;
          try {
            leave = enter();
          } catch (error) {
            expect(error).toMatchObject({ code: "OVERLOADED" });
            counts.refused++;
            await sleep(2);
            continue;
          }
          await work();
          leave();
          counts.ms.push(performance.now() - started);
        }
      }),
    );
    return counts;
  };

  it("lets in what is answered in time, and refuses the rest", async () => {
    const { run } = doubling(1, () => 4);
    const batcher = createBatcher(1, run, { maxBatch: 1 });
    const admission = createAdmission({ withinMs: 60 });
    const { refused, ms } = await burst(admission, 64, 1500, () => batcher.submit([1]));
    expect(refused).toBeGreaterThan(100);
    // Without it the 64 would wait 64 × 4 ms and more.
    ms.sort((a, b) => a - b);
    expect(ms[Math.floor(0.9 * ms.length)]).toBeLessThan(90);
    expect(admission.limit).toBeGreaterThan(2);
    expect(admission.inFlight).toBe(0);
  });

  it("always lets in the least, however slow they are, and an end counts once", async () => {
    const admission = createAdmission({ withinMs: 1, least: 2 });
    for (let i = 0; i < 30; i++) {
      const leave = admission.enter();
      await sleep(3);
      leave();
      leave();
    }
    expect([admission.limit, admission.inFlight]).toEqual([2, 0]);
    admission.enter();
    admission.enter();
    expect(() => admission.enter()).toThrow(/at most 2/);
  });
});

describe("what arrives", () => {
  it("has its place while its body is on the way, and no longer than an answer may take", async () => {
    const admission = createAdmission({ withinMs: 30, least: 1, most: 1 });
    const quick = admission.arrive();
    expect(() => admission.arrive()).toThrow(/at most 1/);
    const leave = quick.enter();
    quick.abandon();
    expect(admission.inFlight).toBe(1);
    leave();
    const lost = admission.arrive();
    lost.abandon();
    lost.abandon();
    expect(admission.inFlight).toBe(0);
    const slow = admission.arrive();
    await sleep(60);
    expect(admission.inFlight).toBe(0);
    const other = admission.enter();
    expect(() => slow.enter()).toThrow(/at most 1/);
    other();
    slow.enter()();
    expect(admission.inFlight).toBe(0);
  });
});

describe("the pool", () => {
  it("embeds as the encoder does, and goes on after inputs that it refuses", async () => {
    const folder = await mkdtemp(join(tmpdir(), "protoline-pool-"));
    const path = join(folder, "tiny.onnx");
    await writeBundle(tinyBundle(), path);
    const encoder = await encoderOf(tinyBundle());
    const pool = await openPool(path, { workers: 2 });
    const { size, channels } = pool.manifest.preprocess;
    const length = (channels === "gray" ? 1 : 3) * size[0] * size[1];
    const whole = new Float32Array(20 * length).map((_, i) => Math.sin(i));
    const inputs = Array.from({ length: 20 }, (_, i) => whole.subarray(i * length, (i + 1) * length));
    const [here, there] = [await encoder.embed(inputs), await pool.embed(inputs)];
    expect([there.n, there.dim]).toEqual([20, encoder.embeddingDim]);
    for (const [i, value] of there.data.entries()) expect(value).toBeCloseTo(here.data[i]!, 5);
    expect(pool.modelHash).toBe(encoder.modelHash);
    expect((await pool.embed([])).n).toBe(0);
    // The inputs are still the caller's.
    expect(whole[1]).toBeCloseTo(Math.sin(1), 6);
    await expect(pool.embed([new Float32Array(3)])).rejects.toMatchObject({
      code: expect.any(String) as string,
    });
    expect((await pool.embed(inputs.slice(0, 1))).n).toBe(1);
    const request = { priority: "frame" as const, waited: 0, ...aborting() };
    const late = embeddingFor(request, () => Promise.all(inputs.map((input) => pool.embed([input]))));
    await late;
    expect(request.waited).toBeGreaterThan(0);
    request.abort();
    await expect(embeddingFor(request, () => pool.embed(inputs))).rejects.toThrow("left");
    await Promise.all([pool.close(), encoder.close()]);
    await rm(folder, { recursive: true });
  });

  it("decodes, cuts and embeds pictures as this thread does, and what is broken spoils itself alone", async () => {
    const folder = await mkdtemp(join(tmpdir(), "protoline-pool-"));
    const path = join(folder, "tiny.onnx");
    await writeBundle(tinyBundle(), path);
    const [here, there] = [await encoderOf(tinyBundle()), await openPool(path, { workers: 1 })];
    const pictures = await Promise.all([red, green].map((color, i) => picture(color, i)));
    const region = { x: 10, y: 5, width: 40, height: 30 };
    const rows = await there.embedEncoded([
      ...pictures.map((bytes) => ({ bytes, views: ["dihedral"] as const, region })),
      { bytes: Buffer.from("no picture"), views: [] },
      Object.assign({ bytes: pictures[0]!, views: [] }, { limits: { maxBytes: 10 } }),
    ]);
    expect(rows.slice(2)).toMatchObject([{ code: "IMAGE_UNSUPPORTED" }, { code: "IMAGE_TOO_LARGE" }]);
    const [a, b] = [await Recognizer.open({ model: here }), await Recognizer.open({ model: there })];
    for (const one of [a, b])
      for (const [i, bytes] of pictures.entries()) await one.enroll(`part ${i}`, [bytes], { region });
    const strip = ({ ms: _, ...answer }: Awaited<ReturnType<typeof a.recognize>>) => answer;
    for (const bytes of pictures)
      expect(strip(await b.recognize(bytes, { region }))).toEqual(
        strip(await a.recognize(bytes, { region })),
      );
    const nan = new Float32Array(3 * 8 * 8).fill(Number.NaN);
    const [good, bad] = await Promise.allSettled([
      there.embed([new Float32Array(3 * 8 * 8)]),
      there.embed([nan]),
    ]);
    expect([good!.status, bad]).toMatchObject(["fulfilled", { reason: { code: "NOT_FINITE" } }]);
    // The bytes are still the caller's.
    expect(pictures[0]!.length).toBeGreaterThan(100);
    for (const one of [a, b, here, there]) await one.close();
    await rm(folder, { recursive: true });
  });

  it("has work in bulk done beside the frames, by a thread that gives way to them", async () => {
    const pool = await openPool("scattering", { workers: 1 });
    const { size, channels } = pool.manifest.preprocess;
    const input = new Float32Array((channels === "gray" ? 1 : 3) * size[0] * size[1]);
    let bulkDone = false;
    const bulk = pool.embed(Array.from({ length: 30 }, () => input)).then((all) => {
      bulkDone = true;
      return all;
    });
    for (let i = 0; i < 5; i++) await pool.embed([input]);
    expect(bulkDone).toBe(false);
    expect((await bulk).n).toBe(30);
    if (process.platform === "linux") {
      const threads = await readdir("/proc/self/task");
      const stats = await Promise.all(threads.map((id) => readFile(`/proc/self/task/${id}/stat`, "utf8")));
      // Behind the name, which may hold blanks, the nice value is the 17th field (proc_pid_stat(5)).
      const nice = stats.map((text) => text.slice(text.lastIndexOf(")") + 2).split(" ")[16]);
      expect(nice).toContain("10");
      expect(nice).toContain("0");
    }
    await pool.close();
  });

  it("says what is wrong with the model or the number of workers", async () => {
    await expect(openPool("nothing-of-that-name", { workers: 1 })).rejects.toMatchObject({
      code: "MODEL_NOT_FOUND",
    });
    await expect(openPool("scattering", { workers: 0 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
