import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Alert } from "../src/alerts/index.ts";
import type { HeldOutHistory } from "../src/recognizer/index.ts";
import { drawInto, environment, errorOf, main, newFolder, protoline } from "./cli-help.ts";

let folder: string;
beforeAll(async () => {
  folder = await newFolder();
  await drawInto(join(folder, "parts/washer"), "washer", 6, 1);
  await drawInto(join(folder, "parts/gear"), "gear", 6, 2);
  await drawInto(join(folder, "held/washer"), "washer", 8, 11);
  await drawInto(join(folder, "held/gear"), "gear", 8, 12);
  await drawInto(join(folder, "held/bolt"), "bolt", 8, 13);
  await protoline(folder, ["enroll", "parts"]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const evaluate = async (): Promise<{ code: number | null; history: HeldOutHistory & { worse: boolean } }> => {
  const { code, out } = await protoline(folder, ["monitor", "evaluate", "--json"]);
  return { code, history: JSON.parse(out) };
};

describe("protoline monitor evaluate", () => {
  it("says where held-out pictures go when there are none", async () => {
    const ended = await protoline(folder, ["monitor", "evaluate", "--json"]);
    expect(errorOf(ended).code).toBe("GALLERY_NOT_FOUND");
    expect(errorOf(ended).message).toContain("default.holdout");
  });

  it("asks each revision about the same pictures, and of classes that it lacks counts false accepts", async () => {
    await protoline(folder, ["enroll", "held", "--gallery", "default.holdout"]);
    const { code, history } = await evaluate();
    expect([code, history.worse]).toEqual([0, false]);
    expect(history).toMatchObject({ heldOut: "default.holdout", pictures: 24, shown: 0 });
    const last = history.evaluations.at(-1)!;
    expect(last).toMatchObject({ right: { of: 16 }, falseReject: { of: 16 }, falseAccept: { of: 8 } });
    expect(last.right.hits).toBeGreaterThan(8);
    expect(last.falseReject.hits + last.right.hits).toBeLessThanOrEqual(16);
    const { out } = await protoline(folder, ["monitor", "evaluate", "--last", "1"]);
    expect(out).toMatch(/^24 pictures of default\.holdout$/m);
    expect(out).toContain("of 16 (");
  });

  it("leaves out what was enrolled, too, and ends with 7 when a revision is worse", async () => {
    // Washers as gears, of which one is held out.
    await drawInto(join(folder, "wrong/gear"), "washer", 30, 21);
    await writeFile(join(folder, "wrong/gear/held.jpg"), await readFile(join(folder, "held/washer/1.jpg")));
    await protoline(folder, ["enroll", "wrong"]);
    const { code, history } = await evaluate();
    expect(history).toMatchObject({ pictures: 23, shown: 1 });
    const { change, right } = history.evaluations.at(-1)!;
    expect(right.of).toBe(15);
    expect([change!.lost > change!.gained, change!.pValue <= 0.01]).toEqual([true, history.worse]);
    expect([code, history.worse]).toEqual([7, true]);
  });
});

describe("protoline monitor report", () => {
  it.each([
    ["en", "Monitor of default", "Quality of each class"],
    ["zh", "default 的监测报告", "各类别的质量"],
  ])("writes one page in %s", async (language, title, section) => {
    const args = ["monitor", "report", "--lang", language, "-o", "page.html"];
    expect((await protoline(folder, args)).code).toBe(0);
    const page = await readFile(join(folder, "page.html"), "utf8");
    for (const part of [`<h1>${title}</h1>`, section, "default.holdout", "<svg", "washer"])
      expect(page).toContain(part);
    expect(page).not.toMatch(/<script|https?:\/\/|undefined|NaN/);
  });

  it("refuses what is no answer of the server", async () => {
    await writeFile(join(folder, "drift.json"), '{"error":{}}');
    const refused = await protoline(folder, ["monitor", "report", "--drift", "drift.json", "--json"]);
    expect(errorOf(refused).code).toBe("REPORT_SOURCE_INVALID");
    const missing = await protoline(folder, ["monitor", "report", "--drift", "none.json", "--json"]);
    expect(errorOf(missing).code).toBe("REPORT_SOURCE_NOT_FOUND");
  });
});

describe("protoline serve --alert-webhook", () => {
  it("wants an address and a secret", async () => {
    for (const args of [
      ["--alert-webhook", "ftp://a"],
      ["--alert-webhook", "http://127.0.0.1:1/"],
      ["--alert-mqtt", "http://a"],
      ["--alert-mqtt", "mqtt://a", "--alert-topic", "a/#"],
    ]) {
      const ended = await protoline(folder, ["serve", "--port", "0", "--json", ...args]);
      expect(errorOf(ended).code).toBe("INVALID_ARGUMENT");
    }
  });

  it("posts that a class is bad, signed; the line is on the page of the report", async () => {
    const got: { headers: IncomingHttpHeaders; body: string }[] = [];
    const receiver = createServer((request, reply) => {
      let body = "";
      request.on("data", (part: Buffer) => {
        body += part.toString();
      });
      request.on("end", () => {
        got.push({ headers: request.headers, body });
        reply.end();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    const { port } = receiver.address() as AddressInfo;
    const child = spawn(
      process.execPath,
      [main, "serve", "--port", "0", "--json", "--alert-webhook", `http://127.0.0.1:${port}/`],
      { cwd: folder, env: environment(folder, { PROTOLINE_ALERT_SECRET: "s" }) },
    );
    try {
      const address = await new Promise<string>((resolve, reject) => {
        child.stdout.setEncoding("utf8").once("data", (text: string) => resolve(JSON.parse(text).address));
        child.once("close", () => reject(new Error("the server ended")));
      });
      const gallery = `${address}/v1/galleries/default`;
      const answer = await fetch(`${gallery}/recognize`, {
        method: "POST",
        headers: { "content-type": "image/jpeg" },
        body: await readFile(join(folder, "held/gear/1.jpg")),
      });
      expect(answer.status).toBe(200);
      await vi.waitFor(() => expect(got.length).toBe(1), 30_000);
      const { headers, body } = got[0]!;
      const alert = JSON.parse(body) as Alert;
      expect(alert).toMatchObject({ gallery: "default", kind: "quality", state: "raised" });
      expect(alert.text).toMatch(/1 of 2 classes|2 of 2 classes/);
      const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
      expect(headers["webhook-signature"]).toBe(
        `v1,${createHmac("sha256", "s").update(signed).digest("base64")}`,
      );
      await mkdir(join(folder, "seen"), { recursive: true });
      await writeFile(join(folder, "seen/drift.json"), await (await fetch(`${gallery}/drift`)).text());
    } finally {
      child.kill("SIGTERM");
      await new Promise((resolve) => child.once("close", resolve));
      await new Promise((resolve) => receiver.close(resolve));
    }
    const args = ["monitor", "report", "--drift", "seen/drift.json", "-o", "page.html"];
    expect((await protoline(folder, args)).code).toBe(0);
    expect(await readFile(join(folder, "page.html"), "utf8")).toContain("1 of 256 frames");
  });
});
