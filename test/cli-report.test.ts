import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { train } from "../src/train/index.ts";
import { drawInto, type Ended, errorOf, newFolder, protoline, write } from "./cli-help.ts";
import { toyConfig, toySet } from "./train/toy.ts";

let folder = "";
const run = (...args: string[]): Promise<Ended> => protoline(folder, args);
const page = (name = "report.html"): Promise<string> => readFile(join(folder, name), "utf8");

beforeAll(async () => {
  folder = await newFolder();
  for (const [i, kind] of (["washer", "gear", "bolt"] as const).entries())
    await drawInto(join(folder, "parts", kind), kind, 6, i);
  const options = ["--way", "2", "--shot", "1,3", "--queries", "3", "--episodes", "20", "--open-set", "1"];
  const evaluated = await run("evaluate", "parts", ...options, "--json");
  expect(evaluated.code).toBe(0);
  await write(join(folder, "eval.json"), evaluated.out);
  await train({
    config: toyConfig({ episodes: 10, validation: { every: 5, episodes: 4, way: 5, shot: 2, query: 3 } }),
    train: toySet(8, 8, 1),
    validation: toySet(8, 8, 2),
    out: join(folder, "runs/toy"),
  });
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("protoline report", () => {
  it("puts a real training and a real evaluation on one page", async () => {
    const { code, out, err } = await run("report", "runs/toy", "eval.json");
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^report\.html: 1 run and 1 evaluation, \d+ KiB$/m);
    const text = await page();
    expect(text).toContain("<h2>Training: toy</h2>");
    expect(text).toContain("10 of 10");
    expect(text).toMatch(/best validation<\/dt><dd>\d+\.\d\d % ± \d+\.\d\d %/);
    const { results } = JSON.parse(await readFile(join(folder, "eval.json"), "utf8")) as {
      results: { mean: number; ci95: number; auroc: number }[];
    };
    expect(results).toHaveLength(2);
    for (const { mean, ci95, auroc } of results) {
      expect(text).toContain(`${(100 * mean).toFixed(2)} % ± ${(100 * ci95).toFixed(2)}`);
      expect(text).toContain(`${(100 * auroc).toFixed(1)} %`);
    }
    // Five curves, accuracy over shots, and class by class, calibration and confusion of each shot at least.
    expect(text.match(/<svg /g)!.length).toBeGreaterThanOrEqual(12);
  });

  it("compares evaluations, in Chinese, and answers in JSON", async () => {
    const args = ["report", "eval.json", "eval.json", "--lang", "zh", "--title", "A & B", "-o", "zh.html"];
    const { code, out } = await run(...args, "--json");
    expect(code).toBe(0);
    const text = await page("zh.html");
    expect(JSON.parse(out)).toEqual({
      report: "zh.html",
      runs: 0,
      evaluations: 2,
      bytes: Buffer.byteLength(text),
    });
    expect(text).toContain("<title>A &amp; B</title>");
    expect(text).toContain("评估对比");
  });

  it("says what is wrong, with the exit code for it", async () => {
    const missing = await run("report", "nowhere.json", "--json");
    expect([missing.code, errorOf(missing).code]).toEqual([3, "REPORT_SOURCE_NOT_FOUND"]);
    const pictures = await run("report", "parts", "--json");
    expect([pictures.code, errorOf(pictures).code]).toEqual([3, "REPORT_SOURCE_NOT_FOUND"]);
    const image = await run("report", "parts/gear/1.jpg", "--json");
    expect([image.code, errorOf(image).code]).toEqual([2, "REPORT_SOURCE_INVALID"]);
    const nowhere = await run("report", "eval.json", "-o", "no/such/r.html", "--json");
    expect([nowhere.code, errorOf(nowhere).code]).toEqual([2, "INVALID_ARGUMENT"]);
    expect((await run("report")).code).toBe(2);
  });
});
