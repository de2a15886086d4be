import { execFile, spawn } from "node:child_process";
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import Database from "libsql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  drawInto,
  type Ended,
  environment,
  errorOf,
  lines,
  main,
  newFolder,
  protoline,
  write,
} from "./cli-help.ts";

let folder = "";
const run = (...args: string[]): Promise<Ended> => protoline(folder, args);

/** Runs a command that must fail; its one sentence on the error output, nothing on the standard output. */
async function fails(code: number, ...args: string[]): Promise<string> {
  const ended = await run(...args);
  expect(ended, args.join(" ")).toMatchObject({ code, out: "" });
  expect(lines(ended.err), args.join(" ")).toHaveLength(1);
  expect(ended.err).not.toMatch(/\n\s+at /);
  return ended.err;
}

beforeAll(async () => {
  folder = await newFolder();
  await drawInto(join(folder, "good/washer"), "washer", 4, 1);
  await drawInto(join(folder, "good/gear"), "gear", 4, 2);
  expect((await run("enroll", "good", "--quiet")).code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("protoline, when something is wrong", () => {
  it("suggests the command or option that was meant", async () => {
    expect(await fails(2, "enrol")).toContain("Did you mean enroll?");
    expect(await fails(2, "recognize", "good", "--jsn")).toContain("Did you mean --json?");
    expect(await fails(2, "enroll")).toContain("missing required argument 'paths'");
    expect(await fails(2, "recognize", "good", "--threads", "0")).toContain("at least 1");
    expect(await fails(2, "evaluate", "good", "--transform", "foo")).toContain("power+center");
    const group = await run("gallery");
    expect(group.code).toBe(2);
    expect(group.err).toContain("rollback");
  });

  it("says what to do in one sentence, or in one object with --json", async () => {
    await mkdir(join(folder, "empty"));
    expect(await fails(2, "enroll", "empty")).toMatch(/The folder holds no images.*\[FOLDER_EMPTY\]/);
    expect(await fails(3, "enroll", "nowhere")).toContain("[FOLDER_NOT_FOUND]");
    expect(await fails(2, "enroll", "good/gear")).toContain("--class");
    expect(await fails(3, "gallery", "show", "nut")).toContain("[CLASS_NOT_FOUND]");
    expect(await fails(3, "gallery", "rollback", "99")).toContain("[REVISION_NOT_FOUND]");
    expect(await fails(3, "recognize", "good", "--gallery", "two")).toContain("[GALLERY_NOT_FOUND]");
    expect(await fails(3, "recognize", "good", "--store", "sqlite:none.db")).toContain("Enroll first");
    const ended = await run("gallery", "rename", "gear", "washer", "--json");
    expect(ended).toMatchObject({ code: 4, out: "" });
    expect(errorOf(ended)).toMatchObject({ code: "CLASS_EXISTS", todo: expect.any(String) });
    expect(errorOf(await run("enrol", "--json")).code).toBe("INVALID_ARGUMENT");
  });

  it("keeps the good pictures, reports the broken ones, and ends with 8", async () => {
    await drawInto(join(folder, "more/bolt"), "bolt", 3, 3);
    await write(join(folder, "more/bolt/text.jpg"), "not a picture");
    await mkdir(join(folder, "more/nothing"));
    const enrolled = await run("enroll", "more", "--json", "--quiet");
    expect(enrolled.code).toBe(8);
    expect(enrolled.err).toContain("text.jpg");
    expect(enrolled.err).toContain('class "nothing" has no images');
    const result = JSON.parse(enrolled.out);
    expect(result.emptyClasses).toEqual(["nothing"]);
    expect(result.classes[0].added).toHaveLength(3);
    expect(result.classes[0].rejected).toMatchObject([{ code: "IMAGE_UNSUPPORTED" }]);

    const recognized = await run("recognize", "more/bolt", "missing.jpg", "--json", "--quiet");
    expect(recognized.code).toBe(8);
    const answers = lines(recognized.out).map((line) => JSON.parse(line));
    expect(answers.map(({ file, error }) => [file, error?.code])).toEqual([
      ["more/bolt/1.jpg", undefined],
      ["more/bolt/2.jpg", undefined],
      ["more/bolt/3.jpg", undefined],
      ["more/bolt/text.jpg", "IMAGE_UNSUPPORTED"],
      ["missing.jpg", "IMAGE_NOT_FOUND"],
    ]);
    const none = await run("recognize", "more/bolt/text.jpg");
    expect(none).toMatchObject({ code: 2, out: "" });
    expect(none.err).toContain("was not recognized");
  });

  it("refuses a picture that another class holds, and follows a symlink loop once", async () => {
    const other = await run("enroll", "--class", "ring", "good/washer/1.jpg", "--json", "--quiet");
    expect(other.code).toBe(4);
    expect(JSON.parse(other.out).classes[0].rejected).toMatchObject([{ code: "SAMPLE_IN_OTHER_CLASS" }]);
    await drawInto(join(folder, "loop/bracket"), "bracket", 2, 4);
    await symlink(join(folder, "loop"), join(folder, "loop/bracket/again"));
    const loop = await run("enroll", "loop");
    expect(loop.code).toBe(0);
    expect(loop.err).toContain("a link to a folder");
    expect(loop.out).toMatch(/^bracket\s+2\s/m);
    expect(await fails(2, "enroll", "--class", "a/b\u0007", "good/washer/1.jpg")).toContain(
      "[LABEL_INVALID]",
    );
  });

  it("names the store that cannot be read, the wrong model and the missing provider", async () => {
    await write(join(folder, "bad.db"), "no database");
    expect(await fails(7, "recognize", "good", "--store", "bad.db")).toContain("[STORE_BROKEN]");
    expect(await fails(2, "recognize", "good", "--store", "tape:x")).toContain("sqlite:parts.db");
    expect(await fails(3, "recognize", "good", "--model", "mobilenet-v1")).toContain(
      "models pull mobilenet-v1",
    );
    expect(await fails(3, "models", "info", "nix")).toContain("[MODEL_NOT_FOUND]");
    expect(await fails(5, "serve", "--host", "0.0.0.0", "--port", "0")).toContain("[UNAUTHORIZED]");
  });

  it("leaves a database of a newer Protoline alone", async () => {
    const path = join(folder, "newer.db");
    expect((await run("gallery", "export", "good.gz")).code).toBe(0);
    expect((await run("gallery", "import", "good.gz", "--store", path)).code).toBe(0);
    const database = new Database(path);
    database.pragma("user_version = 9999");
    database.close();
    expect(await fails(7, "gallery", "list", "--store", path)).toContain("[STORE_NEWER]");
  });

  it("ends with 130 on Ctrl-C", async () => {
    const child = spawn(
      process.execPath,
      [main, "recognize", ...Array<string>(500).fill("good"), "--quiet"],
      {
        cwd: folder,
        env: environment(folder),
      },
    );
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    child.stdout.once("data", () => child.kill("SIGINT"));
    expect(await ended).toBe(130);
  });

  it("ends quietly when the reader goes away", async () => {
    const shell = `"${process.execPath}" "${main}" recognize good good good --quiet | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await promisify(execFile)("bash", ["-c", shell], {
      cwd: folder,
      env: environment(folder),
    });
    expect(lines(stdout).at(-1)).toBe("0");
    expect(stderr).toBe("");
  });

  it("helps with examples and exit codes", async () => {
    const help = await run("--help");
    expect(help).toMatchObject({ code: 0, err: "" });
    expect(help.out).toContain("$ protoline demo");
    expect(help.out).toMatch(/^ +8 {2}partly done/m);
    for (const command of ["enroll", "recognize", "tune", "evaluate", "serve"])
      expect(help.out).toMatch(new RegExp(`^  ${command} `, "m"));
    expect((await run("help", "enroll")).out).toContain("Examples:");
  });
});
