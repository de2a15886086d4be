import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import sharp from "sharp";
import { Value } from "typebox/value";
import { afterEach, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { startLines } from "../src/cli/served-lines.ts";
import { type LineResult, parseLine } from "../src/line/index.ts";
import { listen } from "../src/server/index.ts";
import { WatchReply } from "../src/server/protocol-console.ts";
import {
  blue,
  enroll,
  enrollColors,
  green,
  newKey,
  picture,
  recognize,
  red,
  request,
  type TestServer,
  testServer,
} from "./server-help.ts";

let server: TestServer;
let address: string;
const path = "/v1/galleries/line-1/watch";
const open: WebSocket[] = [];
const folders: string[] = [];

async function start(options: Parameters<typeof testServer>[0] = {}): Promise<void> {
  server = await testServer(options);
  await enrollColors(server.app);
  address = await listen(server.app, { port: 0 });
}
afterEach(async () => {
  for (const socket of open.splice(0)) socket.terminate();
  await server.close();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

type Shown = Extract<WatchReply, { picture: string }>;

async function watcher(protocols: string[] = [], options: WebSocket.ClientOptions = {}, gallery = "line-1") {
  const url = `${address.replace("http", "ws")}/v1/galleries/${gallery}/watch`;
  const socket = new WebSocket(url, protocols, options);
  open.push(socket);
  const messages: WatchReply[] = [];
  socket.on("message", (data) => {
    const message = JSON.parse(String(data)) as WatchReply;
    if (messages.length < 10) expect([...Value.Errors(WatchReply, message)]).toEqual([]);
    messages.push(message);
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once("close", (code, reason) => resolve({ code, reason: String(reason) })),
  );
  await once(socket, "open");
  socket.on("error", () => undefined);
  const shown = (): Shown[] => messages.filter((one): one is Shown => "picture" in one);
  return {
    ...{ socket, messages, shown, closed },
    /** Frames that it was told of, the passed ones among them. */
    counted: () => shown().reduce((sum, { passed }) => sum + 1 + passed, 0),
    async next(n: number): Promise<Shown> {
      await expect.poll(() => shown().length, { timeout: 10_000 }).toBeGreaterThanOrEqual(n);
      return shown()[n - 1]!;
    },
  };
}

async function refusal(options: WebSocket.ClientOptions = {}, gallery = "line-1") {
  const url = `${address.replace("http", "ws")}/v1/galleries/${gallery}/watch`;
  const socket = new WebSocket(url, [], options);
  const [, response] = await once(socket, "unexpected-response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, code: JSON.parse(text).error.code };
}

describe("watching a gallery", () => {
  it("shows what is answered to whoever sent it, with a small picture, and gives the whole one", async () => {
    await start();
    const { next, counted } = await watcher();
    const large = await sharp(await picture(red, 9))
      .resize(960, 800)
      .jpeg()
      .toBuffer();
    const reply = (await recognize(server.app, large)).json();
    const first = await next(1);
    expect(first).toMatchObject({ passed: 0, from: "local", part: null, answer: reply });
    const small = await sharp(Buffer.from(first.picture, "base64")).metadata();
    expect(small).toMatchObject({ format: "jpeg", width: 480, height: 400 });
    const whole = await server.app.inject({ url: `${path}/frames/${first.id}` });
    expect(whole.rawPayload.equals(large)).toBe(true);
    expect(whole.headers["content-type"]).toBe("image/jpeg");

    await recognize(server.app, large, { region: "0,0,200,100" });
    const second = await next(2);
    const cut = await server.app.inject({ url: `${path}/frames/${second.id}` });
    expect(await sharp(cut.rawPayload).metadata()).toMatchObject({ width: 200, height: 100 });

    const stream = new WebSocket(`${address.replace("http", "ws")}/v1/galleries/line-1/stream`);
    open.push(stream);
    await once(stream, "open");
    stream.send(await picture(green, 9, "png"));
    expect(await next(3)).toMatchObject({ from: "local", answer: { kind: "known", label: "green" } });
    await request(server.app, "POST", "/v2/models/cell-means/infer", {
      inputs: [
        {
          ...{ name: "picture", shape: [1], datatype: "BYTES" },
          data: [(await picture(blue, 9)).toString("base64")],
        },
      ],
      parameters: { gallery: "line-1" },
    });
    expect(await next(4)).toMatchObject({ answer: { kind: "unknown", candidates: [{}] } });
    expect(counted()).toBe(4);
    const missing = await server.app.inject({ url: `${path}/frames/none` });
    expect([missing.statusCode, missing.json().error.code]).toEqual([404, "FRAME_NOT_FOUND"]);
  });

  it("costs nothing where nobody looks, and keeps no picture when the last has left", async () => {
    await start();
    const { socket, next, closed } = await watcher();
    await recognize(server.app, await picture(red, 3));
    const { id } = await next(1);
    const watchers = async (): Promise<string | undefined> =>
      /^protoline_watchers (\d+)$/m.exec((await server.app.inject({ url: "/metrics" })).payload)?.[1];
    expect(await watchers()).toBe("1");
    socket.close();
    await closed;
    await expect.poll(watchers, { timeout: 5000 }).toBe("0");
    expect((await server.app.inject({ url: `${path}/frames/${id}` })).statusCode).toBe(404);
    await recognize(server.app, await picture(red, 4));
    const again = await watcher();
    await recognize(server.app, await picture(green, 4));
    expect(await again.next(1)).toMatchObject({ passed: 0, answer: { label: "green" } });
  });

  it("passes over what comes too fast, says how much, and ends with the newest, also for one who reads nothing meanwhile", async () => {
    await start({ limits: { requestsPerMinute: 1e9 } });
    const [quick, slow] = [await watcher(), await watcher()];
    const sides = [...server.app.websocketServer.clients];
    slow.socket.pause();
    const frame = await sharp({
      create: {
        ...{ width: 640, height: 640, channels: 3, background: "#888" },
        noise: { type: "gaussian", mean: 128, sigma: 60 },
      },
    })
      .jpeg({ quality: 95 })
      .toBuffer();
    const from = performance.now();
    let most = 0;
    let sent = 0;
    while (performance.now() - from < 4000) {
      await recognize(server.app, frame);
      sent++;
      most = Math.max(most, ...sides.map(({ bufferedAmount }) => bufferedAmount));
    }
    await recognize(server.app, await picture(green, 9));
    sent++;
    await expect.poll(quick.counted, { timeout: 10_000 }).toBe(sent);
    expect(quick.shown().at(-1)).toMatchObject({ answer: { label: "green" } });
    // At most ten a second, and of the others the number.
    expect(quick.shown().length).toBeGreaterThan(1);
    expect(quick.shown().length).toBeLessThan(60);
    expect(sent).toBeGreaterThan(quick.shown().length);
    // One message on its way beside what the two sockets hold, not all of them.
    expect(most).toBeLessThan(2 ** 20);
    expect(slow.shown().length).toBe(0);
    slow.socket.resume();
    await expect.poll(slow.counted, { timeout: 10_000 }).toBe(sent);
    expect(slow.shown().at(-1)).toMatchObject({ answer: { label: "green" } });
  }, 60_000);

  it("needs the scope read, asked again while it goes on, and is of no page elsewhere", async () => {
    await start();
    await newKey(server.store, "other", ["admin"]);
    const viewer = await newKey(server.store, "screen in hall 2", ["read"]);
    const camera = await newKey(server.store, "camera 3", ["recognize"]);
    await sleep(1100);
    expect(await refusal()).toEqual({ status: 401, code: "UNAUTHORIZED" });
    const by = (key: string, origin?: string): WebSocket.ClientOptions => ({
      headers: { "x-api-key": key },
      ...(origin && { origin }),
    });
    expect(await refusal(by(camera))).toEqual({ status: 403, code: "FORBIDDEN" });
    expect(await refusal(by(viewer, "https://evil.example"))).toEqual({ status: 403, code: "FORBIDDEN" });
    expect(await refusal(by(viewer), "nowhere")).toEqual({ status: 404, code: "GALLERY_NOT_FOUND" });
    const { next, messages, closed } = await watcher(["protoline.v1", `protoline.key.${viewer}`]);
    const send = async (): Promise<void> => {
      const reply = await server.app.inject({
        ...{ method: "POST", url: "/v1/galleries/line-1/recognize", payload: await picture(red, 5) },
        headers: { "content-type": "image/jpeg", "x-api-key": camera },
      });
      expect(reply.statusCode).toBe(200);
    };
    await send();
    const { id, from } = await next(1);
    expect(from).toBe("camera 3");
    const get = (key: string) =>
      server.app.inject({ url: `${path}/frames/${id}`, headers: { "x-api-key": key } });
    expect((await get(viewer)).statusCode).toBe(200);
    expect((await get(camera)).statusCode).toBe(403);
    const record = (await server.store.apiKeys()).find(({ name }) => name === "screen in hall 2")!;
    await server.store.removeApiKey(record.id);
    await sleep(2100);
    await send();
    expect(await closed).toEqual({ code: 1008, reason: "UNAUTHORIZED" });
    expect(messages.at(-1)).toMatchObject({ error: { code: "UNAUTHORIZED" } });
  });

  it("has room for so many, takes no messages, and ends with the server", async () => {
    await start({ limits: { streams: 2 } });
    const [first, second] = [await watcher(), await watcher()];
    expect(await refusal()).toEqual({ status: 503, code: "OVERLOADED" });
    first.socket.send("hello");
    expect((await first.closed).code).toBe(1008);
    const plain = await fetch(address + path);
    const { error } = (await plain.json()) as { error: { code: string } };
    expect([plain.status, error.code]).toEqual([400, "INVALID_ARGUMENT"]);
    const stopped = server.app.close();
    expect((await second.closed).code).toBe(1001);
    await stopped;
  });
});

describe("a line in the server", () => {
  async function lineFolder(gallery: string): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "protoline-served-line-"));
    folders.push(folder);
    await writeFile(
      join(folder, "line.yaml"),
      `name: press-3\ngallery: ${gallery}\nsources:\n  - kind: folder\n    path: .\nsinks:\n  - kind: file\n    path: out.jsonl\n`,
    );
    return folder;
  }

  it("is answered by it: shown, in the tray, watched for drift; what cannot be answered yet waits", async () => {
    await start();
    const folder = await lineFolder("line-2");
    const file = join(folder, "line.yaml");
    const events: string[] = [];
    const lines = await startLines(server.app, [parseLine(await readFile(file, "utf8"), file)], {
      env: {},
      report: (line, event) => events.push(`${line}: ${event}`),
    });
    await writeFile(join(folder, "a.jpg"), await picture(red, 7));
    await expect.poll(() => events, { timeout: 10_000 }).toHaveLength(1);
    expect(events[0]).toMatch(/^press-3: frames wait: /);
    // A gallery, then a class: the frame that waited is answered with it.
    await request(server.app, "POST", "/v1/galleries", { name: "line-2" });
    const { next } = await watcher([], {}, "line-2");
    for (const seed of [1, 2, 3]) await enroll(server.app, "red", await picture(red, seed), {}, "line-2");
    for (const seed of [1, 2, 3]) await enroll(server.app, "green", await picture(green, seed), {}, "line-2");
    expect(await next(1)).toMatchObject({ from: "press-3", answer: { gallery: "line-2" } });
    await expect.poll(() => events.at(-1), { timeout: 5000 }).toBe("press-3: frames are answered again");
    await writeFile(join(folder, "b.jpg"), await picture(blue, 7));
    expect(await next(2)).toMatchObject({ answer: { kind: "unknown" } });
    const tray = async (): Promise<number> =>
      (await request(server.app, "GET", "/v1/galleries/line-2/tray")).json().groups.length;
    await expect.poll(tray, { timeout: 10_000 }).toBe(1);
    // Of the revision that answers now.
    const drift = (await request(server.app, "GET", "/v1/galleries/line-2/drift")).json();
    expect(drift.reference.frames).toBeGreaterThan(0);
    await writeFile(join(folder, "c.jpg"), "no picture");
    await expect.poll(async () => (await readdir(join(folder, "failed"))).length, { timeout: 5000 }).toBe(1);
    await lines.stop();
    const results = (await readFile(join(folder, "out.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((text) => JSON.parse(text) as LineResult);
    expect(results.map(({ answer }) => answer.kind)).toEqual([results[0]!.answer.kind, "unknown", "error"]);
    expect(results[1]!.lineage).toEqual({
      ...{ model: "cell-means", modelHash: server.encoder.modelHash, gallery: "line-2", revision: 6 },
    });
  }, 30_000);

  it("leaves a frame where it is that cannot be answered before the end", async () => {
    await start();
    const folder = await lineFolder("nowhere");
    const file = join(folder, "line.yaml");
    const lines = await startLines(server.app, [parseLine(await readFile(file, "utf8"), file)], {
      ...{ env: {}, report: () => undefined },
    });
    await writeFile(join(folder, "a.jpg"), await picture(red, 7));
    await sleep(700);
    await lines.stop();
    expect((await readdir(folder)).sort()).toEqual(["a.jpg", "done", "failed", "line.yaml"]);
    expect(await readdir(join(folder, "failed"))).toEqual([]);
  });

  it("that can never work says so", async () => {
    await start();
    const spec = (port: string): string =>
      `name: l\nsources:\n  - kind: http\n    port: ${port}\nsinks:\n  - kind: file\n    path: out.jsonl\n`;
    const folder = await lineFolder("line-1");
    const config = parseLine(spec(new URL(address).port), join(folder, "line.yaml"));
    const lines = await startLines(server.app, [config], { env: {}, report: () => undefined });
    await expect(lines.broken).rejects.toMatchObject({ code: "LINE_INVALID" });
    await lines.stop();
  });
});
