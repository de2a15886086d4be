import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClassQuality } from "../src/monitor/index.ts";
import { drawInto, newFolder, protoline } from "./cli-help.ts";
import { enrollColors, testServer } from "./server-help.ts";

describe("protoline monitor check", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await newFolder();
    await drawInto(join(folder, "parts/washer"), "washer", 8, 1);
    await drawInto(join(folder, "parts/gear"), "gear", 8, 2);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("finds classes good, and one that is half another bad, and says which pictures", async () => {
    await protoline(folder, ["enroll", "parts"]);
    const good = await protoline(folder, ["monitor", "check"]);
    expect(good.code).toBe(0);
    expect(good.out).toMatch(/^2 classes, 0 bad$/m);
    // Pictures of washers under another name.
    await drawInto(join(folder, "more/ring"), "washer", 8, 3);
    await protoline(folder, ["enroll", "more"]);
    const { code, out } = await protoline(folder, ["monitor", "check", "--json"]);
    expect(code).toBe(7);
    const { classes } = JSON.parse(out) as { classes: ClassQuality[] };
    const [worst, , best] = classes;
    expect(["ring", "washer"]).toContain(worst!.label);
    expect(worst).toMatchObject({ verdict: "bad" });
    expect(["ring", "washer"]).toContain(worst!.confusable!.label);
    expect(worst!.todo).toMatch(/\.jpg|lie between/);
    // One of eight may be called unknown at a stated 5 %, which makes it "watch"; none is taken for another part.
    expect(best).toMatchObject({ label: "gear", right: { of: 8 }, wrong: { hits: 0 } });
    expect(best!.verdict).not.toBe("bad");
  });
});

describe("GET /v1/galleries/{gallery}/quality", () => {
  it("tells the quality of each class", async () => {
    const { app, close } = await testServer();
    const before = await app.inject("/v1/galleries/line-1/quality");
    expect(before.statusCode).toBe(200);
    expect(before.json()).toMatchObject({
      revision: 0,
      classes: [],
      expected: { classes: 0, strangers: [] },
    });
    await enrollColors(app);
    const { classes } = (await app.inject("/v1/galleries/line-1/quality")).json() as {
      classes: ClassQuality[];
    };
    expect(classes.length).toBeGreaterThan(1);
    for (const { pictures, right, verdict, todo } of classes) {
      expect(right.of).toBe(pictures);
      expect(right.interval[0]).toBeLessThan(right.interval[1]);
      expect(todo === null).toBe(verdict === "good");
    }
    expect((await app.inject("/v1/galleries/none/quality")).json()).toMatchObject({
      error: { code: "GALLERY_NOT_FOUND" },
    });
    await close();
  });
});
