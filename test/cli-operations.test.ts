import { type ChildProcess, spawn } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { drawInto, environment, errorOf, lines, main, newFolder, protoline } from "./cli-help.ts";

let folder: string;
let pictures: string[];
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await newFolder();
  pictures = await drawInto(join(folder, "parts/gear"), "gear", 4, 1);
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (args: readonly string[], env: Record<string, string> = {}) => protoline(folder, args, env);

interface Running {
  readonly child: ChildProcess;
  readonly address: string;
  readonly ended: Promise<number | null>;
  readonly output: () => string;
}

async function serve(args: readonly string[] = [], env: Record<string, string> = {}): Promise<Running> {
  const child = spawn(process.execPath, [main, "serve", "--port", "0", "--json", ...args], {
    cwd: folder,
    env: environment(folder, env),
  });
  children.push(child);
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const address = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const found = /"address":"([^"]+)"/.exec(output);
      if (found) resolve(found[1]!);
    });
    child.once("close", () => reject(new Error(output)));
  });
  return { child, address, ended, output: () => output };
}

describe("an audit log on the command line", () => {
  const file = "audit.jsonl";
  const env = { PROTOLINE_AUDIT: file, PROTOLINE_AUDIT_KEY: "kept in a safe, not beside the log" };

  it("holds what commands and a server change; verify and show read it", async () => {
    expect((await run(["enroll", "parts", "--quiet"], env)).code).toBe(0);
    const server = await serve(["--audit", file], env);
    // Reading needs no log; changing does, and the server has it.
    expect((await run(["gallery", "list"], env)).code).toBe(0);
    const refused = await run(["keys", "create", "camera", "--json"], env);
    expect(errorOf(refused).code).toBe("AUDIT_UNAVAILABLE");
    expect(refused.code).toBe(7);
    expect((await run(["keys", "list"], env)).out).not.toContain("camera");
    const reply = await fetch(`${server.address}/v1/galleries/default/classes/gear?reason=standard`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ label: "spur gear" }),
    });
    expect(reply.status).toBe(200);
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);

    const whole = await run(["audit", "verify", file], env);
    expect(whole).toMatchObject({ code: 0, err: "" });
    const head = /^head (\d+:[0-9a-f]{64})$/m.exec(whole.out)![1]!;
    const shown = await run(["audit", "show", file], env);
    expect(shown.out).toMatch(/gallery\.create +default +done/);
    expect(shown.out).toMatch(/local +class\.rename +default +done +standard/);
    const last = await run(["audit", "show", file, "--last", "1", "--json"], env);
    expect(lines(last.out).map((line) => JSON.parse(line))).toMatchObject([
      { event: { action: "class.rename", old: { label: "gear" } }, outcome: "done" },
    ]);

    expect((await run(["keys", "create", "zhang", "--role", "engineer", "--json"], env)).code).toBe(0);
    expect((await run(["audit", "verify", file, "--head", head], env)).code).toBe(0);
    const path = join(folder, file);
    const text = await readFile(path, "utf8");
    const key = text.split("\n").findIndex((line) => line.includes('"key.create"')) + 1;
    await writeFile(path, text.replace('"who":"local"', '"who":"other"'));
    const broken = await run(["audit", "verify", file, "--json"], env);
    expect(broken.code).toBe(2);
    expect(errorOf(broken)).toMatchObject({
      code: "AUDIT_BROKEN",
      message: expect.stringContaining("its text was changed"),
    });
    // The key's line is behind it.
    expect(Number(/line (\d+)/.exec(errorOf(broken).message)![1])).toBeLessThan(key);
    await writeFile(path, text);
    expect((await run(["audit", "verify", file], { ...env, PROTOLINE_AUDIT_KEY: "" })).code).toBe(2);
  });

  it("a role gives its scopes to a key, and not beside scopes", async () => {
    const made = await run(["keys", "create", "li", "--role", "operator", "--json"]);
    expect(JSON.parse(made.out).scopes.sort()).toEqual(["read", "recognize"]);
    expect((await run(["keys", "create", "li", "--role", "viewer", "--scopes", "read"])).code).toBe(2);
    expect((await run(["keys", "create", "li", "--role", "owner"])).code).toBe(2);
    for (const { id } of JSON.parse((await run(["keys", "list", "--json"])).out) as { id: string }[])
      await run(["keys", "revoke", id]);
  });
});

describe("a server process", () => {
  it("answers all requests that run when SIGTERM comes, takes no new ones, and ends with 0", async () => {
    expect((await run(["enroll", "parts", "--quiet", "--store", "sqlite:signal.db"])).code).toBe(0);
    const { address, child, ended } = await serve([
      ...["--quiet", "--store", "sqlite:signal.db"],
      // All at once, on a busy machine: none shall be refused here.
      ...["--answer-within-ms", "60000"],
    ]);
    const image = await readFile(pictures[0]!);
    // The server says "continue" when it has read a request's headers: from then on it is under way, its body is not
    // there yet, and no chance of timing decides what the signal meets.
    const begin = (): Promise<{ finish: () => Promise<number | undefined> }> =>
      new Promise((resolve, reject) => {
        const sent = request(`${address}/v1/galleries/default/recognize`, {
          method: "POST",
          agent: false,
          headers: {
            "content-type": "image/jpeg",
            "content-length": image.length,
            expect: "100-continue",
          },
        });
        const status = new Promise<number | undefined>((answered, failed) => {
          sent.on("response", (reply) => answered(reply.resume().statusCode));
          sent.on("error", failed);
        });
        status.catch(reject);
        sent.on("continue", () =>
          resolve({
            finish: () => {
              sent.end(image);
              return status;
            },
          }),
        );
        sent.flushHeaders();
      });
    const running = await Promise.all(Array.from({ length: 24 }, begin));
    child.kill("SIGTERM");
    // New connections are refused before the running requests go on.
    await expect
      .poll(
        () =>
          fetch(`${address}/livez`).then(
            () => "answered",
            () => "refused",
          ),
        { timeout: 5000 },
      )
      .toBe("refused");
    const statuses = await Promise.all(running.map(({ finish }) => finish()));
    expect(statuses).toEqual(Array.from({ length: 24 }, () => 200));
    expect(await ended).toBe(0);
    await expect(fetch(`${address}/livez`)).rejects.toThrow();
  });

  it("logs lines of JSON with request ids, and no key", async () => {
    const made = JSON.parse((await run(["keys", "create", "camera", "--role", "admin", "--json"])).out);
    const server = await serve(["--log"]);
    const reply = await fetch(`${server.address}/v1/galleries?api_key=${made.key}`, {
      headers: { "x-api-key": made.key },
    });
    expect(reply.status).toBe(200);
    const id = reply.headers.get("x-request-id")!;
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);
    expect(server.output()).not.toContain(made.key);
    const logged = lines(server.output())
      .filter((line) => line.startsWith('{"level"'))
      .map((line) => JSON.parse(line));
    expect(logged.filter(({ reqId }) => reqId === id).length).toBeGreaterThanOrEqual(2);
    expect((await run(["keys", "revoke", made.id])).code).toBe(0);
  });

  it("refuses settings that open too much or lead nowhere, before it listens", async () => {
    for (const args of [
      ["--cors", "*"],
      ["--oidc-issuer", "http://login.example.com", "--oidc-audience", "protoline"],
      ["--oidc-issuer", "https://login.example.com"],
      ["--audit", "no/such/folder/audit.jsonl"],
    ]) {
      const ended = await run(["serve", "--port", "0", "--json", ...args]);
      expect(ended.code, args.join(" ")).not.toBe(0);
      expect(["INVALID_ARGUMENT", "AUDIT_UNAVAILABLE"]).toContain(errorOf(ended).code);
    }
  });
});
