import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resolveLimits } from "../src/server/limits.ts";
import { type TestServer, testServer } from "./server-help.ts";

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly object[];
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: object }[];
  readonly requestBody?: { content: Record<string, { schema: object }> };
  readonly responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}
interface Document {
  readonly openapi: string;
  readonly info: { title: string; version: string };
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { securitySchemes: object };
}

const guide = readFileSync(new URL("../docs/http-api.md", import.meta.url), "utf8");
let server: TestServer;
let document: Document;
const routes: string[] = [];

beforeAll(async () => {
  server = await testServer();
  server.app.addHook("onRoute", ({ method, url }) => {
    for (const one of [method].flat()) routes.push(`${one} ${url}`);
  });
  document = (await server.app.inject({ url: "/openapi.json" })).json();
});
afterAll(() => server.close());

const operations = (): [path: string, method: string, Operation][] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [
      path,
      method,
      operation,
    ]),
  );

describe("/openapi.json", () => {
  it("is OpenAPI 3.1 and describes every route", () => {
    expect(document.openapi).toBe("3.1.0");
    expect(document.info).toMatchObject({ title: "Protoline", version: "0.0.0-test" });
    const described = operations().map(([path, method]) => `${method.toUpperCase()} ${path}`);
    const served = routes
      .filter((route) => !/^(HEAD|OPTIONS) | \/docs|openapi\.json/.test(route))
      .map((route) => route.replace(/:(\w+)/g, "{$1}"));
    expect(described.sort()).toEqual(served.sort());
    expect(described.length).toBeGreaterThan(20);
  });

  it("has for each operation a summary, its parameters, its replies, and the error", () => {
    for (const [path, method, operation] of operations()) {
      const where = `${method} ${path}`;
      expect(operation.summary, where).toMatch(/^[A-Z]/);
      expect(operation.tags, where).toHaveLength(1);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const declared = (operation.parameters ?? []).filter((it) => it.in === "path");
      expect(declared.map(({ name }) => name).sort(), where).toEqual(inPath.sort());
      expect(
        declared.every(({ required }) => required),
        where,
      ).toBe(true);
      expect(
        Object.keys(operation.responses).some((status) => /^(101|2\d\d)$/.test(status)),
        where,
      ).toBe(true);
      for (const reply of Object.values(operation.responses))
        expect(typeof reply.description, where).toBe("string");
      const error = operation.responses.default?.content?.["application/json"]?.schema;
      // The Open Inference Protocol has errors of its own.
      if (path.startsWith("/v2"))
        expect(error, where).toMatchObject({ properties: { error: { type: "string" } } });
      else
        expect(error, where).toMatchObject({
          properties: { error: { required: expect.arrayContaining(["code"]) } },
        });
      const open = ["/livez", "/readyz", "/v1/version", "/v2/health/live", "/v2/health/ready"].includes(path);
      expect(operation.security !== undefined, where).toBe(!open);
    }
  });

  it("describes images as bytes and as multipart", () => {
    const body = document.paths["/v1/galleries/{gallery}/recognize"]!.post!.requestBody!;
    expect(Object.keys(body.content)).toEqual(
      expect.arrayContaining(["image/jpeg", "image/png", "application/octet-stream", "multipart/form-data"]),
    );
  });

  it("is what docs/http-api.md tells, with the scopes", () => {
    const told = [...guide.matchAll(/^\| `([A-Z]+) (\S+)` \| (\w+) \|/gm)].map(
      ([, method, path, scope]) => `${method} ${path} ${scope}`,
    );
    const described = operations().map(([path, method, { description = "" }]) => {
      const scope = /scope `(\w+)`/.exec(description)?.[1] ?? "none";
      return `${method.toUpperCase()} ${path} ${scope}`;
    });
    expect(told.sort()).toEqual(described.sort());
  });

  it("has its limits told there too", () => {
    for (const name of Object.keys(resolveLimits())) expect(guide, name).toContain(`\`${name}\``);
  });

  it("has no reference that leads nowhere", () => {
    const text = JSON.stringify(document);
    for (const [, pointer] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const target = pointer!
        .split("/")
        .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], document);
      expect(target, pointer).toBeDefined();
    }
  });
});

describe("/docs", () => {
  it("is a page of the server's own files under a strict policy", async () => {
    const { app } = server;
    const page = await app.inject({ url: "/docs/" });
    expect(page.statusCode).toBe(200);
    expect(page.headers["content-security-policy"]).toContain("script-src 'self';");
    const sources = [...page.payload.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address!);
    expect(sources.length).toBeGreaterThan(3);
    expect(page.payload).not.toMatch(/<script(?! src)/);
    for (const source of sources) {
      expect(source).not.toMatch(/^(https?:)?\/\//);
      const file = await app.inject({ url: new URL(source, "http://localhost/docs/").pathname });
      expect(file.statusCode, source).toBe(200);
    }
    expect((await app.inject({ url: "/docs/json" })).json()).toMatchObject({ openapi: "3.1.0" });
  });
});

describe("headers", () => {
  it("are set on every reply, and no other site is let in", async () => {
    for (const url of ["/livez", "/v1/galleries", "/nowhere"]) {
      const { headers } = await server.app.inject({ url, headers: { origin: "http://localhost:1" } });
      expect(headers["x-content-type-options"]).toBe("nosniff");
      expect(headers["content-security-policy"]).toBe("default-src 'none';frame-ancestors 'none'");
      expect(headers["access-control-allow-origin"]).toBeUndefined();
      expect(headers["x-powered-by"]).toBeUndefined();
    }
  });
});
