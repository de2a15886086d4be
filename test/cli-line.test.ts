import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LineResult } from "../src/line/index.ts";
import { drawInto, environment, errorOf, lines, main, newFolder, protoline, write } from "./cli-help.ts";

describe("protoline line", () => {
  let folder: string;
  let washers: string[];
  beforeAll(async () => {
    folder = await newFolder();
    await drawInto(join(folder, "parts/washer"), "washer", 8, 1);
    await drawInto(join(folder, "parts/bolt"), "bolt", 8, 2);
    washers = await drawInto(join(folder, "frames"), "washer", 4, 3);
    await mkdir(join(folder, "in"));
    await write(
      join(folder, "line.yaml"),
      "name: press-3\nsources:\n  - kind: folder\n    path: in\nsinks:\n  - kind: file\n    path: out.jsonl\n",
    );
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("says before it runs what is missing", async () => {
    expect(errorOf(await protoline(folder, ["line", "check", "no.yaml", "--json"])).code).toBe(
      "LINE_INVALID",
    );
    const empty = await protoline(folder, ["line", "check", "line.yaml", "--json"]);
    expect(empty.code).toBe(7);
    expect(JSON.parse(empty.out)).toMatchObject([
      { name: "gallery default", state: "bad", error: { code: "GALLERY_NOT_FOUND" } },
      { state: "ok" },
      { state: "ok" },
    ]);
    await protoline(folder, ["enroll", "parts"]);
    const { code, out } = await protoline(folder, ["line", "check", "line.yaml"]);
    expect([code, lines(out).filter((text) => text.startsWith("ok "))]).toEqual([0, lines(out)]);
  });

  it("answers what comes, knows a class that is enrolled meanwhile, and ends by SIGTERM", async () => {
    const child = spawn(process.execPath, [main, "line", "run", "line.yaml", "--json"], {
      cwd: folder,
      env: environment(folder),
    });
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    const answers = async (n: number): Promise<LineResult[]> => {
      while (lines(out).length < n) await new Promise((resolve) => setTimeout(resolve, 20));
      return lines(out).map((text) => JSON.parse(text) as LineResult);
    };
    await copyFile(washers[0]!, join(folder, "in/a.jpg"));
    expect((await answers(1))[0]).toMatchObject({
      line: "press-3",
      answer: { kind: "known", label: "washer" },
      lineage: { gallery: "default" },
    });
    await drawInto(join(folder, "more/gear"), "gear", 8, 4);
    await protoline(folder, ["enroll", "more"]);
    const [gear] = await drawInto(join(folder, "frames/gear"), "gear", 1, 5);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    await copyFile(gear!, join(folder, "in/b.jpg"));
    expect((await answers(2))[1]!.answer).toMatchObject({ kind: "known", label: "gear" });
    const code = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    expect(await code).toBe(0);
    expect((await readdir(join(folder, "in/done"))).sort()).toEqual(["a.jpg", "b.jpg"]);
    expect(lines(await readFile(join(folder, "out.jsonl"), "utf8"))).toEqual(lines(out));
  });

  it("runs in a server too, which answers its frames and keeps what is unknown", async () => {
    expect(errorOf(await protoline(folder, ["serve", "--line", "no.yaml", "--json"])).code).toBe(
      "LINE_INVALID",
    );
    await mkdir(join(folder, "served"));
    await write(
      join(folder, "served.yaml"),
      "name: press-4\nsources:\n  - kind: folder\n    path: served\nsinks:\n  - kind: file\n    path: served.jsonl\n",
    );
    const child = spawn(
      process.execPath,
      [main, "serve", "--line", "served.yaml", "--port", "0", "--workers", "1", "--json"],
      { cwd: folder, env: environment(folder) },
    );
    const code = new Promise((resolve) => child.once("exit", resolve));
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    const { address } = JSON.parse(String(said)) as { address: string };
    const [housing] = await drawInto(join(folder, "frames/housing"), "motor housing", 1, 6);
    await copyFile(housing!, join(folder, "served/a.jpg"));
    const tray = async (): Promise<number> => {
      const reply = await fetch(`${address}/v1/galleries/default/tray`);
      return ((await reply.json()) as { groups: unknown[] }).groups.length;
    };
    await expect.poll(tray, { timeout: 20_000 }).toBe(1);
    await copyFile(washers[1]!, join(folder, "served/b.jpg"));
    await expect.poll(() => readdir(join(folder, "served/done")), { timeout: 20_000 }).toHaveLength(2);
    child.kill("SIGTERM");
    expect(await code).toBe(0);
    const results = lines(await readFile(join(folder, "served.jsonl"), "utf8")).map(
      (text) => JSON.parse(text) as LineResult,
    );
    expect(results).toMatchObject([
      { line: "press-4", answer: { kind: "unknown" }, lineage: { gallery: "default", model: "compact" } },
      { line: "press-4", answer: { kind: "known", label: "washer" } },
    ]);
  }, 60_000);
});
