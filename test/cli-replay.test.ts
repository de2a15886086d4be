import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ReplaySummary } from "../src/line/index.ts";
import { drawInto, errorOf, newFolder, protoline } from "./cli-help.ts";

describe("protoline replay", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await newFolder();
    for (const [i, kind] of (["washer", "motor housing", "bolt"] as const).entries())
      await drawInto(join(folder, "data", kind), kind, 24, i);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("runs a folder as a line: a part that appears on the way is caught, assigned and known", async () => {
    // A line of its own speed: enrolling goes on beside it, and must end before it does.
    const { code, out, err } = await protoline(folder, [
      ...["replay", "data", "--known", "washer,motor housing", "--shots", "8"],
      ...["--every", "15", "--confirm", "6", "--rate", "8", "--json"],
    ]);
    expect({ code, err }).toMatchObject({ code: 0 });
    const summary = JSON.parse(out) as ReplaySummary & { onboarded: { label: string }[] };
    expect(summary.frames).toBe(2 * 16 + 24);
    const added = summary.classes.find(({ label }) => label === "bolt")!;
    expect(added.appeared).toBe(15);
    expect(added.known).toBeGreaterThan(15);
    expect(added.caught.share).toBeGreaterThan(0.5);
    expect(summary.recognized.share).toBeGreaterThan(0.75);
    expect(summary.wrong.share).toBeLessThan(0.1);
    expect(summary.onboarded[0]!.label).toBe("bolt");
  });

  it("prints the tables of it", async () => {
    const { code, out } = await protoline(folder, "replay data --known 2 --shots 6 --frames 20".split(" "));
    expect(code).toBe(0);
    expect(out).toMatch(/^class +appears +known at/m);
    expect(out).toMatch(/^known parts +recognized \d/m);
    expect(out).toMatch(/^20 frames in /m);
  });

  it("says what is wrong before anything runs", async () => {
    const wrong = await protoline(folder, ["replay", "data", "--known", "gear", "--json"]);
    expect([wrong.code, errorOf(wrong).message]).toEqual([2, expect.stringContaining("gear")]);
    const dim = await protoline(folder, [
      "replay",
      "data",
      "--frames",
      "9",
      "--known",
      "1",
      "--dim-from",
      "9",
      "--json",
    ]);
    expect(errorOf(dim).message).toContain("--dim-from below the 9 frames");
  });
});
