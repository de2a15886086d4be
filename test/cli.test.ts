import { spawn } from "node:child_process";
import { access, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { drawInto, type Ended, environment, lines, main, newFolder, protoline } from "./cli-help.ts";

let folder = "";
const run = (...args: string[]): Promise<Ended> => protoline(folder, args);
const json = async <T>(...args: string[]): Promise<T> => {
  const { code, out, err } = await run(...args, "--json", "--quiet");
  expect(err).toBe("");
  expect(code).toBe(0);
  expect(lines(out)).toHaveLength(1);
  return JSON.parse(out) as T;
};

beforeAll(async () => {
  folder = await newFolder();
  await drawInto(join(folder, "parts/washer"), "washer", 8, 1);
  await drawInto(join(folder, "parts/gear"), "gear", 8, 2);
  await drawInto(join(folder, "parts/电机外壳"), "motor housing", 8, 3);
  await drawInto(join(folder, "frames/washer"), "washer", 3, 11);
  await drawInto(join(folder, "frames/bolt"), "bolt", 3, 12);
  await drawInto(join(folder, "more"), "bracket", 6, 13);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("protoline, from folder to answer", () => {
  it("enrolls a folder a class, says which model it took and why, and keeps all in the store", async () => {
    const { code, out, err } = await run("enroll", "parts");
    expect(code).toBe(0);
    expect(lines(out)[0]).toMatch(/^class\s+enrolled\s+there already\s+refused/);
    expect(
      lines(out)
        .slice(1)
        .map((line) => line.split(/\s+/).slice(0, 4)),
    ).toEqual([
      ["gear", "8", "0", "0"],
      ["washer", "8", "0", "0"],
      ["电机外壳", "8", "0", "0"],
    ]);
    expect(err).toContain('new gallery "default" with model "compact"');
    expect(err).toContain("models pull mobilenet-v1");
    // No terminal, no bar and no colours.
    expect(out + err).not.toContain("\u001b");
    expect(err).not.toMatch(/[█░]/);
    await access(join(folder, ".protoline/protoline.db"));
  });

  it("recognizes files and folders, one line a picture", async () => {
    const { code, out, err } = await run("recognize", "frames/washer", "frames/bolt/1.jpg");
    expect(code).toBe(0);
    expect(lines(out)).toHaveLength(5);
    expect(lines(out)[0]).toMatch(
      /^file\s+answer\s+class\s+confidence\s+distance\s+limit\s+decode\s+embed\s+match/,
    );
    expect(out).toMatch(/frames\/washer\/\d\.jpg\s+known\s+washer\s/);
    expect(out).toMatch(/frames\/bolt\/1\.jpg\s+unknown\s+\(/);
    expect(err).toMatch(/4 pictures in [\d.]+ s: \d known, \d unknown, \d ambiguous/);
  });

  it("recognizes in JSON Lines: an object a picture, with class, distance, support and times", async () => {
    const { code, out, err } = await run("recognize", "frames", "--json", "--quiet", "--top", "2");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const answers = lines(out).map((line) => JSON.parse(line));
    expect(answers.map(({ file }) => file).sort()).toEqual(
      ["bolt", "washer"].flatMap((kind) => [1, 2, 3].map((n) => `frames/${kind}/${n}.jpg`)),
    );
    for (const answer of answers) {
      expect(["known", "unknown", "ambiguous"]).toContain(answer.kind);
      expect(answer.candidates).toHaveLength(2);
      expect(answer.nearestSupport).toHaveLength(2);
      expect(Object.keys(answer.ms).sort()).toEqual(["decode", "embed", "match", "total"]);
      expect("label" in answer).toBe(answer.kind === "known");
    }
    expect(answers.filter(({ file }) => file.includes("bolt")).every(({ kind }) => kind === "unknown")).toBe(
      true,
    );
  });

  it("takes the same pictures again as known already, and a new class live", async () => {
    const again = await json<{ classes: { added: unknown[]; duplicates: unknown[] }[] }>("enroll", "parts");
    expect(again.classes.map(({ added, duplicates }) => [added.length, duplicates.length])).toEqual([
      [0, 8],
      [0, 8],
      [0, 8],
    ]);
    const enrolled = await json<{ revision: number; model: string }>(
      ...["enroll", "--class", "bracket", "more/1.jpg", "more", "--reason", "new part"],
    );
    expect(enrolled).toMatchObject({ gallery: "default", revision: 4, model: "compact", pending: 0 });
  });

  it("changes the gallery by revisions: rename, merge, remove, diff, rollback, history", async () => {
    await run("gallery", "rename", "gear", "gear wheel");
    await run("gallery", "merge", "bracket", "--into", "washer", "--reason", "a test");
    const removed = await run("gallery", "remove", "电机外壳");
    expect(removed).toMatchObject({ code: 0, err: "" });
    expect(removed.out).toContain("revision 7 with 2 classes and 22 pictures");
    expect((await run("gallery", "diff", "4")).out.split("\n").slice(0, 4)).toEqual([
      "revision 4 → 7",
      "- 电机外壳: 8 pictures",
      expect.stringMatching(/^~ (gear → gear wheel: 8 pictures|bracket → washer: 6 pictures)$/),
      expect.stringMatching(/^~ (gear → gear wheel: 8 pictures|bracket → washer: 6 pictures)$/),
    ]);
    expect((await run("gallery", "rollback", "4")).out).toContain(
      "revision 8 with 4 classes and 30 pictures",
    );
    const history = await json<{ number: number; reason: string; hash: string }[]>("gallery", "history");
    expect(history.map(({ number }) => number)).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0]);
    expect(history[2]?.reason).toBe("a test");
    expect(history[0]?.hash).toBe(history[4]?.hash);
    const shown = await json<{ classes: unknown; samples: { id: string }[] }>("gallery", "show", "bracket");
    expect(shown.samples).toHaveLength(6);
    expect(shown.classes).toContainEqual({ label: "bracket", samples: 6 });
    const less = await json<{ revision: { samples: number } }>(
      ...["gallery", "remove", "--sample", shown.samples[0]!.id],
    );
    expect(less.revision.samples).toBe(29);
  });

  it("moves a gallery through a file, waits with pending pictures, and removes it only with --yes", async () => {
    await run("gallery", "export", "line.gz");
    const copy = await json<{ gallery: string; revision: { samples: number } }>(
      ...["gallery", "import", "line.gz", "--gallery", "two"],
    );
    expect(copy).toMatchObject({ gallery: "two", revision: { samples: 29 } });
    expect((await run("gallery", "import", "line.gz")).code).toBe(4);
    await run("gallery", "refresh", "manual", "--gallery", "two");
    const waiting = await json<{ pending: number }>(
      ...["enroll", "--class", "bolt", "frames/bolt", "--gallery", "two"],
    );
    expect(waiting.pending).toBe(3);
    expect((await run("gallery", "publish", "--gallery", "two")).out).toContain("32 pictures");
    const refused = await run("gallery", "remove", "--everything", "--gallery", "two");
    expect(refused.code).toBe(2);
    expect(refused.err).toContain("--yes");
    expect((await run("gallery", "remove", "--everything", "--yes", "--gallery", "two")).code).toBe(0);
    const left = await json<{ name: string }[]>("gallery", "list");
    expect(left.map(({ name }) => name)).toEqual(["default"]);
  });

  it("tunes on the gallery's own pictures: says what and why, and changes nothing on a dry run", async () => {
    const dry = await json<Record<string, unknown>>("tune", "--dry-run");
    expect(dry).toMatchObject({ applied: false, revision: 9, report: { pictures: 29, classes: 4 } });
    const { code, out } = await run("tune", "--false-reject", "0.2");
    expect(code).toBe(0);
    expect(out).toMatch(/left out|Leaving out/);
    expect(out).toMatch(/^before {2}.*5 % false rejects/m);
    expect(out).toMatch(/^after {3}.*20 % false rejects/m);
  });

  it("evaluates a data set: one object, a row a shot, equal for equal seeds", async () => {
    const args = ["evaluate", "parts", "--way", "2", "--shot", "1,4", "--queries", "3", "--open-set", "1"];
    const measure = () =>
      json<{ results: Record<string, number>[]; ms: number }>(...args, "--episodes", "20", "--seed", "5");
    const first = await measure();
    expect(first.results.map(({ way, shot, episodes }) => ({ way, shot, episodes }))).toEqual([
      { way: 2, shot: 1, episodes: 20 },
      { way: 2, shot: 4, episodes: 20 },
    ]);
    for (const row of first.results)
      for (const key of ["mean", "ci95", "auroc", "fpr95", "oscr"]) {
        expect(row[key]).toBeGreaterThanOrEqual(0);
        expect(row[key]).toBeLessThanOrEqual(1);
      }
    const plain = await json<{ decision: unknown; results: Record<string, unknown>[] }>(
      ...["evaluate", "parts", "--way", "2", "--shot", "4", "--queries", "3", "--episodes", "20"],
      ...["--transform", "l2", "--head", "prototype"],
    );
    expect(plain.decision).toMatchObject({ transform: { power: null }, head: { kind: "prototype" } });
    expect(plain.results[0]).not.toHaveProperty("auroc");
    expect((await measure()).results).toEqual(first.results);
  });

  it("warns that a transductive evaluation is no figure for serving", async () => {
    const args = [
      ...["evaluate", "parts", "--way", "2", "--shot", "2"],
      ...["--queries", "3", "--episodes", "4", "--json"],
    ];
    const { code, out, err } = await run(...args, "--transductive", "bd-cspn", "--unbalanced");
    expect(code).toBe(0);
    expect(err).toMatch(
      /sees all pictures.*at once.*as frequent as each other.*must not be compared.*never available/,
    );
    expect(JSON.parse(out)).toMatchObject({ transductive: "bd-cspn", unbalanced: true });
    const plain = await run(...args);
    expect(plain.err).not.toMatch(/transductive/);
    expect(JSON.parse(plain.out)).not.toHaveProperty("transductive");
    expect((await run(...args, "--transductive", "alpha-tim")).err).not.toMatch(/as frequent/);
  });

  it("keeps models and keys: list, info, create, list, revoke", async () => {
    const models = await json<{ name: string; place: string | null }[]>("models", "list");
    expect(models[0]).toMatchObject({ name: "compact", place: "built in" });
    expect((await run("models", "info", "compact")).out).toMatch(/^decision {4}.*predictive Gaussian/m);
    const made = await json<{ key: string; id: string }>(
      ...["keys", "create", "camera-3", "--scopes", "recognize,read"],
    );
    expect(made.key).toMatch(/^protoline_/);
    const listed = await run("keys", "list");
    expect(listed.out).toMatch(/camera-3\s+recognize, read/);
    expect(listed.out).not.toContain(made.key);
    expect((await run("keys", "revoke", made.id)).code).toBe(0);
    expect((await run("keys", "revoke", made.id)).code).toBe(3);
  });

  it("serves until SIGTERM, and then ends by itself", async () => {
    const child = spawn(process.execPath, [main, "serve", "--port", "0", "--json", "--quiet"], {
      cwd: folder,
      env: environment(folder),
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    const text = await new Promise<string>((resolve) =>
      child.stdout.setEncoding("utf8").once("data", resolve),
    );
    const { address, docs, keys } = JSON.parse(text) as { address: string; docs: string; keys: number };
    expect(keys).toBe(0);
    expect((await fetch(docs)).status).toBe(200);
    const reply = await fetch(`${address}/v1/galleries/default/recognize`, {
      method: "POST",
      headers: { "content-type": "image/jpeg" },
      body: await readFile(join(folder, "frames/bolt/1.jpg")),
    });
    expect(reply.status).toBe(200);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
  });

  it("examines the machine", async () => {
    const { code, out } = await run("doctor");
    expect(code).toBe(0);
    for (const name of [
      "node",
      "runtime",
      "images",
      "sqlite",
      "model cache",
      "models",
      "store",
      "disk",
      "machine",
    ])
      expect(out).toMatch(new RegExp(`^(ok|warn) +${name} `, "m"));
    expect(out).toContain("1 gallery");
  });

  it("shows itself: known parts are known, what was never shown is not, and a class is added live", async () => {
    const { code, out, err } = await run("demo", "--json", "--keep", "shown");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const { before, after, rolledBack, rolledForward } = JSON.parse(out);
    const share = (rows: Record<string, number>[], key: string): number =>
      rows.reduce((sum, row) => sum + row[key]!, 0) / rows.reduce((sum, { frames }) => sum + frames!, 0);
    const known = [...before, ...after].filter(({ enrolled }) => enrolled > 0);
    const flawed = ({ label }: { label: string }): boolean => label === "washer, cracked";
    // A crack departs from all washers that were shown, and has a name once it is shown.
    const strangers = [...before, ...after].filter((row) => row.enrolled === 0 && !flawed(row));
    expect(share(known, "wrong")).toBeLessThanOrEqual(0.05);
    expect(share(known, "recognized")).toBeGreaterThanOrEqual(0.75);
    expect(share(strangers, "unknown")).toBeGreaterThanOrEqual(0.9);
    expect(share([before.find(flawed)], "unknown")).toBeGreaterThanOrEqual(0.5);
    // Twelve frames: nine of ten over many draws.
    expect(share([after.find(flawed)], "recognized")).toBeGreaterThanOrEqual(0.5);
    expect(rolledBack).toBe(0);
    expect(rolledForward).toBeGreaterThanOrEqual(9);
    for (const kind of ["washer", "gear", "bracket", "motor housing", "washer, cracked"])
      expect(await readdir(join(folder, "shown/parts", kind))).toHaveLength(10);
    expect(await readdir(join(folder, "shown/frames"))).toHaveLength(156);
  });
});
