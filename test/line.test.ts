import { ChildProcess, spawnSync } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { connect as connectSocket, createServer as createTcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import Database from "libsql";
import mqtt, { type MqttClient } from "mqtt";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { ProtolineError } from "../src/core/index.ts";
import { checkLine, type LineResult, parseLine, resendDeadLetters, runLine } from "../src/line/index.ts";
import { createSource } from "../src/line/sources/index.ts";
import type { Recognition } from "../src/recognizer/index.ts";

const broker = "mqtt://127.0.0.1:1883";
const answers = await new Promise<boolean>((resolve) => {
  const socket = connectSocket(1883, "127.0.0.1", () => {
    socket.destroy();
    resolve(true);
  });
  socket.on("error", () => resolve(false));
});
if (!answers && process.env.CI) throw new Error(`CI needs an MQTT broker at ${broker}`);
if (!answers) console.warn(`no MQTT broker at ${broker}: the MQTT tests of the line are skipped`);

/** The real one, or that of PROTOLINE_TEST_FFMPEG; `null` where there is none. */
const ffmpegHere = process.env.PROTOLINE_TEST_FFMPEG ?? "ffmpeg";
const realFfmpeg = spawnSync(ffmpegHere, ["-version"]).status === 0 ? ffmpegHere : null;
if (!realFfmpeg) console.warn(`no ${ffmpegHere}: the test that reads a video is skipped`);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "protoline-line-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const lineage = { model: "fake", modelHash: "0", gallery: "default", revision: 3 };
/** Its first letter says what a picture is: k known, u unknown, anything else is no picture. */
const recognize = async (image: Uint8Array): Promise<Recognition> => {
  // Pictures of a camera begin and end with the markers of JPEG.
  const text = new TextDecoder().decode(image).replaceAll("\ufffd", "");
  const base = {
    revision: lineage.revision,
    candidates: [{ label: "gear", distance: 0.1, threshold: 0.2 }],
    limit: { label: "gear", distance: 0.1, threshold: 0.2, source: "own" },
    confidence: 0.9,
    distance: 0.1,
  };
  if (text.startsWith("k")) return { ...base, kind: "known", label: "gear" } as unknown as Recognition;
  if (text.startsWith("u")) return { ...base, kind: "unknown" } as unknown as Recognition;
  throw new ProtolineError("IMAGE_UNSUPPORTED", { expected: "a picture", got: "none", todo: "Send one." });
};

const until = async (what: () => unknown, ms = 10_000): Promise<void> => {
  const end = Date.now() + ms;
  while (!(await what())) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

interface Running {
  readonly results: LineResult[];
  readonly events: string[];
  stop(): Promise<Awaited<ReturnType<typeof runLine>>>;
}

/** A line whose file lies in the test's folder. */
function start(description: object, env: Record<string, string> = {}, answer = recognize): Running {
  const config = parseLine(JSON.stringify({ name: "test", ...description }), join(folder, "line.yaml"));
  const stop = new AbortController();
  const results: LineResult[] = [];
  const events: string[] = [];
  const ended = runLine({
    config,
    env,
    signal: stop.signal,
    recognize: answer,
    lineage: () => lineage,
    report: (event) => events.push(event),
    onResult: (result) => results.push(result),
  });
  ended.catch(() => undefined);
  return {
    results,
    events,
    stop: () => {
      stop.abort();
      return ended;
    },
  };
}

const lines = async (name: string): Promise<LineResult[]> =>
  (await readFile(join(folder, name), "utf8").catch(() => ""))
    .split("\n")
    .filter((text) => text !== "")
    .map((text) => JSON.parse(text) as LineResult);
const folderLine = {
  sources: [{ kind: "folder", path: "in" }],
  sinks: [{ kind: "file", path: "out.jsonl" }],
};
const put = async (name: string, content: string): Promise<void> => {
  await mkdir(join(folder, "in"), { recursive: true });
  await writeFile(join(folder, "in", name), content);
};
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
const post = (port: number, body: string, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${port}/frames`, { method: "POST", body, headers });

/** A camera server of the test: `connected` is the line's connection, once there is one. */
async function camera(port = 0) {
  const server = new WebSocketServer({ host: "127.0.0.1", port });
  await once(server, "listening");
  const connected = async (): Promise<WebSocket> => {
    const open = (): WebSocket | undefined =>
      [...server.clients].find(({ readyState }) => readyState === WebSocket.OPEN);
    await until(open);
    return open()!;
  };
  return { server, connected, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}
const closeCamera = async (server: WebSocketServer): Promise<void> => {
  for (const client of server.clients) client.terminate();
  await new Promise((resolve) => server.close(resolve));
};

const jpegOf = (body: string): Buffer =>
  Buffer.concat([Buffer.from("ffd8", "hex"), Buffer.from(body), Buffer.from("ffd9", "hex")]);

/** In the place of ffmpeg a program that hands on what comes from the address that it is to read. */
async function fakeFfmpeg() {
  const ffmpeg = join(folder, "ffmpeg.mjs");
  await writeFile(
    ffmpeg,
    `#!${process.execPath}
import { connect } from "node:net";
if (process.argv.includes("-version")) { console.log("ffmpeg version 0-test"); process.exit(0); }
const { port } = new URL(process.argv[process.argv.indexOf("-i") + 1]);
const socket = connect(Number(port), "127.0.0.1");
socket.on("error", ({ code }) => { console.error("cannot open " + process.argv.at(-3) + ": " + code); process.exit(1); });
socket.on("close", () => process.exit(0));
socket.pipe(process.stdout);
`,
    { mode: 0o755 },
  );
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const connected = async (): Promise<Socket> => {
    await until(() => sockets.size > 0);
    return [...sockets].at(-1)!;
  };
  const { port } = server.address() as AddressInfo;
  return { server, connected, ffmpeg, url: `http://127.0.0.1:${port}/` };
}

/** A way to give a running line frames; each source does the same with them. */
interface Feed {
  readonly source: object;
  send(id: string, body: string): Promise<void>;
  /** Pictures between the one under way and the newest are passed over, so each is sent when the last was answered. */
  readonly live?: true;
  /** Whether what is sent now arrives. */
  ready?(events: readonly string[]): boolean;
  close?(): Promise<void>;
}
const feeds: Record<string, () => Promise<Feed>> = {
  folder: async () => ({ source: folderLine.sources[0]!, send: (id, body) => put(`${id}.jpg`, body) }),
  http: async () => {
    const port = await freePort();
    return {
      source: { kind: "http", port },
      send: async (id, body) => {
        await until(async () => (await post(port, body, { "x-frame-id": id }).catch(() => null))?.ok);
      },
    };
  },
  websocket: async () => {
    const { server, url, connected } = await camera();
    return {
      source: { kind: "websocket", url },
      send: async (id, body) => {
        const socket = await connected();
        socket.send(JSON.stringify({ id }));
        socket.send(Buffer.from(body));
      },
      close: () => closeCamera(server),
    };
  },
  rtsp: async () => {
    const { server, url, connected, ffmpeg } = await fakeFfmpeg();
    return {
      source: { kind: "rtsp", url, ffmpeg },
      live: true,
      send: async (_id, body) => {
        (await connected()).write(jpegOf(body));
      },
      close: () => new Promise((resolve) => server.close(() => resolve())),
    };
  },
  ...(answers && {
    mqtt: async () => {
      const topic = `protoline-test/${randomUUID()}`;
      const client = await mqtt.connectAsync(broker, { protocolVersion: 5 });
      return {
        source: { kind: "mqtt", url: broker, topic, clientId: randomUUID() },
        ready: (events) => events.some((event) => event.includes("listens to")),
        send: async (id, body) => {
          await client.publishAsync(topic, body, { qos: 1, properties: { userProperties: { id } } });
        },
        close: () => client.endAsync(),
      };
    },
  }),
};

describe.each(Object.entries(feeds))("source %s", (_, open) => {
  it("gives each frame once, in order, and loses none when the line stops and starts", async () => {
    await mkdir(join(folder, "in"));
    const feed = await open();
    const description = { sources: [feed.source], sinks: [{ kind: "file", path: "out.jsonl" }] };
    const first = start(description);
    await until(() => feed.ready?.(first.events) ?? true);
    const sent = ["k1", "u2", "nothing"];
    for (const [i, body] of sent.entries()) {
      await feed.send("abc"[i]!, body);
      const enough = feed.live ? i + 1 : 0;
      await until(async () => (await lines("out.jsonl")).length >= enough);
    }
    await until(async () => (await lines("out.jsonl")).length >= 3);
    const report = await first.stop();
    expect(report).toMatchObject({ frames: 3, known: 1, unknown: 1, errors: 1, dead: 0 });
    const again = start(description);
    await feed.send("d", "k4");
    await until(async () => (await lines("out.jsonl")).length >= 4);
    await again.stop();
    await feed.close?.();
    const told = await lines("out.jsonl");
    expect(told.map(({ answer }) => answer.kind)).toEqual(["known", "unknown", "error", "known"]);
    expect(told[2]!.answer).toMatchObject({ code: "IMAGE_UNSUPPORTED" });
    expect(new Set(told.map(({ id }) => id)).size).toBe(4);
  });
});

describe("source folder", () => {
  it("moves what is answered, sets apart what is no picture, and keeps names that are taken", async () => {
    await put("a.jpg", "k");
    await put("b.jpg", "nothing");
    await put("note.txt", "left alone");
    const line = start(folderLine);
    await until(() => line.results.length === 2);
    await until(async () => (await readdir(join(folder, "in/done"))).length === 1);
    await put("a.jpg", "k, another");
    await until(async () => (await readdir(join(folder, "in/done"))).length === 2);
    await line.stop();
    expect((await readdir(join(folder, "in/done"))).sort()).toEqual(["a-1.jpg", "a.jpg"]);
    expect(await readdir(join(folder, "in/failed"))).toEqual(["b.jpg"]);
    expect((await readdir(join(folder, "in"))).sort()).toEqual(["done", "failed", "note.txt"]);
  });

  it("waits for a file that is still being written", async () => {
    const line = start(folderLine);
    await put("slow.jpg", "k");
    for (let i = 0; i < 12; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      await writeFile(join(folder, "in/slow.jpg"), "x", { flag: "a" });
    }
    await until(() => line.results.length > 0);
    await line.stop();
    expect(line.results).toHaveLength(1);
    expect(await readFile(join(folder, "in/done/slow.jpg"), "utf8")).toHaveLength(13);
  });
});

describe("source http", () => {
  it("replies with the result, keeps part and shift, and asks for its token", async () => {
    const port = await freePort();
    const sources = [{ kind: "http", port, tokenEnv: "TOKEN" }];
    const line = start({ ...folderLine, sources, shift: "night" }, { TOKEN: "secret" });
    const authorization = "Bearer secret";
    await until(async () => (await post(port, "k").catch(() => null))?.status === 401);
    const reply = await post(port, "k", { authorization, "x-part": "SN 7" });
    expect(await reply.json()).toMatchObject({ part: "SN 7", shift: "night", line: "test", lineage });
    expect((await post(port, "k", { authorization: "Bearer secre" })).status).toBe(401);
    expect((await fetch(`http://127.0.0.1:${port}/frames`, { headers: { authorization } })).status).toBe(405);
    expect((await fetch(`http://127.0.0.1:${port}/other`)).status).toBe(404);
    await line.stop();
  });

  it("refuses while the line is full, and answers a frame that comes twice once", async () => {
    const port = await freePort();
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const slow = async (image: Uint8Array) => {
      await gate;
      return recognize(image);
    };
    const line = start({ ...folderLine, sources: [{ kind: "http", port }], buffer: 1 }, {}, slow);
    await until(async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => null))?.status === 404);
    const first = post(port, "k", { "x-frame-id": "one" });
    await until(async () => {
      const reply = await post(port, "k", { "x-frame-id": "two" });
      return reply.status === 503 && reply.headers.get("retry-after") === "1";
    });
    open();
    expect((await first).status).toBe(200);
    expect(await (await post(port, "k", { "x-frame-id": "one" })).json()).toMatchObject({ id: "one" });
    expect(await line.stop()).toMatchObject({ frames: 1, repeated: 1 });
    expect(await lines("out.jsonl")).toHaveLength(1);
  });

  it("ends the line when its port is taken", async () => {
    const port = await freePort();
    const other = createServer().listen(port, "127.0.0.1");
    const line = start({ ...folderLine, sources: [{ kind: "http", port }, folderLine.sources[0]!] });
    await expect(line.stop()).rejects.toMatchObject({ code: "LINE_INVALID", got: "EADDRINUSE" });
    other.close();
  });
});

/** The results in an SQLite file, in the order in which they were written. */
function rows(name: string): Record<string, unknown>[] {
  if (!existsSync(join(folder, name))) return [];
  const db = new Database(join(folder, name), { readonly: true });
  try {
    return db.prepare("SELECT * FROM result ORDER BY rowid").all([]) as Record<string, unknown>[];
  } catch {
    // Not made yet, or held at this moment.
    return [];
  } finally {
    db.close();
  }
}

/** What a sink delivered, read at its other end. */
interface Receiver {
  readonly sink: object;
  readonly env?: Record<string, string>;
  got(): Promise<LineResult[]>;
  close?(): Promise<void>;
}
const receivers: Record<string, () => Promise<Receiver>> = {
  file: async () => ({ sink: { kind: "file", path: "sink.jsonl" }, got: () => lines("sink.jsonl") }),
  sqlite: async () => ({
    sink: { kind: "sqlite", path: "sink.db" },
    got: async () => rows("sink.db").map(({ result }) => JSON.parse(String(result)) as LineResult),
  }),
  webhook: async () => {
    const { url, bodies, server } = await receiver(() => 204);
    return {
      sink: { kind: "webhook", url, secretEnv: "SECRET" },
      env: { SECRET: "s" },
      got: async () => bodies.map(({ body }) => JSON.parse(body) as LineResult),
      close: () => closed(server),
    };
  },
  ...(answers && {
    mqtt: async () => {
      const topic = `protoline-test/${randomUUID()}`;
      const client: MqttClient = await mqtt.connectAsync(broker);
      const got: LineResult[] = [];
      client.on("message", (_, payload) => got.push(JSON.parse(payload.toString()) as LineResult));
      await client.subscribeAsync(topic, { qos: 1 });
      return {
        sink: { kind: "mqtt", url: broker, topic },
        got: async () => got,
        close: () => client.endAsync(),
      };
    },
  }),
};

interface Post {
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}
async function receiver(status: (n: number) => number) {
  const bodies: Post[] = [];
  let asked = 0;
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => {
      const code = status(asked++);
      if (code < 300) bodies.push({ headers: request.headers, body });
      response.writeHead(code).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, bodies, server };
}
const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

describe.each(Object.entries(receivers))("sink %s", (_, open) => {
  it("gets every result, in order, with all that the source said", async () => {
    const other = await open();
    for (const [name, body] of [
      ["a.jpg", "k"],
      ["b.jpg", "u"],
      ["c.jpg", "?"],
    ] as const)
      await put(name, body);
    const line = start({ ...folderLine, sinks: [other.sink], station: "cam 1", batch: "B7" }, other.env);
    await until(async () => (await other.got()).length === 3);
    await line.stop();
    expect(await other.got()).toEqual(line.results);
    expect(line.results[0]).toMatchObject({ line: "test", station: "cam 1", batch: "B7", lineage });
    await other.close?.();
  });
});

describe("sink file", () => {
  it("writes CSV with a head, quotes, and no formula", async () => {
    await put('=a,"b".jpg', "k");
    const line = start({ ...folderLine, sinks: [{ kind: "file", path: "out.csv" }], batch: "=1+1" });
    await until(() => line.results.length === 1);
    await line.stop();
    const [head, row] = (await readFile(join(folder, "out.csv"), "utf8")).trim().split("\n");
    expect(head).toMatch(/^time,id,line,station,part,batch/);
    expect(row).toContain(",'=1+1,");
    expect(row).toMatch(/"[^"]*=a,""b"".jpg"/);
  });
});

describe("sink sqlite", () => {
  it("holds each result once, by line and id, with its part, its limit and its lineage in columns", async () => {
    const port = await freePort();
    const description = {
      ...{ sources: [{ kind: "http", port }], sinks: [{ kind: "sqlite", path: "a.db" }], station: "cam 1" },
    };
    for (let i = 0; i < 2; i++) {
      const line = start(description);
      const facts = { "x-frame-id": "same", "x-part": "SN 7", "x-shift": "night", "x-batch": "B1" };
      await until(async () => (await post(port, "k", facts).catch(() => null))?.ok);
      expect(await line.stop()).toMatchObject({ frames: 1, dead: 0 });
    }
    const other = start({ ...description, name: "other" });
    await until(async () => (await post(port, "?", { "x-frame-id": "same" }).catch(() => null))?.ok);
    await other.stop();
    // The file is whole without its log, to be copied as it is.
    expect((await stat(join(folder, "a.db-wal")).catch(() => null))?.size ?? 0).toBe(0);
    const facts = {
      id: "same",
      station: "cam 1",
      model: "fake",
      modelHash: "0",
      gallery: "default",
      revision: 3,
    };
    expect(rows("a.db")).toMatchObject([
      {
        ...{ ...facts, line: "test", part: "SN 7", shift: "night", batch: "B1" },
        ...{ kind: "known", label: "gear", distance: 0.1, threshold: 0.2, confidence: 0.9 },
      },
      { ...facts, line: "other", part: null, kind: "error", label: "IMAGE_UNSUPPORTED", threshold: null },
    ]);
  });

  it("waits for a writer that holds the file, and takes no file of another program", async () => {
    await put("a.jpg", "k");
    const made = start({ ...folderLine, sinks: [{ kind: "sqlite", path: "a.db" }] });
    await until(() => made.results.length === 1);
    await made.stop();
    const db = new Database(join(folder, "a.db"));
    db.exec("BEGIN IMMEDIATE");
    await put("b.jpg", "u");
    const line = start({ ...folderLine, sinks: [{ kind: "sqlite", path: "a.db" }] });
    await until(() => line.events.some((event) => /trying again/.test(event)));
    db.exec("ROLLBACK");
    db.close();
    await until(() => rows("a.db").length === 2);
    expect(await line.stop()).toMatchObject({ frames: 1, dead: 0 });

    const foreign = new Database(join(folder, "b.db"));
    foreign.exec("CREATE TABLE mine (x)");
    foreign.close();
    await put("c.jpg", "k");
    const sinks = [{ kind: "sqlite", path: "b.db" }];
    const config = parseLine(JSON.stringify({ name: "a", ...folderLine, sinks }), join(folder, "line.yaml"));
    const [, found] = await checkLine(config, {});
    expect(found!.found).toMatchObject({ code: "LINE_INVALID", got: "a file of another program" });
    const refused = start({ ...folderLine, sinks, giveUpAfter: 0.1 });
    await until(() => refused.results.length === 1);
    expect(await refused.stop()).toMatchObject({ dead: 1 });
  });
});

describe("source websocket", () => {
  it("connects again when the camera server was away, and takes over what it says of a picture", async () => {
    const first = await camera();
    const line = start(
      {
        ...{ ...folderLine, sources: [{ kind: "websocket", url: first.url, tokenEnv: "TOKEN" }] },
      },
      { TOKEN: "secret" },
    );
    const request = once(first.server, "connection");
    const socket = await first.connected();
    expect((await request)[1].headers.authorization).toBe("Bearer secret");
    socket.send(JSON.stringify({ part: "SN 7", batch: "B1", shift: "late", id: "seven", else: 3 }));
    socket.send(Buffer.from("k1"));
    socket.send("no JSON");
    // The same picture later is another frame, unless it has the id of the first.
    for (let i = 0; i < 2; i++) socket.send(Buffer.from("k1"));
    socket.send(JSON.stringify({ id: "seven" }));
    socket.send(Buffer.from("k1"));
    await until(() => line.results.length === 3);
    await closeCamera(first.server);
    await until(() => line.events.some((event) => event.includes("trying again")));
    const second = await camera(Number(new URL(first.url).port));
    (await second.connected()).send(Buffer.from("u2"));
    await until(() => line.results.length === 4);
    expect(await line.stop()).toMatchObject({ frames: 4, known: 3, unknown: 1, repeated: 1 });
    expect(line.results[0]).toMatchObject({ id: "seven", part: "SN 7", batch: "B1", shift: "late" });
    expect(line.results[1]).not.toHaveProperty("part");
    await closeCamera(second.server);
  });

  it("lets the server wait while the line is full, and loses none of its frames", async () => {
    const { server, url, connected } = await camera();
    let most = 0;
    let under = 0;
    const slow = async (image: Uint8Array) => {
      most = Math.max(most, ++under);
      await new Promise((resolve) => setTimeout(resolve, 5));
      under--;
      return recognize(image);
    };
    const line = start({ ...folderLine, sources: [{ kind: "websocket", url }], buffer: 2 }, {}, slow);
    const socket = await connected();
    const frame = Buffer.alloc(200_000, "k");
    let backed = 0;
    for (let i = 0; i < 100; i++) {
      socket.send(JSON.stringify({ id: `${i}` }));
      socket.send(frame);
      backed = Math.max(backed, socket.bufferedAmount);
    }
    await until(() => line.results.length === 100);
    expect(line.results.map(({ id }) => Number(id))).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(backed).toBeGreaterThan(10 * frame.length);
    expect(most).toBe(1);
    await line.stop();
    await closeCamera(server);
  });
});

describe("source rtsp", () => {
  it("says where ffmpeg is missing, before it runs and when it does", async () => {
    const sources = [{ kind: "rtsp", url: "rtsp://user:hidden@127.0.0.1:1/a", ffmpeg: join(folder, "none") }];
    const config = parseLine(
      JSON.stringify({ name: "a", ...folderLine, sources }),
      join(folder, "line.yaml"),
    );
    const [found] = await checkLine(config, {});
    expect(found!.found).toMatchObject({ code: "LINE_INVALID", todo: expect.stringContaining("Install it") });
    expect(JSON.stringify([found!.name, String(found!.found)])).not.toContain("hidden");
    const line = start({ ...folderLine, sources });
    await expect(line.stop()).rejects.toMatchObject({
      code: "LINE_INVALID",
      got: expect.stringMatching(/ENOENT/),
    });
  });

  it("signals no process where none was started", async () => {
    const kill = vi.spyOn(ChildProcess.prototype, "kill").mockReturnValue(true);
    try {
      const stop = new AbortController();
      const spec = { kind: "rtsp", url: "rtsp://127.0.0.1:1/a", ffmpeg: join(folder, "none") } as const;
      const running = createSource(spec, {}).run({
        signal: stop.signal,
        room: () => true,
        accept: () => Promise.reject(new Error("there is no frame")),
        report: () => undefined,
      });
      stop.abort();
      await expect(running).rejects.toMatchObject({ code: "LINE_INVALID" });
      expect(kill).not.toHaveBeenCalled();
    } finally {
      kill.mockRestore();
    }
  });

  it("starts ffmpeg again when it ends, and tells no password", async () => {
    const { server, connected, url, ffmpeg } = await fakeFfmpeg();
    const address = url.replace("//", "//user@");
    const sources = [{ kind: "rtsp", url: address, ffmpeg, passwordEnv: "PASSWORD" }];
    const config = parseLine(
      JSON.stringify({ name: "a", ...folderLine, sources }),
      join(folder, "line.yaml"),
    );
    expect((await checkLine(config, { PASSWORD: "hidden" }))[0]!.found).toMatch(/^ffmpeg 0-test/);
    expect((await checkLine(config, {}))[0]!.found).toMatchObject({ code: "LINE_INVALID" });
    const line = start({ ...folderLine, sources }, { PASSWORD: "hidden" });
    const socket = await connected();
    // In pieces, and with what is no picture between two.
    for (const piece of [jpegOf("k1").subarray(0, 3), jpegOf("k1").subarray(3), Buffer.from("junk")])
      socket.write(piece);
    await until(() => line.results.length === 1);
    socket.destroy();
    await until(() => line.events.some((event) => event.includes("trying again")));
    (await connected()).write(jpegOf("u2"));
    await until(() => line.results.length === 2);
    expect(await line.stop()).toMatchObject({ frames: 2, known: 1, unknown: 1 });
    expect(line.events.join()).toContain("pictures come again");
    expect(JSON.stringify([line.events, line.results])).not.toContain("hidden");
    server.close();
  });

  it("answers the newest picture and passes over those before it", async () => {
    const { server, connected, url, ffmpeg } = await fakeFfmpeg();
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const seen: string[] = [];
    const slow = async (image: Uint8Array) => {
      seen.push(Buffer.from(image).toString("latin1").slice(2, -2));
      await gate;
      return recognize(image);
    };
    const line = start({ ...folderLine, sources: [{ kind: "rtsp", url, ffmpeg }] }, {}, slow);
    const socket = await connected();
    socket.write(jpegOf("k0"));
    await until(() => seen.length === 1);
    for (let i = 1; i < 50; i++) socket.write(jpegOf(`k${i}`));
    await new Promise((resolve) => setTimeout(resolve, 200));
    open();
    await until(() => line.results.length === 2);
    expect(await line.stop()).toMatchObject({ frames: 2 });
    expect(seen).toEqual(["k0", "k49"]);
    expect(line.events.join()).toContain("48 frames were passed over");
    server.close();
  });

  it.runIf(realFfmpeg)(
    "reads a video by the ffmpeg of this machine",
    async () => {
      const video = join(folder, "parts.mp4");
      const made = spawnSync(realFfmpeg!, [
        ...[
          "-nostdin",
          "-loglevel",
          "error",
          "-f",
          "lavfi",
          "-i",
          "testsrc2=size=320x240:rate=10:duration=2",
        ],
        ...["-pix_fmt", "yuv420p", video],
      ]);
      expect(String(made.stderr)).toBe("");
      const sizes: string[] = [];
      const look = async (image: Uint8Array) => {
        const { format, width, height } = await sharp(image).metadata();
        await sharp(image).raw().toBuffer();
        sizes.push(`${format} ${width}x${height}`);
        return recognize(Buffer.from("k"));
      };
      const sources = [{ kind: "rtsp", url: pathToFileURL(video).href, ffmpeg: realFfmpeg, fps: 5 }];
      const line = start({ ...folderLine, sources }, {}, look);
      await until(() => line.events.some((event) => event.includes("played to its end")), 20_000);
      const { frames, known } = await line.stop();
      expect(frames).toBeGreaterThanOrEqual(5);
      expect(frames).toBeLessThanOrEqual(11);
      expect(known).toBe(frames);
      expect(new Set(sizes)).toEqual(new Set(["jpeg 320x240"]));
      const config = parseLine(
        JSON.stringify({ name: "a", ...folderLine, sources }),
        join(folder, "line.yaml"),
      );
      expect((await checkLine(config, {}))[0]!.found).toMatch(/^ffmpeg \S+$/);
    },
    40_000,
  );
});

describe("sink webhook", () => {
  it("signs what it posts", async () => {
    const { url, bodies, server } = await receiver(() => 200);
    await put("a.jpg", "k");
    const line = start({ ...folderLine, sinks: [{ kind: "webhook", url, secretEnv: "S" }] }, { S: "key" });
    await until(() => bodies.length === 1);
    await line.stop();
    const { headers, body } = bodies[0]!;
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    expect(headers["webhook-signature"]).toBe(
      `v1,${createHmac("sha256", "key").update(signed).digest("base64")}`,
    );
    await closed(server);
  });

  it("tries again what failed, gives up what is refused, and resends it later", async () => {
    const replies = [500, 503, 200, 400, 200];
    const { url, bodies, server } = await receiver((n) => replies[n] ?? 200);
    for (const name of ["a.jpg", "b.jpg", "c.jpg"]) await put(name, "k");
    const description = { ...folderLine, sinks: [{ kind: "webhook", url, secretEnv: "S" }] };
    const line = start(description, { S: "key" });
    await until(() => line.results.length === 3);
    expect(await line.stop()).toMatchObject({ frames: 3, dead: 1 });
    expect(line.events.join("\n")).toMatch(/replied 500; trying again.*works again.*refuses .*replied 400/s);
    const [, b] = line.results;
    expect(bodies.map(({ body }) => (JSON.parse(body) as LineResult).id)).not.toContain(b!.id);
    const config = parseLine(JSON.stringify({ name: "test", ...description }), join(folder, "line.yaml"));
    expect(await resendDeadLetters(config, { S: "key" })).toEqual({ delivered: 1, left: 0 });
    expect(JSON.parse(bodies.at(-1)!.body)).toEqual(b);
    expect(await resendDeadLetters(config, { S: "key" })).toEqual({ delivered: 0, left: 0 });
    await closed(server);
  });

  it("does not stop the line when its receiver is gone, and keeps what it did not get", async () => {
    const { url, server } = await receiver(() => 200);
    await closed(server);
    const sinks = [{ kind: "webhook", url, secretEnv: "S" }, folderLine.sinks[0]!];
    const line = start({ ...folderLine, sinks, giveUpAfter: 0.1 }, { S: "key" });
    for (let i = 0; i < 20; i++) await put(`${i}.jpg`, `k${i}`);
    await until(async () => (await lines("out.jsonl")).length === 20);
    expect(await line.stop()).toMatchObject({ frames: 20, dead: 20 });
    const letters = await readFile(join(folder, "dead-letters.jsonl"), "utf8");
    expect(letters.trim().split("\n")).toHaveLength(20);
    expect(line.events.filter((event) => event.includes("given up"))).toHaveLength(1);
  });
});

describe.runIf(answers)("sink mqtt", () => {
  it("says whether the line is there, retained", async () => {
    const topic = `protoline-test/${randomUUID()}`;
    await put("a.jpg", "k");
    const line = start({ ...folderLine, sinks: [{ kind: "mqtt", url: broker, topic }] });
    await until(() => line.results.length === 1);
    const client = await mqtt.connectAsync(broker);
    const states: string[] = [];
    client.on("message", (_, payload) => states.push(payload.toString()));
    await client.subscribeAsync(`${topic}/state`, { qos: 1 });
    await until(() => states.length === 1);
    await line.stop();
    await until(() => states.length === 2);
    expect(states).toEqual(["online", "offline"]);
    await client.publishAsync(`${topic}/state`, "", { qos: 1, retain: true });
    await client.endAsync();
  });
});

describe("the description of a line", () => {
  const base = { name: "a", ...folderLine };
  it.each([
    ["name: [", /YAML or JSON/],
    [JSON.stringify({ ...base, name: "a b" }), /name/],
    [JSON.stringify({ ...base, sources: [] }), /sources/],
    [JSON.stringify({ ...base, sources: [{ kind: "folder" }] }), /path.*sources\.0/],
    [
      JSON.stringify({ ...base, sources: [{ kind: "folder", path: "in", depth: 3 }] }),
      /no field of that name.*sources\.0\.depth/,
    ],
    [
      JSON.stringify({ ...base, sources: [{ kind: "camera" }] }),
      /folder, mqtt, http.*sources\.0\.kind.*camera/,
    ],
    [
      JSON.stringify({ ...base, sinks: [{ kind: "webhook", url: "http://a", secretEnv: "A B" }] }),
      /secretEnv/,
    ],
    [JSON.stringify({ ...base, bufer: 3 }), /bufer/],
  ])("%s is refused, and the field is named", (text, named) => {
    expect(() => parseLine(text, "line.yaml")).toThrow(
      expect.objectContaining({ code: "LINE_INVALID", message: expect.stringMatching(named) as string }),
    );
  });

  it("of examples/line.yaml is right", async () => {
    const path = fileURLToPath(new URL("../examples/line.yaml", import.meta.url));
    const { sources, sinks } = parseLine(await readFile(path, "utf8"), path);
    expect([...sources, ...sinks].map(({ kind }) => kind)).toEqual(["folder", "websocket", "sqlite", "file"]);
  });

  it("is checked against what is there", async () => {
    const config = parseLine(
      JSON.stringify({
        name: "a",
        sources: [
          { kind: "folder", path: "missing" },
          { kind: "http", port: 0 },
        ],
        sinks: [
          { kind: "file", path: "out.jsonl" },
          { kind: "file", path: "missing/out.jsonl" },
          { kind: "webhook", url: "http://a", secretEnv: "S" },
          { kind: "mqtt", url: "mqtt://user:hidden@127.0.0.1:9", topic: "t" },
        ],
      }),
      join(folder, "line.yaml"),
    );
    const found = await checkLine(config, {});
    expect(found.map((one) => one.found instanceof Error)).toEqual([true, false, false, true, true, true]);
    expect(JSON.stringify(found.map((one) => `${one.name} ${String(one.found)}`))).not.toContain("hidden");
    expect(await readdir(folder)).toEqual([]);
  });
});
