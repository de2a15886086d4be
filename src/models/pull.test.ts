import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRng, sha256 } from "../core/index.ts";
import { downloadError } from "../data/index.ts";
import { pullModel } from "./index.ts";
import { type PullOptions, pullRow } from "./pull.ts";
import { type ZooRow, zoo } from "./zoo.ts";

const rng = createRng(3);
const content = Uint8Array.from({ length: 300_000 }, () => rng.int(256));
const half = 150_000;
const row: ZooRow = { ...zoo[0]!, file: "m.onnx", bytes: content.length, sha256: sha256(content) };

type Handler = (request: IncomingMessage, response: ServerResponse, attempt: number) => void;

let cache: string;
let closeServer: (() => Promise<void>) | undefined;
let ranges: (string | undefined)[];

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "protoline-pull-"));
  ranges = [];
});
afterEach(async () => {
  await closeServer?.();
  closeServer = undefined;
  rmSync(cache, { recursive: true });
});

/** A real server on a free port; resolves to its address. */
async function serve(handler: Handler): Promise<string> {
  const server = createServer((request, response) => {
    ranges.push(request.headers.range);
    handler(request, response, ranges.length);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closeServer = () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/`;
}

/** Answers as a good file server does. */
const good =
  (bytes: Uint8Array = content, etag = '"v1"'): Handler =>
  (request, response) => {
    const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    const valid = (request.headers["if-range"] ?? etag) === etag;
    if (!asked || !valid) {
      response.writeHead(200, { "content-length": bytes.length, etag });
      response.end(bytes);
      return;
    }
    const start = Number(asked[1]);
    response.writeHead(206, { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}`, etag });
    response.end(bytes.subarray(start));
  };

/** A request for what is missing after a break; how much of the half arrived before it is the network's affair. */
const theRest = expect.stringMatching(/^bytes=[1-9]\d*-$/);

/** Sends the first half of the bytes and breaks the connection. */
const breaks: Handler = (_, response) => {
  response.writeHead(200, { "content-length": content.length, etag: '"v1"' });
  response.write(content.subarray(0, half), () => setTimeout(() => response.destroy(), 50));
};

const pull = (mirror: string | null, options: PullOptions = {}) =>
  pullRow(row, { sources: { cache, mirror }, retryMs: 1, ...options });
const files = () => readdirSync(cache).sort();
const pulled = () => Buffer.from(content).equals(readFileSync(join(cache, "m.onnx")));

describe("pulling over HTTP", () => {
  it("fetches the file, reports progress, and fetches it only once", async () => {
    const mirror = await serve(good());
    const progress: number[] = [];
    const result = await pull(mirror, { onProgress: (received) => progress.push(received) });
    expect(result).toEqual({ path: join(cache, "m.onnx"), bytes: content.length, downloaded: true });
    expect(pulled()).toBe(true);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(content.length);
    expect((await pull(mirror)).downloaded).toBe(false);
    expect(ranges).toEqual([undefined]);
    expect(files()).toEqual(["m.onnx"]);
  });

  it("goes on where the connection broke, within one call", async () => {
    const mirror = await serve((request, response, attempt) =>
      (attempt === 1 ? breaks : good())(request, response, attempt),
    );
    await pull(mirror);
    expect(pulled()).toBe(true);
    expect(ranges).toEqual([undefined, theRest]);
  });

  it("goes on in a later call with what an earlier one left", async () => {
    let works = false;
    const mirror = await serve((request, response, attempt) => {
      if (works) good()(request, response, attempt);
      else if (attempt === 1) breaks(request, response, attempt);
      else response.destroy();
    });
    await expect(pull(mirror)).rejects.toMatchObject({ code: "MODEL_DOWNLOAD_FAILED" });
    expect(files()).toEqual(["m.onnx.part"]);
    works = true;
    await pull(mirror);
    expect(ranges.at(-1)).toEqual(theRest);
    expect(pulled()).toBe(true);
    expect(files()).toEqual(["m.onnx"]);
  });

  it("begins again where the server ignores Range", async () => {
    writeFileSync(join(cache, "m.onnx.part"), content.subarray(0, half));
    const mirror = await serve((_, response) => response.end(content));
    await pull(mirror);
    expect(ranges).toEqual([`bytes=${half}-`]);
    expect(pulled()).toBe(true);
  });

  it("begins again where the file changed on the server between two attempts", async () => {
    const older = Uint8Array.from(content, (byte) => byte ^ 255);
    const mirror = await serve((request, response, attempt) => {
      if (attempt > 1) return good(content, '"v2"')(request, response, attempt);
      response.writeHead(200, { "content-length": older.length, etag: '"v1"' });
      response.write(older.subarray(0, half), () => setTimeout(() => response.destroy(), 50));
    });
    await pull(mirror);
    expect(ranges).toEqual([undefined, theRest]);
    expect(pulled()).toBe(true);
  });

  it("begins again where an old part turns out to be of another file", async () => {
    writeFileSync(join(cache, "m.onnx.part"), new Uint8Array(half));
    const mirror = await serve(good());
    await pull(mirror);
    expect(ranges).toEqual([`bytes=${half}-`, undefined]);
    expect(pulled()).toBe(true);
  });

  it("throws away a part that is longer than the file", async () => {
    writeFileSync(join(cache, "m.onnx.part"), new Uint8Array(content.length + 1));
    await pull(await serve(good()));
    expect(ranges).toEqual([undefined]);
    expect(pulled()).toBe(true);
  });

  it.each([
    ["other bytes", Uint8Array.from(content, (byte) => byte ^ 1)],
    ["more bytes", Buffer.concat([content, content])],
  ])("refuses a server that sends %s, and keeps nothing of it", async (_, bytes) => {
    const mirror = await serve(good(bytes));
    await expect(pull(mirror)).rejects.toMatchObject({ code: "MODEL_HASH_MISMATCH" });
    expect(files()).toEqual([]);
  });

  it("replaces a damaged file in the cache", async () => {
    writeFileSync(join(cache, "m.onnx"), "damaged");
    await pull(await serve(good()));
    expect(pulled()).toBe(true);
  });

  it("says what the server said, and does not ask again for what is not there", async () => {
    const mirror = await serve((_, response) => response.writeHead(404).end("no"));
    await expect(pull(mirror)).rejects.toMatchObject({
      code: "MODEL_DOWNLOAD_FAILED",
      got: expect.stringMatching(/HTTP 404.*models\/m\.onnx/),
    });
    expect(ranges).toHaveLength(1);
  });

  it("asks a busy server again, up to a limit", async () => {
    const mirror = await serve((request, response, attempt) =>
      attempt < 3 ? response.writeHead(503).end() : good()(request, response, attempt),
    );
    await pull(mirror);
    expect(ranges).toHaveLength(3);
    rmSync(join(cache, "m.onnx"));
    await closeServer?.();
    const down = await serve((_, response) => response.writeHead(503).end());
    ranges = [];
    await expect(pull(down)).rejects.toMatchObject({ code: "MODEL_DOWNLOAD_FAILED" });
    expect(ranges).toHaveLength(4);
  });

  it("gives up a connection that falls silent", async () => {
    const mirror = await serve((_, response) => {
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, half));
    });
    await expect(pull(mirror, { idleMs: 50 })).rejects.toMatchObject({
      code: "MODEL_DOWNLOAD_FAILED",
      got: expect.stringContaining("no data"),
    });
  });

  it("names a server that is not there", async () => {
    const mirror = await serve(good());
    await closeServer?.();
    closeServer = undefined;
    await expect(pull(mirror)).rejects.toMatchObject({
      code: "MODEL_DOWNLOAD_FAILED",
      got: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it("stops when it is told to, and keeps what it has", async () => {
    const stop = new AbortController();
    const mirror = await serve((_, response) => {
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, half));
    });
    const onProgress = (received: number): void => {
      if (received === half) stop.abort();
    };
    await expect(pull(mirror, { signal: stop.signal, onProgress })).rejects.toMatchObject({
      code: "MODEL_DOWNLOAD_FAILED",
      got: "a cancelled download",
    });
    expect(readFileSync(join(cache, "m.onnx.part")).length).toBe(half);
  });

  it("can be done by several at once", async () => {
    writeFileSync(join(cache, "m.onnx.part"), content.subarray(0, half));
    const mirror = await serve(good());
    const results = await Promise.all(Array.from({ length: 6 }, () => pull(mirror)));
    expect(results.every(({ path }) => path === join(cache, "m.onnx"))).toBe(true);
    expect(pulled()).toBe(true);
    expect(files()).toEqual(["m.onnx"]);
    // One of them took the part over.
    expect(ranges.filter(Boolean)).toEqual([`bytes=${half}-`]);
  });

  it("takes over what a killed process left, and nothing that another one is writing", async () => {
    writeFileSync(join(cache, "m.onnx.part.killed"), content.subarray(0, half));
    writeFileSync(join(cache, "m.onnx.part.busy"), content.subarray(0, 10));
    const long = new Date(Date.now() - 3_600_000);
    utimesSync(join(cache, "m.onnx.part.killed"), long, long);
    await pull(await serve(good()));
    expect(ranges).toEqual([`bytes=${half}-`]);
    expect(files()).toEqual(["m.onnx", "m.onnx.part.busy"]);
  });
});

describe("pulling from elsewhere", () => {
  it("copies from a mirror folder, and refuses the wrong file there", async () => {
    const mirror = join(cache, "mirror");
    mkdirSync(mirror);
    writeFileSync(join(mirror, "m.onnx"), content);
    await pull(mirror);
    expect(pulled()).toBe(true);
    rmSync(join(cache, "m.onnx"));
    writeFileSync(join(mirror, "m.onnx"), content.subarray(1));
    await expect(pull(mirror)).rejects.toMatchObject({ code: "MODEL_HASH_MISMATCH" });
    expect(files()).toEqual(["mirror"]);
  });

  it("names the file that a mirror folder lacks", async () => {
    await expect(pull(join(cache, "nowhere"))).rejects.toMatchObject({
      code: "MODEL_DOWNLOAD_FAILED",
      got: expect.stringContaining("m.onnx"),
      todo: expect.stringContaining("PROTOLINE_MIRROR"),
    });
  });

  it("says plainly when a file has no public address", async () => {
    for (const { name, file, sha256: hash } of zoo.filter(({ address }) => address === null))
      await expect(pullModel(name, { sources: { cache, mirror: null } })).rejects.toMatchObject({
        code: "MODEL_DOWNLOAD_FAILED",
        got: "this file has no public address",
        todo: `Set PROTOLINE_MIRROR to a folder or URL that holds ${file} (SHA-256 ${hash}).`,
      });
  });

  it("has nothing to pull for a name that is none, or that is built in", async () => {
    await expect(pullModel("resnet")).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
    await expect(pullModel("scattering")).rejects.toMatchObject({
      code: "MODEL_NOT_FOUND",
      todo: expect.stringContaining("built in"),
    });
  });

  it.runIf(process.platform === "linux")("tells a full disk from other trouble", async () => {
    const words = {
      failed: "MODEL_DOWNLOAD_FAILED",
      mismatch: "MODEL_HASH_MISMATCH",
      mirror: "M",
      folder: "F",
    } as const;
    // The device that is always full gives the error that a full disk gives.
    const full = await writeFile("/dev/full", "x").catch((error: unknown) => error);
    expect(downloadError(full, "http://a", { file: row.file, words })).toMatchObject({
      code: "MODEL_DOWNLOAD_FAILED",
      got: "a full disk",
    });
    writeFileSync(join(cache, "file"), "");
    await expect(
      pullRow(row, { sources: { cache: join(cache, "file", "sub"), mirror: cache } }),
    ).rejects.toMatchObject({ code: "MODEL_DOWNLOAD_FAILED" });
  });
});
