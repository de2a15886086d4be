import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../src/core/index.ts";
import { findDataset, toInput } from "../src/data/index.ts";
import { encoderOf, readBundle, writeBundle } from "../src/models/index.ts";
import { modelOf, writeModel } from "../src/onnx/index.ts";
import { loadedModels, openSession, Tensor } from "../src/runtime/index.ts";
import {
  batcher,
  exportBundle,
  parseTrainConfig,
  readCheckpoint,
  type TrainResult,
  train,
  trainingStep,
} from "../src/train/index.ts";
import { batchNormRelu, conv3x3, type Images, maxPool2x2, protoNetLoss } from "./train/reference.ts";
import { toyConfig, toySet } from "./train/toy.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-train-"));
});
afterAll(() => rm(folder, { recursive: true }));

const sets = { train: toySet(12, 8, 1), validation: toySet(8, 8, 2) };

interface Line {
  readonly step: number;
  readonly loss?: number;
  readonly validation?: { readonly accuracy: number };
}

/** The log without what the clock says. */
const curve = async (out: string): Promise<Line[]> =>
  (await readFile(join(out, "log.jsonl"), "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => ({ ...JSON.parse(line), ms: null }) as Line);

let whole: { readonly out: string; readonly result: TrainResult; readonly lines: Line[] };
beforeAll(async () => {
  const out = join(folder, "whole");
  whole = { out, result: await train({ config: toyConfig(), ...sets, out }), lines: await curve(out) };
});

describe("train", () => {
  it("lowers the loss, validates on time, and closes what it opened", () => {
    const losses = whole.lines.flatMap(({ loss }) => loss ?? []);
    const mean = (part: number[]) => part.reduce((a, b) => a + b) / part.length;
    expect(losses).toHaveLength(30);
    expect(mean(losses.slice(-8))).toBeLessThan(0.7 * mean(losses.slice(0, 8)));
    expect(whole.lines.filter(({ validation }) => validation).map(({ step }) => step)).toEqual([10, 20, 30]);
    expect(whole.result).toMatchObject({ step: 30, ended: "done" });
    expect(loadedModels()).toBe(0);
  });

  it("repeats to the last bit by seed, and differs under another", async () => {
    const [again, other] = [join(folder, "again"), join(folder, "other")];
    const result = await train({ config: toyConfig(), ...sets, out: again });
    expect(await curve(again)).toEqual(whole.lines);
    expect([...result.weights]).toEqual([...whole.result.weights]);
    await train({ config: toyConfig({ seed: 8, episodes: 2 }), ...sets, out: other });
    expect((await curve(other))[0]!.loss).not.toBe(whole.lines[0]!.loss);
  });

  it("has the same curve after kill -9 and a resume", async () => {
    const out = join(folder, "killed");
    const script = fileURLToPath(new URL("train/run-toy.ts", import.meta.url));
    const start = () => spawn(process.execPath, ["--import", "tsx", script, out], { stdio: "inherit" });
    const ended = (child: ReturnType<typeof start>) => new Promise((resolve) => child.once("exit", resolve));
    const first = start();
    const gone = ended(first);
    const steps = () =>
      curve(out).then(
        (lines) => lines.length,
        () => 0,
      );
    while ((await steps()) < 14 && first.exitCode === null) await setTimeout(5);
    first.kill("SIGKILL");
    await gone;
    expect(first.signalCode).toBe("SIGKILL");
    const left = await readCheckpoint<{ step: number }>(join(out, "last.ckpt"));
    expect(left!.note.step).toBeGreaterThanOrEqual(8);
    expect(left!.note.step).toBeLessThan(30);
    expect(await ended(start())).toBe(0);
    expect(await curve(out)).toEqual(whole.lines);
    expect(await readCheckpoint(join(out, "last.ckpt"))).toEqual(
      await readCheckpoint(join(whole.out, "last.ckpt")),
    );
  });

  it("stops early when validation does not become better, and keeps the best weights", async () => {
    // At such a rate there is nothing to learn.
    const config = toyConfig({
      rate: 1e-12,
      validation: { every: 2, episodes: 4, way: 5, shot: 2, query: 3, patience: 3 },
    });
    const { step, best, ended } = await train({ config, ...sets, out: join(folder, "early") });
    expect(ended).toBe("early");
    expect(step).toBe(best!.step + 6);
  });

  it("stops after the step under way when told to, ready to go on", async () => {
    const out = join(folder, "stopped");
    const stop = new AbortController();
    const options = { config: toyConfig(), ...sets, out };
    const onProgress = ({ step }: { step: number }) => step === 5 && stop.abort();
    const first = await train({ ...options, signal: stop.signal, onProgress });
    expect(first).toMatchObject({ step: 6, ended: "stopped" });
    await expect(train(options)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const other = toyConfig({ rate: 1 });
    await expect(train({ ...options, config: other, resume: true })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
    expect(await train({ ...options, resume: true })).toMatchObject({ step: 30, ended: "done" });
    expect(await curve(out)).toEqual(whole.lines);
  });

  it("names the node and the step where a number stops being finite", async () => {
    const config = toyConfig({ rate: 1e38, optimizer: { kind: "sgd" } });
    const failed = await train({ config, ...sets, out: join(folder, "nan") }).catch(
      (error: unknown) => error,
    );
    expect(failed).toMatchObject({ code: "TRAINING_DIVERGED" });
    expect((failed as Error).message).toMatch(/step [2-5].*comes out of \w+ "encoder\/block1\//);
    expect(loadedModels()).toBe(0);
  });

  it("refuses what cannot be trained before it begins", async () => {
    const impossible = toyConfig({ episode: { way: 5, shot: 6, query: 3 } });
    const options = { ...sets, out: join(folder, "none") };
    await expect(train({ ...options, config: impossible })).rejects.toMatchObject({
      code: "EPISODE_IMPOSSIBLE",
    });
    const large = toyConfig({ data: { ...toyConfig().data, size: 28 } });
    await expect(train({ ...options, config: large })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    expect(() => toyConfig({ rate: -1 })).toThrow(/"rate"/);
    expect(() => toyConfig({ optimizer: { kind: "adam", momentum: 1 } })).toThrow(/"optimizer/);
    expect(() => toyConfig({ batch: 3 })).toThrow(/"batch"|the whole/);
  });

  it("refuses a damaged checkpoint", async () => {
    const bytes = await readFile(join(whole.out, "last.ckpt"));
    const path = join(folder, "damaged.ckpt");
    for (const bad of [
      bytes.subarray(0, -1),
      bytes.with(bytes.length - 3, bytes.at(-3)! ^ 1),
      Buffer.from("x"),
    ]) {
      await writeFile(path, bad);
      await expect(readCheckpoint(path)).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
    }
    expect(await readCheckpoint(join(folder, "nothing.ckpt"))).toBeNull();
  });
});

describe("committed configs", () => {
  it("are valid, and fit their data set", async () => {
    const folder = new URL("../configs/", import.meta.url);
    const names = await readdir(folder);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const config = parseTrainConfig(JSON.parse(await readFile(new URL(name, folder), "utf8")), name);
      const { channels } = findDataset(config.data.dataset);
      expect(config.data.channels).toBe(channels === 1 ? "gray" : "rgb");
    }
  });
});

describe("a step of Conv-4 and Adam", () => {
  it("has the loss of an independent computation in float64", async () => {
    const episode = { way: 3, shot: 2, query: 2 };
    const config = toyConfig({ episode, backbone: { kind: "conv4", width: 6 } });
    const step = trainingStep(config, episode);
    const states = step.start(3);
    const rng = createRng(5);
    const n = 3 * 4;
    const images = Float32Array.from({ length: n * 256 }, () => rng.normal());
    const session = await openSession(writeModel(modelOf(step.graph)));
    const feeds = Object.fromEntries(
      [...states].map(([name, { data, dims }]) => [name, new Tensor("float32", data, dims)]),
    );
    const scalars = Object.fromEntries(
      Object.entries(step.scalars(1, 1e-3)).map(([name, v]) => [name, new Tensor("float32", [v], [])]),
    );
    const results = await session.run({
      ...feeds,
      ...scalars,
      images: new Tensor("float32", images, [n, 1, 16, 16]),
    });
    await session.close();
    let y: Images = { n, c: 1, h: 16, w: 16, data: Float64Array.from(images) };
    for (const block of [1, 2, 3, 4])
      y = maxPool2x2(batchNormRelu(conv3x3(y, states.get(`encoder/block${block}/conv/weight`)!.data, 6)));
    const expected = protoNetLoss(y, episode);
    expect(Number(results.loss!.data[0])).toBeCloseTo(expected.loss, 4);
    expect(Number(results.accuracy!.data[0])).toBeCloseTo(expected.accuracy, 6);
  });

  it("builds and compiles in less than a second", async () => {
    const task = toyConfig({ backbone: { kind: "conv4" }, data: { ...toyConfig().data, size: 28 } });
    const times: number[] = [];
    for (let i = 0; i < 3; i++) {
      const started = performance.now();
      const { graph } = trainingStep(task, { way: 60, shot: 5, query: 5 });
      const session = await openSession(writeModel(modelOf(graph)));
      times.push(performance.now() - started);
      await session.close();
    }
    const best = Math.min(...times);
    console.log(`Conv-4 + Adam, 28 px, 60w5s5q: built and compiled in ${best.toFixed(0)} ms`);
    expect(best).toBeLessThan(1000);
  });
});

describe("what comes out", () => {
  it("is a bundle that reads pictures as the training saw them, negative or not", async () => {
    const { weights } = whole.result;
    const provenance = { origin: "a test", license: "none", trainedOn: "patterns" };
    const config = toyConfig();
    const rows = [0, 20, 40];
    const batch = batcher(sets.train, config.data)(rows);
    const embeddings = [];
    for (const invert of [false, true]) {
      const bundle = exportBundle({
        config,
        weights,
        pixels: { interpolation: "nearest", invert },
        provenance,
      });
      const path = join(folder, `bundle-${invert}`);
      await writeBundle(bundle, path);
      const encoder = await encoderOf(await readBundle(path));
      const inputs = rows.map((row) => {
        const grey = sets.train.pixels.subarray(row * 256, (row + 1) * 256);
        const data = Uint8Array.from({ length: 768 }, (_, i) => {
          const value = grey[Math.floor(i / 3)]!;
          return invert ? 255 - value : value;
        });
        return toInput({ width: 16, height: 16, data }, encoder.manifest.preprocess);
      });
      if (!invert)
        inputs.forEach((input, i) => {
          input.forEach((value, k) => {
            expect(value).toBeCloseTo(batch[i * 256 + k]!, 5);
          });
        });
      embeddings.push(await encoder.embed(inputs));
      await encoder.close();
    }
    const [plain, negative] = embeddings;
    expect(plain!.dim).toBe(16);
    plain!.data.forEach((value, i) => {
      expect(negative!.data[i]).toBeCloseTo(value, 4);
    });
    expect(Math.max(...plain!.data)).toBeGreaterThan(0);
  });
});
