import { type ChildProcess, spawn } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "libsql";
import { afterAll, afterEach, expect, it } from "vitest";
import type { PartKind } from "../src/cli/demo/parts.ts";
import type { LineResult } from "../src/line/index.ts";
import { openStore } from "../src/store/index.ts";
import { drawInto, environment, lines, main, newFolder, protoline, write } from "./cli-help.ts";
import { type Instance, postgresInstance, redisInstance } from "./store-instances.ts";
import { describeWith, type Found } from "./store-servers.ts";

const waiting = { timeout: 60_000, interval: 20 };
const kinds = ["gear", "washer"] as const;

const running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGKILL");
    await gone;
  }
});

function faults(kind: string, found: Found<Instance>): void {
  describeWith(found, (instance) => {
    let folder: string;
    afterAll(async () => {
      await instance.remove();
      if (folder) await rm(folder, { recursive: true, force: true });
    });

    it(`a line over ${kind} answers each frame once while its store is killed, stands still and comes back, and when it is killed itself`, async () => {
      folder = await newFolder();
      const env = { PROTOLINE_STORE: instance.address };
      const up = async () => {
        instance.start();
        const opened = () => openStore(instance.address).catch(() => null);
        await expect.poll(async () => (await opened())?.close() ?? "away", waiting).toBe(undefined);
      };
      await up();
      for (const [i, label] of kinds.entries()) await drawInto(join(folder, "parts", label), label, 6, i);
      expect((await protoline(folder, ["enroll", "parts"], env)).code).toBe(0);
      await mkdir(join(folder, "in"));
      await write(
        join(folder, "line.yaml"),
        "name: press-3\nsources: [{ kind: folder, path: in }]\nsinks: [{ kind: file, path: out.jsonl }, { kind: sqlite, path: out.db }]\n",
      );

      const line = () => {
        const child = spawn(process.execPath, [main, "line", "run", "line.yaml", "--json"], {
          ...{ cwd: folder, env: environment(folder, env), stdio: ["ignore", "pipe", "pipe"] },
        });
        running.push(child);
        const said = { err: "" };
        child.stdout!.resume();
        child.stderr!.setEncoding("utf8").on("data", (text: string) => {
          said.err += text;
        });
        const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
        return { child, said, ended };
      };
      /** What the line was given, by the name of its file. */
      const given = new Map<string, PartKind>();
      const give = async (n: number, of?: PartKind): Promise<void> => {
        for (let i = 0; i < n; i++) {
          const number = given.size;
          const label = of ?? kinds[number % 2]!;
          const [drawn] = await drawInto(join(folder, "drawn"), label, 1, 1000 + number);
          const name = `${String(number).padStart(4, "0")}.jpg`;
          given.set(name, label);
          // Under another name first, as a camera should do it: it is whole when it is there.
          await copyFile(drawn!, join(folder, "in", `.${name}`));
          await rename(join(folder, "in", `.${name}`), join(folder, "in", name));
        }
      };
      const told = async (): Promise<LineResult[]> =>
        lines(await readFile(join(folder, "out.jsonl"), "utf8").catch(() => "")).map(
          (text) => JSON.parse(text) as LineResult,
        );
      const allAnswered = () =>
        expect.poll(async () => new Set((await told()).map(({ id }) => id)).size, waiting).toBe(given.size);

      const first = line();
      await give(10);
      await allAnswered();
      // The store dies while frames come.
      const coming = give(20);
      await instance.kill();
      await coming;
      await give(10);
      await allAnswered();
      await expect.poll(() => first.said.err, waiting).toContain("the store does not answer");
      await up();
      await give(5);
      await expect.poll(() => first.said.err, waiting).toContain("the store answers again");
      // It follows the store again: a new class is known to the next frames.
      await drawInto(join(folder, "more", "bolt"), "bolt", 6, 9);
      expect((await protoline(folder, ["enroll", "more"], env)).code).toBe(0);
      await sleep(2000);
      await give(3, "bolt");
      await allAnswered();
      // The store says nothing at all.
      instance.freeze();
      await give(10);
      await allAnswered();
      instance.thaw();
      // The line is killed with frames under way, and the store again when the line is back.
      const before = given.size;
      const last = give(15);
      await expect.poll(async () => (await told()).length, waiting).toBeGreaterThan(before + 3);
      first.child.kill("SIGKILL");
      await first.ended;
      await last;
      const second = line();
      await expect.poll(() => second.said.err, waiting).toContain("revision");
      await instance.kill();
      await give(5);
      await allAnswered();
      await up();
      second.child.kill("SIGTERM");
      expect(await second.ended).toBe(0);

      const results = await told();
      const byFrame = new Map(results.map((result) => [result.id, result]));
      expect(byFrame.size).toBe(given.size);
      // What came twice came as the same frame, and only from around the kill.
      expect(results.length - byFrame.size).toBeLessThan(15);
      const answers = [...byFrame.values()].map(({ origin, answer }) => [
        origin.slice(-8),
        // The class that it looks most like: some parts of those drawn are beyond its limit.
        answer.kind === "error" ? answer.code : answer.candidates[0]!.label,
      ]);
      expect(Object.fromEntries(answers)).toEqual(Object.fromEntries(given));
      const db = new Database(join(folder, "out.db"), { readonly: true });
      const rows = db.prepare("SELECT result FROM result ORDER BY id").all([]) as { result: string }[];
      db.close();
      expect(rows.map(({ result }) => JSON.parse(result).id)).toEqual([...byFrame.keys()].sort());
      expect(rows.map(({ result }) => JSON.parse(result).answer.kind)).not.toContain("error");
      expect(await readdir(join(folder, "in/done"))).toHaveLength(given.size);
      expect((await readdir(folder)).filter((name) => name.startsWith("dead-letters"))).toEqual([]);
    }, 240_000);
  });
}

faults("postgres", await postgresInstance());
faults("redis", await redisInstance());
