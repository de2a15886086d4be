import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { modelOf, writeModel } from "../src/onnx/index.ts";
import { openSession, Tensor } from "../src/runtime/index.ts";
import { createSampler, readCheckpoint, type TrainConfig, train, trainingStep } from "../src/train/index.ts";
import { toyConfig, toySet } from "./train/toy.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-episodes-"));
});
afterAll(() => rm(folder, { recursive: true }));

const set = toySet(12, 8, 1);
const linesOf = async (out: string): Promise<Record<string, number>[]> =>
  (await readFile(join(out, "log.jsonl"), "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => ({ ...(JSON.parse(line) as Record<string, number>), ms: 0 }));

/** What single episodes, each from the same weights, come to; the running statistics go from one to the next. */
async function alone(config: TrainConfig, episodes: number) {
  const step = trainingStep({ ...config, episodesPerStep: 1 }, config.episode!);
  const sampler = createSampler(config, set);
  const session = await openSession(writeModel(modelOf(step.graph)), { threads: 1 });
  const start = step.start(config.seed);
  let statistics: Record<string, Tensor> = {};
  const all: Readonly<Record<string, Tensor>>[] = [];
  for (let i = 0; i < episodes; i++) {
    const states = Object.fromEntries(
      [...start].map(([name, { data, dims }]) => [name, new Tensor("float32", data, dims)]),
    );
    const scalars = Object.fromEntries(
      Object.entries(step.scalars(1, config.rate)).map(([name, value]) => [
        name,
        new Tensor("float32", [value], []),
      ]),
    );
    const results = await session.run({ ...(await sampler.feeds(i)), ...states, ...statistics, ...scalars });
    statistics = Object.fromEntries(
      Object.entries(results).flatMap(([name, value]) =>
        /\/(mean|variance)$/.test(name) ? [[name.slice(5), value]] : [],
      ),
    );
    all.push(results);
  }
  await session.close();
  const numbers = (name: string): number[][] =>
    all.map((results) => [...(results[name]!.data as Float32Array)]);
  return {
    numbers,
    mean: (name: string) =>
      numbers(name)
        .reduce((a, b) => a.map((v, k) => v + b[k]!))
        .map((v) => v / episodes),
  };
}

describe("several episodes a step", () => {
  it("lower the mean of their losses, by one update", async () => {
    // Of plain descent the mean of the updated weights is the update by the mean gradient.
    const config = toyConfig({
      episodes: 1,
      episodesPerStep: 3,
      optimizer: { kind: "sgd", momentum: 0 },
      rate: 0.05,
      average: 0.5,
    });
    const out = join(folder, "mean");
    await train({ config, train: set, out });
    const { states } = (await readCheckpoint(join(out, "last.ckpt")))!;
    const { mean, numbers } = await alone(config, 3);
    const [line] = await linesOf(out);
    expect(line!.loss).toBeCloseTo(mean("loss")[0]!, 5);
    expect(line!.accuracy).toBeCloseTo(mean("accuracy")[0]!, 6);
    // The norm is that of the mean gradient, which is shorter than the mean of norms.
    expect(line!.norm).toBeLessThan(mean("norm")[0]!);
    for (const name of [
      "encoder/block1/conv/weight",
      "encoder/block3/conv/weight",
      "encoder/block4/norm/gamma",
    ]) {
      const expected = mean(`next/${name}`);
      states.get(name)!.data.forEach((value, k) => {
        expect(value).toBeCloseTo(expected[k]!, 5);
      });
    }
    // Running statistics have seen every episode.
    const statistic = "encoder/block2/norm/variance";
    const seen = numbers(`next/${statistic}`).at(-1)!;
    states.get(statistic)!.data.forEach((value, k) => {
      expect(value).toBeCloseTo(seen[k]!, 4);
    });
  });

  it("repeat and resume to the last bit, each episode of a step another one", async () => {
    const config = toyConfig({
      episodes: 6,
      episodesPerStep: 2,
      validation: { every: 3, episodes: 4, way: 5, shot: 2, query: 3 },
    });
    const options = { config, train: set, validation: toySet(8, 8, 2) };
    const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
    await train({ ...options, out: whole });
    const stop = new AbortController();
    const onProgress = ({ step }: { step: number }) => step === 2 && stop.abort();
    const first = await train({ ...options, out: parts, signal: stop.signal, onProgress });
    expect(first).toMatchObject({ step: 3, ended: "stopped" });
    expect(await train({ ...options, out: parts, resume: true })).toMatchObject({ step: 6, ended: "done" });
    expect(await linesOf(parts)).toEqual(await linesOf(whole));
    expect(await readCheckpoint(join(parts, "last.ckpt"))).toEqual(
      await readCheckpoint(join(whole, "last.ckpt")),
    );
    const last = await readCheckpoint(join(whole, "last.ckpt"));
    expect([...last!.states.keys()].filter((name) => name.startsWith("sum:"))).toEqual([]);
  });

  it("are not for a classifier", () => {
    expect(() =>
      toyConfig({ method: { kind: "classifier" }, episode: null, batch: 8, episodesPerStep: 2 }),
    ).toThrow(/"episodesPerStep"/);
  });
});

describe("DropBlock's schedule", () => {
  const backbone = { kind: "resnet12", widths: [4, 4, 6, 8], keep: 0.5 };
  const config = (more: object): TrainConfig =>
    toyConfig({ backbone: { ...backbone, ...more }, episodes: 2, checkpointEvery: 1 });

  it("is fed the number of the step, and ends at the share", async () => {
    const [always, after] = [config({}), config({ keepAfter: 4 })];
    const steps = [always, after].map((one) => trainingStep(one, one.episode!));
    expect(steps.map((step) => step.scalars(3, 1e-3).step)).toEqual([undefined, 3]);
    const losses: number[][] = [];
    for (const [i, one] of [always, after, config({ keepAfter: 1 })].entries()) {
      const out = join(folder, `drop-${i}`);
      await train({ config: one, train: set, out });
      losses.push((await linesOf(out)).map(({ loss }) => loss!));
    }
    expect(losses[2]).toEqual(losses[0]);
    expect(losses[1]).not.toEqual(losses[0]);
  }, 180_000);
});
