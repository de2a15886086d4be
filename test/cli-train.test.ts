import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { drawInto, type Ended, errorOf, lines, newFolder, protoline } from "./cli-help.ts";

let folder = "";
const run = (...args: string[]): Promise<Ended> => protoline(folder, args);

const config = {
  name: "parts-conv4",
  data: {
    dataset: "folder",
    train: "all",
    validation: "all",
    size: 16,
    channels: "rgb",
    mean: [128, 128, 128],
    std: [64, 64, 64],
  },
  backbone: { kind: "conv4", width: 8 },
  method: { kind: "protonet" },
  episode: { way: 3, shot: 2, query: 2 },
  episodes: 12,
  optimizer: { kind: "adam" },
  rate: 2e-3,
  validation: { every: 6, episodes: 5, way: 3, shot: 2, query: 2 },
  threads: 1,
};

beforeAll(async () => {
  folder = await newFolder();
  await drawInto(join(folder, "parts/washer"), "washer", 6, 1);
  await drawInto(join(folder, "parts/gear"), "gear", 6, 2);
  await drawInto(join(folder, "parts/motor"), "motor housing", 6, 3);
  await writeFile(join(folder, "train.json"), JSON.stringify(config));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("protoline train", () => {
  it("trains on a folder of pictures, shows config and progress, and leaves a bundle that enrolls and recognizes", async () => {
    const { code, out, err } = await run("train", "train.json", "--data", "parts");
    expect(err).toContain('"rate":0.002');
    expect(err).toMatch(/step 12: loss .*accuracy .*steps\/s.*validation/);
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/^runs.parts-conv4.bundle: 12 steps in .*\nbest validation /),
    ]);
    const saved = JSON.parse(await readFile(join(folder, "runs/parts-conv4/config.json"), "utf8")) as object;
    expect(saved).toMatchObject({ ...config, seed: 1, schedule: { kind: "constant" } });
    const log = lines(await readFile(join(folder, "runs/parts-conv4/log.jsonl"), "utf8"));
    expect(log).toHaveLength(14);

    const enrolled = await run("enroll", "parts", "--model", "runs/parts-conv4/bundle");
    expect(enrolled.code).toBe(0);
    const model = ["--model", "runs/parts-conv4/bundle"];
    const answered = await run("recognize", "parts/gear/1.jpg", ...model, "--json", "--quiet");
    expect(answered.err).toBe("");
    expect(JSON.parse(lines(answered.out)[0]!)).toMatchObject({ kind: expect.any(String) });
  });

  it("refuses to write over a run, and goes on with --resume", async () => {
    const again = await run("train", "train.json", "--data", "parts", "--json", "--quiet");
    expect(errorOf(again).code).toBe("INVALID_ARGUMENT");
    const resumed = await run("train", "train.json", "--data", "parts", "--json", "--quiet", "--resume");
    expect(JSON.parse(resumed.out)).toMatchObject({ step: 12, ended: "done" });
    const other = await run(
      "train",
      "train.json",
      "--data",
      "parts",
      "--json",
      "--quiet",
      "--resume",
      "--seed",
      "2",
    );
    expect(errorOf(other).code).toBe("CONFIG_INVALID");
  });

  it("names what is wrong with a config", async () => {
    await writeFile(
      join(folder, "bad.json"),
      JSON.stringify({ ...config, method: { kind: "protonet", metric: "cosin" } }),
    );
    const bad = errorOf(await run("train", "bad.json", "--data", "parts", "--json"));
    expect(bad.code).toBe("CONFIG_INVALID");
    expect(bad.message).toContain("method.metric");
    await writeFile(join(folder, "text.json"), "{ name: no }");
    expect(errorOf(await run("train", "text.json", "--json")).code).toBe("CONFIG_INVALID");
    expect(errorOf(await run("train", "nothing.json", "--json")).code).toBe("CONFIG_INVALID");
  });

  it("says which providers work before it loads anything", async () => {
    // No machine has both.
    const [coreml, dml] = await Promise.all(
      ["coreml", "dml"].map((provider) =>
        run("train", "train.json", "--data", "nowhere", "--provider", provider, "--json", "--quiet"),
      ),
    );
    // The device library adds a line of its own, so that the error output is not JSON alone.
    const refused = [coreml!, dml!].find(({ err }) => err.includes("PROVIDER_UNAVAILABLE"));
    expect(refused?.err).toMatch(/expected one of cpu.*, which work on this machine, got (coreml|dml)/);
  });

  it("fails before training where a class is too small for the episode", async () => {
    await writeFile(
      join(folder, "large.json"),
      JSON.stringify({ ...config, episode: { way: 3, shot: 5, query: 5 } }),
    );
    const failed = errorOf(
      await run("train", "large.json", "--data", "parts", "--json", "--quiet", "--out", "runs/large"),
    );
    expect(failed).toMatchObject({
      code: "EPISODE_IMPOSSIBLE",
      message: expect.stringMatching(/gear|motor|washer/),
    });
  });
});
