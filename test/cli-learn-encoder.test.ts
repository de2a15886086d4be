import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { drawInto, environment, lines, main, newFolder, protoline } from "./cli-help.ts";

let folder: string;
beforeAll(async () => {
  folder = await newFolder();
  for (const [i, kind] of (["washer", "gear", "bolt"] as const).entries()) {
    await drawInto(join(folder, "parts", kind), kind, 6, i + 1);
    await drawInto(join(folder, "frames"), kind, 1, i + 31);
  }
  await protoline(folder, ["enroll", "parts", "--model", "compact"]);
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const gallery = async () => {
  const { out } = await protoline(folder, ["gallery", "list", "--json"]);
  return (JSON.parse(out) as { model: string; head: { number: number; hash: string } }[])[0]!;
};
const answer = async () => {
  const { code, out, err } = await protoline(folder, ["recognize", "frames/1.jpg", "--json"]);
  expect(code, err).toBe(0);
  return JSON.parse(lines(out)[0]!) as { kind: string; label?: string; model: string };
};
const learnedNames = (): Promise<string[]> => readdir(join(folder, ".protoline", "learned")).catch(() => []);

async function serve() {
  const args = ["serve", "--port", "0", "--json", "--workers", "1", "--answer-within-ms", "20000"];
  const child = spawn(process.execPath, [main, ...args], { cwd: folder, env: environment(folder) });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const { address, model } = JSON.parse(line.toString()) as { address: string; model: string };
  const body = await readFile(join(folder, "frames", "1.jpg"));
  return {
    model,
    async answeredBy(): Promise<string> {
      const headers = { "content-type": "image/jpeg" };
      const url = `${address}/v1/galleries/default/recognize`;
      return ((await (await fetch(url, { method: "POST", headers, body })).json()) as { model: string })
        .model;
    },
    async stop() {
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

describe("protoline learn --encoder", () => {
  it("killed in the middle leaves the gallery as it was, and nothing else", async () => {
    const before = await gallery();
    const temporary = join(folder, "tmp");
    await mkdir(temporary);
    const child = spawn(process.execPath, [main, "learn", "--encoder", "--steps", "5000", "--promote"], {
      cwd: folder,
      env: environment(folder, { TMPDIR: temporary, TMP: temporary, TEMP: temporary }),
    });
    let told = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      told += text;
    });
    await vi.waitFor(() => expect(told).toContain("step 1 of 5000"), 100_000);
    const scratch = async () => (await readdir(temporary)).filter((name) => name.startsWith("protoline-"));
    expect((await scratch()).length).toBe(1);
    child.kill("SIGKILL");
    // The process that trained ends by itself, and takes its files along.
    await vi.waitFor(async () => expect(await scratch()).toEqual([]), 60_000);
    expect(await gallery()).toEqual(before);
    expect(await learnedNames()).toEqual([]);
    expect(await answer()).toMatchObject({ model: "compact" });
  }, 180_000);

  it("is promoted, answers in another process, is kept from removal, and is rolled back", async () => {
    const { head } = await gallery();
    const { code, out, err } = await protoline(folder, [
      ...["learn", "--encoder", "--steps", "3", "--seed", "2", "--promote", "--json"],
    ]);
    expect(code, err).toBe(0);
    const { candidate, promoted, revision } = JSON.parse(out);
    expect({ promoted, revision }).toEqual({ promoted: true, revision: head.number + 1 });
    expect(candidate.comparison).toMatchObject({ heldOut: null, leftOut: { pictures: 3 } });
    expect(candidate.learned).toMatchObject({ name: candidate.model, pictures: 15, keptBack: 3 });
    expect(err).toMatch(/step 3 of 3: loss/);
    expect(await learnedNames()).toEqual([candidate.model]);
    expect(await answer()).toMatchObject({ kind: "known", model: candidate.model });
    const elsewhere = await protoline(folder, ["recognize", "frames/1.jpg", "--learned", "elsewhere"]);
    expect(elsewhere.code).toBe(3);
    expect(elsewhere.err).toContain("--learned");

    const refused = await protoline(folder, ["models", "remove", candidate.model]);
    expect(refused.err).toContain('which gallery "default" has or had');
    // A server has the model that it began with as its own, and so follows the gallery back to it.
    const server = await serve();
    expect(server.model).toBe("compact");
    expect(await server.answeredBy()).toBe(candidate.model);
    await protoline(folder, ["gallery", "rollback", String(head.number)]);
    await vi.waitFor(async () => expect(await server.answeredBy()).toBe("compact"), 60_000);
    await server.stop();
    expect(await answer()).toMatchObject({ kind: "known", model: "compact" });
    expect((await protoline(folder, ["models", "remove", candidate.model])).code).toBe(2);
    expect((await protoline(folder, ["gallery", "rollback", String(revision)])).code).toBe(0);
    expect(await answer()).toMatchObject({ model: candidate.model });
  }, 180_000);

  it("that was not promoted may be later, or is removed", async () => {
    const { head } = await gallery();
    const { out } = await protoline(folder, ["learn", "--encoder", "--steps", "2", "--no-tune", "--json"]);
    const { candidate, promoted } = JSON.parse(out);
    expect(promoted).toBe(false);
    const listed = await protoline(folder, ["models", "list"]);
    expect(listed.out).toMatch(new RegExp(`${candidate.model}\\s+learned`));
    const later = await protoline(folder, [
      "learn",
      "--to",
      candidate.model,
      "--no-tune",
      "--promote",
      "--json",
    ]);
    expect(JSON.parse(later.out)).toMatchObject({ promoted: true, revision: head.number + 1 });
    const other = await protoline(folder, ["learn", "--encoder", "--steps", "1", "--no-tune", "--json"]);
    const { name } = JSON.parse(other.out).candidate.learned;
    expect((await protoline(folder, ["models", "remove", name])).code).toBe(0);
    expect(await learnedNames()).not.toContain(name);
    const both = await protoline(folder, ["learn", "--encoder", "--to", "scattering"]);
    expect(both.code).toBe(2);
  }, 180_000);
});
