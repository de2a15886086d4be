import { type ChildProcess, spawn } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { drawInto, environment, errorOf, main, newFolder, protoline } from "./cli-help.ts";
import { describeWith, type Found, type Place, postgresServer, redisServer } from "./store-servers.ts";

let folder: string;
let pictures: string[];
beforeAll(async () => {
  folder = await newFolder();
  pictures = await drawInto(join(folder, "parts/gear"), "gear", 4, 1);
  await drawInto(join(folder, "parts/washer"), "washer", 4, 2);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Starts a server, and resolves with its address. */
async function serve(store: string): Promise<{ child: ChildProcess; address: string }> {
  const child = spawn(process.execPath, [main, "serve", "--port", "0", "--json"], {
    cwd: folder,
    env: environment(folder, { PROTOLINE_STORE: store }),
  });
  let output = "";
  const address = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        const found = /"address":"([^"]+)"/.exec(output);
        if (found) resolve(found[1]!);
      });
    child.once("close", () => reject(new Error(output)));
  });
  return { child, address };
}

function commands(kind: string, found: Found<Place>): void {
  describeWith(found, (place) => {
    afterAll(() => place.remove());

    it(`enroll, recognize, gallery, doctor and serve work over ${kind}`, async () => {
      const store = place.fresh();
      const run = (...args: string[]) => protoline(folder, args, { PROTOLINE_STORE: store });
      expect(await run("enroll", "parts", "--quiet")).toMatchObject({ code: 0, err: "" });
      expect(JSON.parse((await run("recognize", pictures[0]!, "--json")).out)).toMatchObject({
        label: "gear",
      });
      expect((await run("gallery", "list")).out).toContain("default");
      expect((await run("doctor")).out).toMatch(/store.*with 1 gallery/);

      const { child, address } = await serve(store);
      const version = await (await fetch(`${address}/v1/version`)).json();
      expect(version).toMatchObject({ store: kind });
      // What the command line changes, the server answers by at once.
      expect((await run("gallery", "rename", "gear", "spur")).code).toBe(0);
      const body = await readFile(pictures[0]!);
      const headers = { "content-type": "image/jpeg" };
      const answer = async () =>
        (await fetch(`${address}/v1/galleries/default/recognize`, { method: "POST", headers, body })).json();
      expect(await answer()).toMatchObject({ label: "spur" });
      const ended = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGTERM");
      expect(await ended).toBe(0);
    });
  });
}

describe("a store on a server", () => {
  it("that is away is told without its password", async () => {
    for (const store of ["postgres://anna:geheim@127.0.0.1:1/parts.db", "redis://:geheim@127.0.0.1:1/0"]) {
      for (const command of [["gallery", "list"], ["doctor"], ["enroll", "parts"]]) {
        const ended = await protoline(folder, [...command, "--json"], { PROTOLINE_STORE: store });
        expect(ended.code).not.toBe(0);
        expect(ended.out + ended.err).not.toContain("geheim");
        if (command[0] !== "doctor") expect(errorOf(ended).code).toBe("STORE_UNAVAILABLE");
      }
    }
  });
});

commands("postgres", await postgresServer());
commands("redis", await redisServer());
