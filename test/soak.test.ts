import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { soak } from "../scripts/soak/run.ts";
import { slopeOf } from "../scripts/soak/slope.ts";
import { createRng } from "../src/core/index.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-soak-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("two minutes of scripts/soak.ts", () => {
  it("fail nothing, lose nothing, and grow no further once they are warm", async () => {
    const result = await soak({ folder, minutes: 2, seed: 2, windowSeconds: 5 });
    const { windows, counts, failed, failures, revisions, exit } = result;
    expect([failed, failures]).toEqual([0, []]);
    expect(revisions.stored).toBe(revisions.acknowledged);
    expect(exit).toBe(0);
    const done = [
      "frames",
      "enrollments",
      "removals",
      "rollbacks",
      "bad requests",
      "pages read",
      "clients that left",
    ];
    for (const what of done) expect(counts[what], what).toBeGreaterThan(5);
    const median = (values: readonly number[]): number =>
      [...values].sort((a, b) => a - b)[values.length >> 1]!;
    const quarter = (k: number) => windows.slice((k * windows.length) / 4, ((k + 1) * windows.length) / 4);
    const rss = (k: number): number => median(quarter(k).map((it) => it.rss)) / 2 ** 20;
    expect(windows).toHaveLength(24);
    // A leak of a frame's picture alone would be 100 MiB and more.
    expect(rss(3) - rss(1)).toBeLessThan(80);
  }, 240_000);
});

describe("the slope of a soak", () => {
  it("is within its interval 95 times of 100, also where neighbours are alike", () => {
    const rng = createRng(5);
    for (const alike of [0, 0.6]) {
      let within = 0;
      for (let run = 0; run < 400; run++) {
        let last = 0;
        const points = Array.from({ length: 80 }, (_, x) => {
          last = alike * last + rng.normal();
          return { x, y: 3 + 0.25 * x + last };
        });
        const { interval } = slopeOf(points);
        if (interval[0] <= 0.25 && 0.25 <= interval[1]) within++;
      }
      expect(within / 400, String(alike)).toBeGreaterThan(0.9);
    }
    const { slope, interval } = slopeOf([0, 1, 2, 3, 4, 5].map((x) => ({ x, y: 2 * x })));
    expect(slope).toBeCloseTo(2, 10);
    expect(interval[1] - interval[0]).toBeCloseTo(0, 10);
  });
});
