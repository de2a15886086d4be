import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AuditEvent, beginning, formatLine } from "./chain.ts";
import { type AuditLogOptions, openAuditLog } from "./log.ts";
import { verifyAudit } from "./verify.ts";

let folder: string;
let file: string;
const key = "a key of the plant, kept elsewhere";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-audit-"));
  file = join(folder, "audit.jsonl");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const event = (n: number, more: Partial<AuditEvent> = {}): AuditEvent => ({
  phase: "note",
  action: "gallery.publish",
  who: `engineer ${n}`,
  caller: "k-1",
  request: null,
  gallery: "line-1",
  reason: n % 2 ? '螺钉 M8 — "new" lot\n' : null,
  old: { revision: n },
  new: { revision: n + 1 },
  ...more,
});

async function write(n: number, options: Partial<AuditLogOptions> = {}): Promise<void> {
  const log = await openAuditLog({ file, ...options });
  for (let i = 0; i < n; i++) await log.append(event(i));
  await log.close();
}

const wrongOf = async (options: Parameters<typeof verifyAudit>[1] = {}) =>
  (await verifyAudit(file, options)).problem;

const linesOf = async (): Promise<string[]> => (await readFile(file, "utf8")).split("\n").slice(0, -1);

describe("a log", () => {
  it("is whole as it is written, also by several openings and many writers at once", async () => {
    await write(3);
    const log = await openAuditLog({ file });
    const seqs = await Promise.all(Array.from({ length: 20 }, (_, i) => log.append(event(i))));
    await log.close();
    expect(seqs).toEqual(Array.from({ length: 20 }, (_, i) => i + 4));
    const report = await verifyAudit(file);
    expect(report).toMatchObject({ problem: null, lines: 23, open: [] });
    const last = JSON.parse((await linesOf()).at(-1)!) as { seq: number; hash: string };
    expect(report.head).toEqual({ seq: 23, hash: last.hash });
  });

  it("is put aside by its size without breaking the chain", async () => {
    await write(40, { maxBytes: 2000 });
    await write(40, { maxBytes: 2000 });
    const names = (await readdir(folder)).sort();
    expect(names.filter((name) => /\d{12}$/.test(name)).length).toBeGreaterThan(8);
    expect(names).toContain("audit.jsonl.000000000001");
    expect(names).not.toContain("audit.jsonl.lock");
    expect(await verifyAudit(file)).toMatchObject({ problem: null, lines: 80 });
    await rm(join(folder, names.filter((name) => /\d{12}$/.test(name))[2]!));
    expect((await wrongOf())?.wrong).toMatch(/^lines \d+ to \d+ were removed before it$/);
  });

  it("names changes that were begun and not ended", async () => {
    const log = await openAuditLog({ file });
    const seq = await log.append(event(0, { phase: "begin" }));
    await log.append(event(1, { phase: "begin" }));
    await log.append(event(0, { phase: "end", of: seq, outcome: "done" }));
    await log.close();
    expect(await verifyAudit(file)).toMatchObject({ problem: null, open: [2] });
  });
});

describe("what was done to a log is found", () => {
  it.each([null, key])("any change of any one byte (key: %s)", async (secret) => {
    await write(4, { key: secret });
    const whole = await readFile(file);
    let hashed = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, difference) => {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at]! + difference) % 256;
        await writeFile(file, changed);
        const problem = await wrongOf({ key: secret });
        const line = whole.subarray(0, at).filter((byte) => byte === 10).length + 1;
        // A newline that was changed, or one that is new, moves the count of lines.
        expect(problem?.line === line || problem?.line === line + 1).toBe(true);
        hashed++;
      }),
      { numRuns: 300, seed: 7 },
    );
    expect(hashed).toBe(300);
    await writeFile(file, whole);
    expect(await wrongOf({ key: secret })).toBeNull();
  });

  it("any byte put in or taken out", async () => {
    await write(3);
    const whole = await readFile(file);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), fc.nat(255), fc.boolean(), async (at, byte, put) => {
        if (!put && at === whole.length) return;
        await writeFile(
          file,
          put
            ? Buffer.concat([whole.subarray(0, at), Buffer.from([byte]), whole.subarray(at)])
            : Buffer.concat([whole.subarray(0, at), whole.subarray(at + 1)]),
        );
        expect(await wrongOf()).not.toBeNull();
      }),
      { numRuns: 300, seed: 8 },
    );
  });

  it("a line removed, moved, repeated or cut, and which", async () => {
    await write(6);
    const lines = await linesOf();
    const put = (list: readonly string[]) => writeFile(file, `${list.join("\n")}\n`);
    const problemOf = async (list: readonly string[]) => {
      await put(list);
      return wrongOf();
    };
    expect(await problemOf(lines.toSpliced(2, 1))).toMatchObject({
      line: 3,
      wrong: "line 3 was removed before it",
    });
    expect(await problemOf(lines.toSpliced(1, 3))).toMatchObject({
      line: 2,
      wrong: "lines 2 to 4 were removed before it",
    });
    expect(await problemOf(lines.slice(1))).toMatchObject({ line: 1, wrong: "line 1 was removed before it" });
    const swapped = lines.with(2, lines[3]!).with(3, lines[2]!);
    expect(await problemOf(swapped)).toMatchObject({ line: 3, wrong: "line 3 was removed before it" });
    expect(await problemOf(lines.toSpliced(3, 0, lines[2]!))).toMatchObject({ line: 4 });
    expect(await problemOf(lines.slice(0, 4))).toMatchObject({
      line: 5,
      wrong: "lines 5 to 6 were cut off at the end",
    });
    await put(lines);
    await truncate(file, (await readFile(file)).length - 10);
    expect(await wrongOf()).toMatchObject({ line: 6, wrong: expect.stringContaining("cut short") });
    await writeFile(file, "");
    expect(await wrongOf()).toMatchObject({ wrong: "lines 1 to 6 were cut off at the end" });
  });

  it("a line rewritten with its hash, by the line after it", async () => {
    await write(3);
    const lines = await linesOf();
    const { hash: _, alg: __, ...second } = JSON.parse(lines[1]!);
    const forged = formatLine({ ...second, event: { ...second.event, who: "nobody" } }, null).text;
    await writeFile(file, `${[lines[0], forged, lines[2]].join("\n")}\n`);
    expect(await wrongOf()).toMatchObject({ line: 3, wrong: expect.stringContaining("line 2 before it") });
  });

  it("the whole file rewritten: by the key, or by a head that was kept elsewhere", async () => {
    const rewrite = async (secret: string | null): Promise<void> => {
      let prev = beginning;
      const texts = (await linesOf()).map((text) => {
        const { seq, time, event } = JSON.parse(text);
        const made = formatLine({ seq, time, prev, event: { ...event, who: "somebody else" } }, secret);
        prev = made.hash;
        return made.text;
      });
      await writeFile(file, `${texts.join("\n")}\n`);
      await writeFile(`${file}.head`, `${String(texts.length).padStart(15, "0")} ${prev}\n`);
    };
    await write(4, { key });
    await rewrite(null);
    expect(await wrongOf({ key })).toMatchObject({ line: 1, wrong: "it was written without the key" });
    await rewrite("another key, of the one who rewrote it");
    expect((await wrongOf({ key }))?.line).toBe(1);

    await rm(folder, { recursive: true });
    await mkdir(folder);
    await write(4);
    const { head } = await verifyAudit(file);
    await rewrite(null);
    expect(await wrongOf()).toBeNull();
    expect(await wrongOf({ expected: head })).toMatchObject({ line: 4 });
  });

  it("a log that needs a key is not passed without one", async () => {
    await write(2, { key });
    expect((await wrongOf())?.wrong).toContain("with a key, and none was given");
    expect((await wrongOf({ key: "another key that is long" }))?.wrong).toContain("the key is another");
    expect(await wrongOf({ key })).toBeNull();
  });
});

describe("opening a log", () => {
  it("cuts half a line that a crash left, and says so in a line", async () => {
    await write(3);
    await appendFile(file, '{"seq":4,"time":"20');
    await write(1);
    expect(await verifyAudit(file)).toMatchObject({ problem: null, lines: 5 });
    expect(JSON.parse((await linesOf())[3]!).event).toMatchObject({
      action: "audit.repair",
      old: { bytes: 19 },
    });
  });

  it("is refused after what no crash leaves", async () => {
    await write(3);
    const whole = await readFile(file);
    for (const spoil of [
      () => truncate(file, whole.length - 5),
      () => writeFile(file, `${whole.toString().split("\n").slice(0, 2).join("\n")}\n`),
      () => writeFile(file, whole.toString().replace("engineer 1", "engineer 7")),
      () => rm(file),
    ]) {
      await writeFile(file, whole);
      await spoil();
      await expect(openAuditLog({ file })).rejects.toMatchObject({ code: "AUDIT_BROKEN" });
    }
    await writeFile(file, whole);
    await rm(`${file}.head`);
    await expect(openAuditLog({ file })).rejects.toMatchObject({ code: "AUDIT_BROKEN" });
  });

  it("is refused to a second writer, and not after the first is gone", async () => {
    const log = await openAuditLog({ file });
    await expect(openAuditLog({ file })).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    await log.close();
    // Of a process that is gone: no process has this number on Linux.
    await writeFile(`${file}.lock`, "4194305");
    await write(1);
    await writeFile(`${file}.lock`, String(process.ppid));
    await expect(openAuditLog({ file })).rejects.toMatchObject({
      code: "AUDIT_UNAVAILABLE",
      got: expect.stringContaining(String(process.ppid)),
    });
  });

  it("needs a folder and a key that is one", async () => {
    await expect(openAuditLog({ file: join(folder, "no/audit") })).rejects.toMatchObject({
      code: "AUDIT_UNAVAILABLE",
    });
    await expect(openAuditLog({ file, key: "short" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("a log that cannot be written", () => {
  it("refuses lines while its file was moved or changed, and goes on when it is back", async () => {
    const log = await openAuditLog({ file });
    await log.append(event(0));
    await rename(file, `${file}.moved`);
    await expect(log.append(event(1))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    expect(log.up()).toBe(false);
    await writeFile(file, "");
    await expect(log.append(event(1))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    await rename(`${file}.moved`, file);
    expect(await log.append(event(1))).toBe(2);
    expect(log.up()).toBe(true);
    await appendFile(file, "x");
    await expect(log.append(event(2))).rejects.toMatchObject({ got: expect.stringContaining("changed") });
    await log.close();
    await expect(log.append(event(2))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
  });
});
