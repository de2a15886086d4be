import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { afterEach, describe, expect, it } from "vitest";
import { listen } from "../src/server/index.ts";
import { withoutSecrets } from "../src/server/logging.ts";
import {
  enroll,
  enrollColors,
  hugePng,
  newKey,
  picture,
  recognize,
  red,
  type TestServer,
  testServer,
} from "./server-help.ts";

let server: TestServer;
const gallery = "/v1/galleries/line-1";
afterEach(() => server.close());

/** A JPEG whose header claims another size than its data have. */
async function claiming(width: number, height: number, progressive: boolean): Promise<Buffer> {
  const jpeg = await sharp(await picture(red))
    .jpeg({ progressive })
    .toBuffer();
  const frame = jpeg.indexOf(Buffer.from(progressive ? "ffc2" : "ffc0", "hex"));
  jpeg.writeUInt16BE(height, frame + 5);
  jpeg.writeUInt16BE(width, frame + 7);
  return jpeg;
}

describe("image bombs", () => {
  it("that claim too many pixels are refused by their header, of any format", async () => {
    server = await testServer();
    await enrollColors(server.app);
    const gif = Buffer.from("474946383961ffffffff800000000000ffffff2c00000000ffffffff0002024401003b", "hex");
    for (const bytes of [
      hugePng(50_000, 50_000),
      hugePng(2 ** 31 - 1, 2 ** 31 - 1),
      await claiming(65_000, 65_000, false),
      await claiming(65_000, 65_000, true),
      gif,
    ]) {
      const before = performance.now();
      const reply = await recognize(server.app, bytes);
      expect(["IMAGE_TOO_LARGE", "IMAGE_BROKEN"]).toContain(reply.json().error.code);
      expect(performance.now() - before).toBeLessThan(1000);
    }
  });

  it("that claim as many as are allowed and hold few cost neither memory nor time, several at once", async () => {
    server = await testServer();
    await enrollColors(server.app);
    const bombs = [
      await claiming(9_990, 9_990, false),
      await claiming(9_990, 9_990, true),
      hugePng(9_990, 9_990),
    ];
    const before = process.memoryUsage.rss();
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss() - before);
    }, 10);
    const replies = await Promise.all([...bombs, ...bombs].map((bytes) => recognize(server.app, bytes)));
    clearInterval(watch);
    for (const reply of replies) expect(reply.json().error?.code).toBe("IMAGE_BROKEN");
    // Whole pictures of 100 million pixels would take 300 MB each.
    expect(most).toBeLessThan(900e6);
  });

  it("with compressed text or profiles in them are opened no further than they must be", async () => {
    server = await testServer();
    await enrollColors(server.app);
    const png = await sharp(await picture(red))
      .png()
      .toBuffer();
    const { deflateSync, crc32 } = await import("node:zlib");
    const chunk = (type: string, data: Buffer): Buffer => {
      const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
      const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
      length.writeUInt32BE(data.length);
      sum.writeUInt32BE(crc32(body));
      return Buffer.concat([length, body, sum]);
    };
    const bomb = deflateSync(Buffer.alloc(200 * 2 ** 20));
    for (const [type, head] of [
      ["zTXt", "a\0\0"],
      ["iCCP", "a\0\0"],
    ] as const) {
      const data = Buffer.concat([Buffer.from(head, "latin1"), bomb]);
      const before = process.memoryUsage.rss();
      const started = performance.now();
      const reply = await recognize(
        server.app,
        Buffer.concat([png.subarray(0, 33), chunk(type, data), png.subarray(33)]),
      );
      expect([200, 413, 422]).toContain(reply.statusCode);
      expect(performance.now() - started).toBeLessThan(3000);
      expect(process.memoryUsage.rss() - before).toBeLessThan(400e6);
    }
  });
});

describe("bodies that are more than they seem", () => {
  const post = (url: string, headers: Record<string, string>, payload: Buffer | string) =>
    server.app.inject({ method: "POST", url, headers, payload });

  it("a compressed body is not opened", async () => {
    server = await testServer();
    await enrollColors(server.app);
    const reply = await post(
      `${gallery}/recognize`,
      { "content-type": "image/jpeg", "content-encoding": "gzip" },
      gzipSync(await picture(red)),
    );
    expect(reply.json().error.code).toBe("IMAGE_UNSUPPORTED");
  });

  it("multipart in multipart is one file that is no picture, however deep", async () => {
    server = await testServer();
    let body = "the innermost";
    for (let depth = 0; depth < 2000; depth++)
      body = `--B${depth}\r\ncontent-disposition: form-data; name="image"; filename="a"\r\ncontent-type: multipart/mixed; boundary=B${depth - 1}\r\n\r\n${body}\r\n--B${depth}--\r\n`;
    const reply = await post(
      `${gallery}/classes/red/samples`,
      { "content-type": "multipart/form-data; boundary=B1999" },
      body,
    );
    expect(reply.statusCode).toBe(415);
    expect(reply.json().error.code).toBe("IMAGE_UNSUPPORTED");
  });

  it("thousands of parts, of headers in a part, or of letters in a name are refused", async () => {
    server = await testServer();
    // Over a socket, as bytes come in pieces there, and what follows the refusal need not be read.
    const address = await listen(server.app, { port: 0 });
    const headers = { "content-type": "multipart/form-data; boundary=B" };
    const file = (name: string, more = "") =>
      `--B\r\ncontent-disposition: form-data; name="image"; filename="${name}"\r\n${more}\r\nx\r\n`;
    const bodies = [
      file("a").repeat(20_000),
      file("a", "x-a: b\r\n".repeat(100_000)),
      file("a".repeat(5_000_000)),
      "--B\r\n".repeat(1_000_000),
    ];
    for (const body of bodies) {
      const started = performance.now();
      const sent = await fetch(`${address}${gallery}/classes/red/samples`, {
        method: "POST",
        headers,
        body: `${body}--B--\r\n`,
      }).then(
        async (reply) => ({ status: reply.status, text: await reply.text() }),
        // The server hangs up on who goes on sending after the refusal.
        () => ({ status: 413, text: "" }),
      );
      expect([400, 413, 415]).toContain(sent.status);
      expect(performance.now() - started).toBeLessThan(3000);
      expect(sent.text.length).toBeLessThan(10_000);
      expect((await fetch(`${address}/livez`)).status).toBe(200);
    }
  });

  it("an archive that unpacks to a thousand times its size is given up, and leaves nothing", async () => {
    server = await testServer();
    const bomb = gzipSync(Buffer.alloc(300 * 2 ** 20, "x"));
    expect(bomb.length).toBeLessThan(2 ** 20);
    const reply = await post("/v1/galleries/bomb/import", { "content-type": "application/gzip" }, bomb);
    expect(reply.json().error.code).toBe("GALLERY_FILE_INVALID");
    expect((await server.store.galleries()).map(({ name }) => name)).toEqual(["line-1"]);
  });

  it("JSON of a hundred thousand brackets is an error and no overflow", async () => {
    server = await testServer();
    for (const payload of ["[".repeat(100_000), `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`]) {
      const reply = await post("/v1/galleries", { "content-type": "application/json" }, payload);
      expect(reply.statusCode).toBe(400);
      expect(reply.json().error.code).toBe("INVALID_ARGUMENT");
    }
  });
});

describe("origins", () => {
  const preflight = (origin: string) =>
    server.app.inject({
      method: "OPTIONS",
      url: `${gallery}/recognize`,
      headers: { origin, "access-control-request-method": "POST" },
    });

  it("are closed by default", async () => {
    server = await testServer();
    const reply = await preflight("https://console.example.com");
    expect(reply.statusCode).toBe(404);
    expect(reply.headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("on the list are let in with a key, and no others", async () => {
    server = await testServer({ cors: ["https://console.example.com"] });
    const key = await newKey(server.store, "console", ["read"]);
    const asked = await preflight("https://console.example.com");
    expect(asked.statusCode).toBe(204);
    expect(asked.headers).toMatchObject({
      "access-control-allow-origin": "https://console.example.com",
      "access-control-allow-headers": expect.stringContaining("authorization"),
    });
    expect(asked.headers["access-control-allow-credentials"]).toBeUndefined();
    for (const origin of ["https://console.example.com.evil.example", "https://evil.example", "null"]) {
      const refused = await preflight(origin);
      expect(refused.headers["access-control-allow-origin"], origin).toBeUndefined();
    }
    const ask = (origin: string, headers = {}) =>
      server.app.inject({ url: "/v1/galleries", headers: { origin, ...headers } });
    expect((await ask("https://console.example.com")).statusCode).toBe(401);
    const reply = await ask("https://console.example.com", { "x-api-key": key });
    expect(reply.statusCode).toBe(200);
    expect(reply.headers["access-control-allow-origin"]).toBe("https://console.example.com");
    expect(reply.headers.vary).toMatch(/origin/i);
  });

  it("do not open a server without keys, as the page would be everybody", async () => {
    server = await testServer({ cors: ["https://console.example.com"] });
    const reply = await server.app.inject({
      url: "/v1/galleries",
      headers: { host: "localhost", origin: "https://console.example.com" },
    });
    expect(reply.statusCode).toBe(403);
  });

  it("are checked at the start", async () => {
    server = await testServer();
    for (const origin of [
      "*",
      "null",
      "console.example.com",
      "https://a.example/",
      "https://a.example/x",
      "ftp://a",
    ])
      await expect(testServer({ cors: [origin] }), origin).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
      });
  });
});

describe("headers of every reply", () => {
  it("name the request, forbid framing and sniffing, and keep answers out of caches", async () => {
    server = await testServer();
    for (const url of ["/livez", "/v1/galleries", "/nowhere", `${gallery}/recognize`]) {
      const { headers } = await server.app.inject({ url });
      expect(headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
      expect(headers["cache-control"]).toBe("no-store");
      expect(headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
      });
    }
  });
});

describe("the log", () => {
  it("of a run with keys, tokens and passwords holds none of them", async () => {
    const lines: string[] = [];
    server = await testServer({
      logger: { level: "trace", stream: { write: (line: string) => lines.push(line) } },
    });
    const { app, store } = server;
    const key = await newKey(store, "camera", ["admin"]);
    const wrong = `protoline_${randomBytes(32).toString("base64url")}`;
    const token = `eyJhbGciOiJSUzI1NiJ9.${randomBytes(40).toString("base64url")}.${randomBytes(60).toString("base64url")}`;
    const webhook = `whsec-${randomBytes(20).toString("hex")}`;
    const password = randomBytes(12).toString("hex");
    const ask = (url: string, headers: Record<string, string> = {}) => app.inject({ url, headers });
    await ask("/v1/galleries", { "x-api-key": key });
    await ask("/v1/galleries", { authorization: `Bearer ${wrong}` });
    await ask("/v1/galleries", { authorization: `Bearer ${token}` });
    await ask("/v1/galleries", { authorization: `Basic ${Buffer.from(`a:${password}`).toString("base64")}` });
    await ask(`/v1/galleries?access_token=${token}&api_key=${key}&x-signature=${webhook}`);
    await ask(`/nowhere/${wrong}?secret=${password}`);
    await enroll(app, key, await picture(red), { reason: `for ${key}` });
    store.history = async () => {
      throw new Error(`connect postgres://protoline:${password}@db/parts failed for ${token}`);
    };
    expect((await ask(`${gallery}/revisions`, { "x-api-key": key })).statusCode).toBe(500);
    app.log.warn({
      headers: { authorization: `Bearer ${token}`, "x-api-key": key },
      webhook: { secret: webhook },
    });
    app.log.info({ sink: { webhook: { secret: webhook, token: password } }, password });

    const log = lines.join("");
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
    const basic = Buffer.from(`a:${password}`).toString("base64");
    for (const secret of [key, wrong, token, webhook, password, basic]) expect(log).not.toContain(secret);
    expect(log).toContain("[secret]");
    expect(log).toContain('"reqId":"');
  });

  it("keeps what is no secret", () => {
    for (const line of [
      '{"msg":"gallery imported","gallery":"token-ring","url":"/v1/galleries?limit=3"}',
      '{"code":"UNAUTHORIZED","msg":"expected an API key as `Authorization: Bearer KEY`"}',
    ])
      expect(withoutSecrets(line).replace("Bearer [secret]", "Bearer KEY")).toBe(line);
  });
});
