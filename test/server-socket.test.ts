import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { listen } from "../src/server/index.ts";
import {
  blue,
  enroll,
  enrollColors,
  green,
  picture,
  recognize,
  red,
  type TestServer,
  testServer,
} from "./server-help.ts";

let server: TestServer;
let address: string;
const path = "/v1/galleries/line-1/recognize";

async function start(options: Parameters<typeof testServer>[0] = {}): Promise<void> {
  server = await testServer(options);
  address = await listen(server.app, { port: 0 });
}
afterEach(() => server.close());

/** Writes to a fresh connection and returns all that comes back until the server closes it. */
function exchange(write: string | Buffer, port = Number(new URL(address).port)): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(write));
    let text = "";
    socket.on("data", (data) => {
      text += data;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}

const errorIn = (text: string): { code: string; message: string } =>
  JSON.parse(text.split("\r\n\r\n")[1]!).error;

describe("over a socket", () => {
  it("recognizes 200 frames at once while parts are enrolled; each answer is of one whole revision", async () => {
    await start();
    await enrollColors(server.app);
    const { number: first } = (await server.store.gallery("line-1")).head;
    const frames = await Promise.all(
      Array.from({ length: 20 }, (_, i) => picture(i % 2 ? red : green, 40 + i)),
    );
    const parts = await Promise.all(Array.from({ length: 8 }, (_, i) => picture(blue, i)));

    const enrolling = (async () => {
      for (const part of parts) {
        const reply = await fetch(`${address}/v1/galleries/line-1/classes/blue/samples`, {
          method: "POST",
          headers: { "content-type": "image/jpeg" },
          body: new Uint8Array(part),
        });
        expect(reply.status).toBe(201);
      }
    })();
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const reply = await fetch(address + path, {
          method: "POST",
          headers: { "content-type": "image/jpeg" },
          body: new Uint8Array(frames[i % 20]!),
        });
        expect(reply.status).toBe(200);
        return { i, answer: (await reply.json()) as Record<string, unknown> & { revision: number } };
      }),
    );
    await enrolling;

    const blueIn = async (revision: number): Promise<boolean> =>
      (await server.store.snapshot("line-1", revision)).samples.some(({ label }) => label === "blue");
    const seen = new Map<number, boolean>();
    for (const { i, answer } of answers) {
      const { revision, label } = answer;
      expect(label).toBe(i % 2 ? "red" : "green");
      expect(revision).toBeGreaterThanOrEqual(first);
      expect(revision).toBeLessThanOrEqual(first + parts.length);
      if (!seen.has(revision)) seen.set(revision, await blueIn(revision));
      const labels = (answer.candidates as { label: string }[]).map((candidate) => candidate.label);
      expect(labels.includes("blue")).toBe(seen.get(revision));
    }
    const after = await recognize(server.app, await picture(blue, 77));
    expect(after.json()).toMatchObject({ label: "blue", revision: first + parts.length });
  });

  it("gives up on a client that stops in the middle, with 408", async () => {
    await start({ limits: { requestMs: 300 } });
    const body = await exchange(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\nhalf`,
    );
    expect(body).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(errorIn(body).code).toBe("REQUEST_TIMEOUT");
    const headers = await exchange("GET /livez HTTP/1.1\r\nHost: loc");
    expect(headers).toMatch(/^HTTP\/1\.1 408 /);
    expect((await fetch(`${address}/livez`)).status).toBe(200);
  });

  it("closes a connection on which nothing moves", async () => {
    await start({ limits: { idleMs: 200 } });
    expect(await exchange("")).toBe("");
  });

  it("is not disturbed by a client that leaves half way, in raw or in multipart", async () => {
    await start();
    await enrollColors(server.app);
    const before = (await server.store.gallery("line-1")).head.number;
    const multipart =
      '--B\r\ncontent-disposition: form-data; name="image"; filename="a.jpg"\r\n\r\nhalf a picture';
    for (const [type, body] of [
      ["image/jpeg", "half a picture"],
      ["multipart/form-data; boundary=B", multipart],
    ])
      for (let i = 0; i < 5; i++)
        await new Promise<void>((resolve) => {
          const socket = connect(Number(new URL(address).port), "127.0.0.1", () =>
            socket.write(
              `POST /v1/galleries/line-1/classes/red/samples HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n` +
                `Content-Length: 5000\r\n\r\n${body}`,
              () => socket.resetAndDestroy(),
            ),
          );
          socket.on("error", () => undefined);
          socket.on("close", () => resolve());
        });
    const reply = await fetch(address + path, {
      method: "POST",
      headers: { "content-type": "image/jpeg" },
      body: new Uint8Array(await picture(red, 50)),
    });
    expect(await reply.json()).toMatchObject({ label: "red", revision: before });
  });

  it("finishes an enrollment whose client has left", async () => {
    await start();
    server.encoder.delay = 300;
    const image = await picture(red, 1);
    const abort = new AbortController();
    const sent = fetch(`${address}/v1/galleries/line-1/classes/red/samples`, {
      method: "POST",
      headers: { "content-type": "image/jpeg" },
      body: new Uint8Array(image),
      signal: abort.signal,
    });
    sent.catch(() => undefined);
    await expect.poll(() => server.encoder.running).toBe(1);
    abort.abort();
    await expect(sent).rejects.toThrow();
    await expect.poll(async () => (await server.store.gallery("line-1")).head.samples).toBe(1);
    server.encoder.delay = 0;
    expect((await enroll(server.app, "red", image)).json().duplicates).toHaveLength(1);
  });

  it("answers bytes that are no HTTP, and headers that are too long, in the shape of every error", async () => {
    await start();
    const tls = await exchange(Buffer.from("16030100c8010000c40303", "hex"));
    expect(tls).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(errorIn(tls)).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("HTTPS"),
    });
    const long = await exchange(
      `GET /livez HTTP/1.1\r\nHost: localhost\r\nCookie: ${"x".repeat(20_000)}\r\n\r\n`,
    );
    expect(long).toMatch(/^HTTP\/1\.1 431 /);
    expect(errorIn(long).code).toBe("HEADERS_TOO_LARGE");
    const label = `GET /v1/galleries/line-1/classes/${"%E8%9E%BA".repeat(10_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    expect(errorIn(await exchange(label)).code).toBe("HEADERS_TOO_LARGE");
  });

  it("refuses a body that is larger than it says or than it may be, and hangs up", async () => {
    await start({ limits: { imageBytes: 1000 } });
    const text = await exchange(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n` +
        `800\r\n${"x".repeat(0x800)}\r\n800\r\n${"x".repeat(0x800)}\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(errorIn(text).code).toBe("BODY_TOO_LARGE");
  });

  it("answers requests that were sent ahead, in their order, and hangs up on one who sends many", async () => {
    await start();
    const ask = "GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const last = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const some = await exchange(ask.repeat(10) + last);
    expect(some.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(11);
    expect(some.lastIndexOf('{"live":true}')).toBeGreaterThan(some.lastIndexOf('{"protoline"'));
    const many = await exchange(ask.repeat(100) + last).catch(() => "");
    expect((many.match(/HTTP\/1\.1 /g) ?? []).length).toBeLessThanOrEqual(16);
    expect(many).not.toContain('{"live":true}');
    // One after another there may be any number.
    for (let i = 0; i < 40; i++) expect((await fetch(`${address}/livez`)).status).toBe(200);
  });

  it("refuses a Host that is not this machine's", async () => {
    await start();
    const text = await exchange(
      "GET /v1/galleries HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n",
    );
    expect(text).toMatch(/^HTTP\/1\.1 403 /);
    expect(errorIn(text).code).toBe("FORBIDDEN");
  });
});

describe("listen and close", () => {
  it("does not wait for connections that never asked anything", async () => {
    await start();
    const silent = exchange("");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const started = performance.now();
    await server.app.close();
    expect(performance.now() - started).toBeLessThan(5000);
    expect(await silent).toBe("");
  });

  it("says when the port is taken, or is none", async () => {
    await start();
    const other = await testServer();
    const port = Number(new URL(address).port);
    await expect(listen(other.app, { port })).rejects.toMatchObject({
      code: "LISTEN_FAILED",
      expected: "a free port",
      got: expect.stringContaining(String(port)),
    });
    await expect(listen(other.app, { port: 70_000 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await other.close();
  });

  it("says on connections that are still open that it stops", async () => {
    await start();
    await enrollColors(server.app);
    server.encoder.delay = 400;
    const running = recognize(server.app, await picture(red, 60));
    const socket = connect(Number(new URL(address).port), "127.0.0.1");
    let text = "";
    socket.on("data", (data) => {
      text += data;
    });
    const ended = new Promise((resolve) => socket.on("close", resolve));
    socket.write("GET /readyz HTTP/1.1\r\nHost: localhost\r\n");
    await expect.poll(() => server.encoder.running).toBe(1);
    const closing = server.app.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.write("\r\n");
    await ended;
    expect(text).toMatch(/^HTTP\/1\.1 503 /);
    expect(JSON.parse(text.split("\r\n\r\n")[1]!)).toMatchObject({ ready: false, stopping: true });
    expect((await running).statusCode).toBe(200);
    await closing;
  });

  it("closes only after the running requests, and not later because of a client that hangs", async () => {
    await start({ limits: { closeMs: 500 } });
    await enrollColors(server.app);
    server.encoder.delay = 300;
    const hanging = exchange(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\nhalf`,
    ).catch(() => "reset");
    const running = fetch(address + path, {
      method: "POST",
      headers: { "content-type": "image/jpeg" },
      body: new Uint8Array(await picture(red, 60)),
    });
    await expect.poll(() => server.encoder.running).toBe(1);
    const started = performance.now();
    await server.app.close();
    expect(performance.now() - started).toBeLessThan(5000);
    const reply = await running;
    expect(reply.status).toBe(200);
    expect(await reply.json()).toMatchObject({ label: "red" });
    await hanging;
    await expect(fetch(`${address}/livez`)).rejects.toThrow();
  });
});
