import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { drawInto, type Ended, errorOf, newFolder, protoline } from "./cli-help.ts";

let folder = "";
const evaluate = (...args: string[]): Promise<Ended> =>
  protoline(folder, ["evaluate", "parts", "--queries", "3", "--episodes", "10", ...args]);
interface Answer {
  readonly results: readonly Readonly<Record<string, unknown>>[];
  readonly leftOut: unknown;
  readonly picturesNeeded: number;
}

beforeAll(async () => {
  folder = await newFolder();
  for (const [i, [kind, count]] of (
    [
      ["washer", 10],
      ["gear", 10],
      ["bracket", 7],
      ["bolt", 4],
    ] as const
  ).entries())
    await drawInto(join(folder, "parts", kind), kind, count, i);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("protoline evaluate", () => {
  it("draws tasks of classes of these sizes, and leaves out with a warning what is too small for all", async () => {
    const { code, out, err } = await evaluate("--sizes", "7:2", "--open-set", "1", "--json");
    expect(code).toBe(0);
    expect(err).toContain('left out, as a class needs 5 pictures for these tasks: "bolt" (4)');
    const { results, leftOut, picturesNeeded } = JSON.parse(out) as Answer;
    expect(leftOut).toEqual([{ label: "bolt", pictures: 4 }]);
    expect(picturesNeeded).toBe(5);
    expect(results).toHaveLength(1);
    expect(results[0]).toMatchObject({ way: 2, shot: 7, sizes: [7, 2], episodes: 10 });
    for (const key of [
      "balanced",
      "balancedCi95",
      "worst",
      "falseReject",
      "falseRejectCi95",
      "caught",
      "caughtSpread",
    ]) {
      expect(results[0]![key], key).toBeGreaterThanOrEqual(0);
      expect(results[0]![key], key).toBeLessThanOrEqual(1);
    }
    const table = await evaluate("--sizes", "7:2");
    expect(table.out).toMatch(/^sizes {2}tasks {2}balanced {2,}± {2,}worst {2}called unknown\n7:2 /);
  });

  it("tells both rates of unknown, and neither of parts never shown where none were asked about", async () => {
    const open = await evaluate("--way", "2", "--shot", "4", "--open-set", "1");
    expect(open.code).toBe(0);
    expect(open.out).toMatch(/called unknown {2,}caught {2,}AUROC {2,}FPR95 {2,}OSCR\n/);
    expect(open.err).toContain("stated false rejects 5.0 %");
    const { out, err } = await evaluate(
      "--way",
      "2",
      "--shot",
      "1",
      "--false-reject",
      "0.2",
      "--json",
      "--quiet",
    );
    expect(err).toBe("");
    const { results, leftOut } = JSON.parse(out) as Answer;
    expect(leftOut).toEqual([]);
    expect(results[0]).toHaveProperty("falseReject");
    for (const key of ["caught", "auroc", "sizes"]) expect(results[0]).not.toHaveProperty(key);
  });

  it("refuses sizes beside way or shot, one size, and what no class is large enough for", async () => {
    for (const args of [
      ["--sizes", "7:2", "--shot", "3"],
      ["--sizes", "7:2", "--way", "2"],
      ["--sizes", "7"],
      ["--sizes", "7:0"],
      ["--head", "prototype:mahalanobis"],
    ]) {
      const ended = await evaluate(...args, "--json", "--quiet");
      expect(ended.code, args.join(" ")).toBe(2);
      expect(errorOf(ended).code).toBe("INVALID_ARGUMENT");
    }
    const large = await evaluate("--sizes", "8:2", "--json", "--quiet");
    expect(errorOf(large)).toMatchObject({
      code: "EPISODE_IMPOSSIBLE",
      message: expect.stringContaining("at least 1 class of 11 images or more"),
    });
    expect(errorOf(await evaluate("--way", "3", "--shot", "5", "--json", "--quiet")).message).toContain(
      'got 4 in class "bolt"',
    );
  });
});
