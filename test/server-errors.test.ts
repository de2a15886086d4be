import type { LightMyRequestResponse } from "fastify";
import { Value } from "typebox/value";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { errorTable } from "../src/core/index.ts";
import { ErrorReply } from "../src/server/protocol.ts";
import {
  enroll,
  enrollColors,
  hugePng,
  multipart,
  picture,
  recognize,
  red,
  request,
  type TestServer,
  testServer,
} from "./server-help.ts";

let server: TestServer;
const gallery = "/v1/galleries/line-1";

beforeEach(async () => {
  server = await testServer({ limits: { imageBytes: 200_000, bodyBytes: 500_000, files: 4 } });
});
afterEach(() => server.close());

/** Holds a reply to the shape of an error, its status to the table, and returns the error. */
function errorOf(reply: LightMyRequestResponse): ErrorReply["error"] {
  const value = reply.json();
  expect([...Value.Errors(ErrorReply, value)]).toEqual([]);
  const { error } = value as ErrorReply;
  expect(reply.statusCode).toBe(errorTable[error.code].status);
  expect(error.message).toContain(error.todo);
  expect(JSON.stringify(value)).not.toMatch(/\.ts:|node_modules|\bat .*\(/);
  return error;
}

describe("pictures that are none", () => {
  const cases: [name: string, bytes: () => Promise<Buffer>, code: string, text: RegExp][] = [
    ["a text named .jpg", async () => Buffer.from("this is no picture"), "IMAGE_UNSUPPORTED", /format/],
    ["an empty body", async () => Buffer.alloc(0), "IMAGE_EMPTY", /no bytes/],
    ["50,000 × 50,000 pixels", async () => hugePng(50_000, 50_000), "IMAGE_TOO_LARGE", /50.?000/],
    ["one pixel", async () => hugePng(1, 1), "IMAGE_TOO_SMALL", /too small/],
    ["half a JPEG", async () => (await picture(red)).subarray(0, 300), "IMAGE_BROKEN", /decoded/],
    ["a web page", async () => Buffer.from("<html><script>alert(1)</script>"), "IMAGE_UNSUPPORTED", /format/],
    [
      "an SVG",
      async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
      "IMAGE_UNSUPPORTED",
      /format/,
    ],
  ];
  it.each(cases)("%s is refused by recognize and by enroll", async (_name, bytes, code, text) => {
    const { app } = server;
    await enrollColors(app);
    const error = errorOf(await recognize(app, await bytes()));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(text);
    const reply = await enroll(app, "red", await bytes());
    expect(reply.json().error.code).toBe(code);
    expect(reply.statusCode).toBe(errorTable[code as keyof typeof errorTable].status);
    expect(reply.json().report).toMatchObject({ added: [], rejected: [{ code }], revision: 6 });
  });
});

describe("requests that are wrong", () => {
  it("without a content type, or with another, say which are right", async () => {
    const { app } = server;
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "video/mp4"]) {
      const error = errorOf(
        await app.inject({
          method: "POST",
          url: `${gallery}/recognize`,
          headers: { "content-type": type },
          payload: "x",
        }),
      );
      expect(error).toMatchObject({ code: "CONTENT_TYPE_UNSUPPORTED", got: `"${type}"` });
    }
    const none = errorOf(await app.inject({ method: "POST", url: `${gallery}/recognize` }));
    expect(none).toMatchObject({ code: "CONTENT_TYPE_UNSUPPORTED", got: "none" });
    const json = errorOf(await request(app, "POST", `${gallery}/recognize`, { image: "x" }));
    expect(json.code).toBe("CONTENT_TYPE_UNSUPPORTED");
    const raw = errorOf(
      await app.inject({
        method: "POST",
        url: "/v1/galleries",
        headers: { "content-type": "image/jpeg" },
        payload: "x",
      }),
    );
    expect(raw.code).toBe("INVALID_ARGUMENT");
  });

  it("name the field that is wrong", async () => {
    const { app } = server;
    const cases: [reply: LightMyRequestResponse, expected: RegExp, got: RegExp][] = [
      [await recognize(app, Buffer.from("x"), { topK: "many" }), /"topK" of the query/, /many/],
      [await recognize(app, Buffer.from("x"), { topk: "3" }), /only the fields/, /"topk"/],
      [await recognize(app, Buffer.from("x"), { region: "1,2,3" }), /"region" of the query/, /1,2,3/],
      [await request(app, "POST", "/v1/galleries", {}), /"name" of the body to be there/, /nothing/],
      [await request(app, "POST", "/v1/galleries", { name: "../x" }), /"name" of the body/, /\.\.\/x/],
      [await request(app, "POST", "/v1/galleries", { name: "a", nmae: 1 }), /only the fields/, /"nmae"/],
      [
        await request(app, "GET", "/v1/galleries/%2e%2e%2fetc/classes"),
        /"gallery" of the address/,
        /\.\.\/etc/,
      ],
      [await request(app, "POST", `${gallery}/rollback`, { to: -1 }), /"to" of the body/, /-1/],
      [await request(app, "POST", `${gallery}/merge`, { from: [], into: "a" }), /"from" of the body/, /\[\]/],
      [await request(app, "DELETE", `${gallery}/samples`), /"id" of the query to be there/, /nothing/],
      [await request(app, "GET", `${gallery}/revisions/a/diff/2`), /"from" of the address/, /a/],
    ];
    for (const [reply, expected, got] of cases) {
      const error = errorOf(reply);
      expect(error.code).toBe("INVALID_ARGUMENT");
      expect(error.expected).toMatch(expected);
      expect(error.got).toMatch(got);
    }
  });

  it("with broken, empty or poisoned JSON are refused", async () => {
    const { app } = server;
    for (const payload of [
      "{",
      "",
      '{"__proto__": {"name": "x"}}',
      '{"constructor": {"prototype": {"a": 1}}}',
      "null",
    ]) {
      const error = errorOf(
        await app.inject({
          method: "POST",
          url: "/v1/galleries",
          headers: { "content-type": "application/json" },
          payload,
        }),
      );
      expect(error.code).toBe("INVALID_ARGUMENT");
    }
    expect(({} as Record<string, unknown>).name).toBeUndefined();
  });

  it("to no route, or with another method, are told so", async () => {
    const { app } = server;
    for (const [method, url] of [
      ["GET", "/"],
      ["GET", "/v2/galleries"],
      ["PUT", "/v1/galleries"],
      ["GET", "/v1/galleries/../../etc/passwd"],
      ["GET", "/docs/static/..%2f..%2fpackage.json"],
      ["POST", "/v1/galleries/line-1/classes/a/b/samples"],
    ] as const) {
      const error = errorOf(await request(app, method, url));
      expect(error.code).toBe("ROUTE_NOT_FOUND");
      expect(error.got).toContain(method);
    }
    const malformed = errorOf(await request(app, "GET", "/v1/galleries/%zz"));
    expect(malformed).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(malformed.expected).toContain("percent-encoding");
  });

  it("with a class name that is none are refused", async () => {
    const { app } = server;
    for (const label of ["a".repeat(10_000), "a".repeat(201), "line\nbreak", "   ", "right\u202eleft"]) {
      const error = errorOf(await enroll(app, label, await picture(red)));
      expect(error.code).toBe("LABEL_INVALID");
      expect(error.message.length).toBeLessThan(400);
    }
    await enroll(app, "red", await picture(red));
    const renamed = errorOf(
      await request(app, "PATCH", `${gallery}/classes/red`, { label: "x".repeat(10_000) }),
    );
    expect(renamed.code).toBe("LABEL_INVALID");
  });

  it("to what is not there get 404", async () => {
    const { app } = server;
    const cases: [LightMyRequestResponse, string][] = [
      [await recognize(app, await picture(red), {}, "line-9"), "GALLERY_NOT_FOUND"],
      [await enroll(app, "red", await picture(red), {}, "line-9"), "GALLERY_NOT_FOUND"],
      [await request(app, "GET", "/v1/galleries/line-9"), "GALLERY_NOT_FOUND"],
      [await request(app, "GET", "/v1/galleries/line-9/classes"), "GALLERY_NOT_FOUND"],
      [await request(app, "GET", "/v1/galleries/line-9/samples"), "GALLERY_NOT_FOUND"],
      [await request(app, "GET", "/v1/galleries/line-9/revisions"), "GALLERY_NOT_FOUND"],
      [await request(app, "DELETE", "/v1/galleries/line-9"), "GALLERY_NOT_FOUND"],
      [await request(app, "GET", `${gallery}/revisions/0/diff/9`), "REVISION_NOT_FOUND"],
      [await request(app, "GET", `${gallery}/samples?revision=9`), "REVISION_NOT_FOUND"],
      [await request(app, "PATCH", `${gallery}/classes/no`, { label: "x" }), "CLASS_NOT_FOUND"],
    ];
    for (const [reply, code] of cases) {
      expect(errorOf(reply).code).toBe(code);
    }
    expect((await server.store.galleries()).map(({ name }) => name)).toEqual(["line-1"]);
  });
});

describe("multipart bodies that are wrong", () => {
  const post = (payload: Buffer | string, type = "multipart/form-data; boundary=B") =>
    server.app.inject({
      method: "POST",
      url: `${gallery}/classes/red/samples`,
      headers: { "content-type": type },
      payload,
    });

  it("are named for what they are", async () => {
    const field = '--B\r\ncontent-disposition: form-data; name="image"\r\n\r\npart.jpg\r\n--B--\r\n';
    expect(errorOf(await post(field))).toMatchObject({
      code: "INVALID_ARGUMENT",
      got: 'the text field "image"',
    });
    expect(errorOf(await post("--B--\r\n")).expected).toContain("at least one file");
    expect(errorOf(await post("")).expected).toContain("at least one file");
    expect(errorOf(await post("x", "multipart/form-data")).code).toBe("INVALID_ARGUMENT");
    const half = '--B\r\ncontent-disposition: form-data; name="image"; filename="a.jpg"\r\n\r\nhalf';
    expect(errorOf(await post(half)).code).toBe("INVALID_ARGUMENT");
    const proto =
      '--B\r\ncontent-disposition: form-data; name="__proto__"; filename="a"\r\n\r\nx\r\n--B--\r\n';
    expect(errorOf(await post(proto)).code).toBe("INVALID_ARGUMENT");
    expect((await server.store.gallery("line-1")).head.number).toBe(0);
  });

  it("keep the good files beside one that is too large", async () => {
    const reply = await server.app.inject({
      method: "POST",
      url: `${gallery}/classes/red/samples`,
      ...multipart([
        { name: "large.jpg", bytes: Buffer.alloc(300_000) },
        { name: "good.jpg", bytes: await picture(red) },
      ]),
    });
    expect(reply.statusCode).toBe(201);
    expect(reply.json()).toMatchObject({
      added: [{ origin: "good.jpg" }],
      rejected: [{ origin: "large.jpg", code: "IMAGE_TOO_LARGE" }],
    });
  });

  it("take names of files as text, never as paths", async () => {
    const reply = await server.app.inject({
      method: "POST",
      url: `${gallery}/classes/red/samples`,
      ...multipart([{ name: "../../../etc/passwd", bytes: await picture(red) }]),
    });
    expect(reply.statusCode).toBe(201);
    expect(reply.json().added[0].origin).toMatch(/passwd$/);
  });
});

describe("limits", () => {
  it("hold for one image, one request, and the number of files", async () => {
    const { app } = server;
    const raw = errorOf(await recognize(app, Buffer.alloc(200_001)));
    expect(raw.code).toBe("BODY_TOO_LARGE");
    const post = (files: Parameters<typeof multipart>[0]) =>
      app.inject({ method: "POST", url: `${gallery}/recognize`, ...multipart(files) });
    const large = Array.from({ length: 3 }, (_, i) => ({ name: `${i}.jpg`, bytes: Buffer.alloc(190_000) }));
    const whole = errorOf(await post(large));
    expect(whole).toMatchObject({ code: "BODY_TOO_LARGE", expected: "at most 500000 bytes in one request" });
    const many = Array.from({ length: 5 }, (_, i) => ({ name: `${i}.jpg`, bytes: Buffer.from("x") }));
    expect(errorOf(await post(many))).toMatchObject({
      code: "BODY_TOO_LARGE",
      expected: "fewer files in one request",
    });
    const json = errorOf(await request(app, "POST", "/v1/galleries", { name: "x".repeat(2 ** 20) }));
    expect(json.code).toBe("BODY_TOO_LARGE");
  });

  it("are checked when the server is built", async () => {
    await expect(testServer({ limits: { files: 0 } })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      expected: "a whole number of at least 1 as limit files",
    });
  });

  it("answer 429 with Retry-After to too many requests, but never to a probe", async () => {
    const { app, close } = await testServer({ limits: { requestsPerMinute: 3 } });
    for (let i = 0; i < 3; i++) expect((await request(app, "GET", "/v1/galleries")).statusCode).toBe(200);
    const reply = await request(app, "GET", "/v1/galleries");
    expect(errorOf(reply)).toMatchObject({
      code: "TOO_MANY_REQUESTS",
      expected: "at most 3 requests a minute",
    });
    expect(Number(reply.headers["retry-after"])).toBeGreaterThan(0);
    expect((await request(app, "GET", "/livez")).statusCode).toBe(200);
    await close();
  });

  it("answer 503 when too many recognitions wait, and take more when they are done", async () => {
    const { app, encoder, close } = await testServer({ limits: { recognitions: 2 } });
    await enrollColors(app);
    encoder.delay = 150;
    const image = await picture(red, 4);
    const replies = await Promise.all(Array.from({ length: 5 }, () => recognize(app, image)));
    const refused = replies.filter(({ statusCode }) => statusCode === 503);
    expect(replies.filter(({ statusCode }) => statusCode === 200)).toHaveLength(2);
    expect(refused).toHaveLength(3);
    expect(errorOf(refused[0]!)).toMatchObject({ code: "OVERLOADED", got: "one more" });
    expect(refused[0]!.headers["retry-after"]).toBe("1");
    expect((await recognize(app, image)).statusCode).toBe(200);
    await close();
  });

  it("answer 503 to a recognition that takes too long, and the next one is answered", async () => {
    const { app, encoder, close } = await testServer({ limits: { recognizeMs: 500 } });
    await enrollColors(app);
    encoder.delay = 1500;
    const reply = await recognize(app, await picture(red, 4));
    expect(errorOf(reply)).toMatchObject({ code: "TIMED_OUT", expected: "an answer within 500 ms" });
    expect(reply.headers["retry-after"]).toBe("1");
    encoder.delay = 0;
    const image = await picture(red, 4);
    await expect
      .poll(async () => (await recognize(app, image)).json().label, { timeout: 10_000 })
      .toBe("red");
    await close();
  });
});

describe("what nobody expected", () => {
  it("becomes INTERNAL with the request's id; the reason goes to the log alone", async () => {
    const lines: string[] = [];
    const { app, store, close } = await testServer({
      logger: { stream: { write: (line: string) => lines.push(line) } },
    });
    store.history = async () => {
      throw new TypeError("secret detail");
    };
    const reply = await request(app, "GET", `${gallery}/revisions`);
    const error = errorOf(reply);
    expect(error.code).toBe("INTERNAL");
    expect(reply.payload).not.toContain("secret");
    const logged = lines.map((line) => JSON.parse(line)).find(({ msg }) => msg === "unexpected error");
    expect(logged.err.message).toBe("secret detail");
    expect(error.got).toContain(logged.reqId);
    await close();
  });
});
