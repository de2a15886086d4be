import fc from "fast-check";
import type { LightMyRequestResponse } from "fastify";
import { Value } from "typebox/value";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorTable } from "../src/core/index.ts";
import { ErrorReply } from "../src/server/protocol.ts";
import {
  enrollColors,
  hugePng,
  multipart,
  picture,
  red,
  type TestServer,
  testServer,
} from "./server-help.ts";
import { type Operation, operationsOf, requestOf } from "./support/openapi.ts";

/** Requests an operation; seeds are fixed, so that a failure comes again. */
const runs = 150;

let server: TestServer;
let operations: Operation[];
let jpeg: Buffer;
let archive: Buffer;

beforeAll(async () => {
  server = await testServer({ limits: { requestsPerMinute: 1e9 } });
  await enrollColors(server.app);
  jpeg = await picture(red);
  archive = (await server.app.inject({ url: "/v1/galleries/line-1/export" })).rawPayload;
  operations = operationsOf((await server.app.inject({ url: "/openapi.json" })).json());
});
afterAll(() => server.close());

const texts = fc.oneof(
  fc.constantFrom(
    "line-1",
    "line-1",
    "line-1",
    "line-2",
    "red",
    "red",
    "green",
    "blue",
    "1,1,20,20",
    "0,0,0,0",
    "1-0",
  ),
  fc.string({ maxLength: 20 }),
);

const bodies = () =>
  fc.oneof(
    fc.constantFrom(
      { type: "image/jpeg", payload: jpeg },
      { type: "image/png", payload: hugePng(50_000, 50_000) },
      { type: "application/gzip", payload: archive },
      { type: "application/octet-stream", payload: archive.subarray(0, 500) },
    ),
    fc
      .array(
        fc.record({
          name: fc.string({ maxLength: 8 }).map((it) => it.replace(/["\r\n]/g, "")),
          bytes: fc.uint8Array(),
        }),
      )
      .map((files) => {
        const { headers, payload } = multipart([...files, { name: "a.jpg", bytes: jpeg }]);
        return { type: headers["content-type"]!, payload };
      }),
    // A picture with some bytes changed.
    fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { minLength: 1, maxLength: 8 }).map((changes) => {
      const payload = Buffer.from(jpeg);
      for (const [at, byte] of changes) payload[at % payload.length] = byte;
      return { type: "image/jpeg", payload };
    }),
    fc.record({
      type: fc.constantFrom(
        "image/jpeg",
        "application/json",
        "multipart/form-data; boundary=B",
        "application/gzip",
      ),
      payload: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    }),
  );

async function answered(work: Promise<LightMyRequestResponse>): Promise<LightMyRequestResponse> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer within 5 s")), 5000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

describe("requests drawn from the OpenAPI document", () => {
  it("are answered as described, or with a coded error that is not the server's fault", async () => {
    const { app } = server;
    const seen = new Map<string, number>();
    for (const [i, operation] of operations.entries()) {
      const where = `${operation.method} ${operation.path}`;
      await fc.assert(
        fc.asyncProperty(requestOf(operation, texts, bodies()), async (request) => {
          await app.inject({ method: "POST", url: "/v1/galleries", payload: { name: "line-1" } });
          const reply = await answered(app.inject(request));
          const { statusCode } = reply;
          seen.set(`${statusCode}`, (seen.get(`${statusCode}`) ?? 0) + 1);
          // A client that wants its answer within a millisecond is told the truth.
          const hasty = String(request.url).includes("withinMs=") && reply.payload.includes('"TIMED_OUT"');
          if (!hasty) expect(statusCode, reply.payload.slice(0, 500)).toBeLessThan(500);
          if (statusCode >= 400) {
            const value = reply.json() as { error: unknown };
            expect(reply.payload.length).toBeLessThan(20_000);
            // The Open Inference Protocol says an error in a string.
            if (operation.path.startsWith("/v2") && typeof value.error === "string") return;
            expect([...Value.Errors(ErrorReply, value)], reply.payload.slice(0, 500)).toEqual([]);
            expect(errorTable[(value as ErrorReply).error.code].status).toBe(statusCode);
          } else if (operation.replies[statusCode] && reply.payload !== "")
            expect([...Value.Errors(operation.replies[statusCode], reply.json())], where).toEqual([]);
        }),
        { numRuns: runs, seed: 1000 + i },
      );
    }
    // The requests reach the routes and do not all stop at the first check.
    expect(seen.get("200")).toBeGreaterThan(100);
    expect(seen.get("404")).toBeGreaterThan(20);
    expect(seen.get("400")).toBeGreaterThan(100);
    const reply = await app.inject({ url: "/readyz" });
    expect(reply.statusCode).toBe(200);
  }, 180_000);
});
