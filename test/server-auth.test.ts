import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createApiKey, hashApiKey, listen } from "../src/server/index.ts";
import { createKeyring } from "../src/server/keys.ts";
import { highestRole, roleFor, roles, scopesOf } from "../src/server/roles.ts";
import { type ApiScope, apiScopes } from "../src/store/index.ts";
import { newKey, picture, red, type TestServer, testServer } from "./server-help.ts";

let server: TestServer;
const gallery = "/v1/galleries/line-1";

beforeEach(async () => {
  server = await testServer();
});
afterEach(() => server.close());

describe("keys", () => {
  it("open what their scopes name, and nothing else", async () => {
    const { app, store } = server;
    const image = await picture(red);
    const attempts: Record<ApiScope, () => object> = {
      recognize: () => ({
        method: "POST",
        url: `${gallery}/recognize`,
        headers: { "content-type": "image/jpeg" },
        payload: image,
      }),
      read: () => ({ method: "GET", url: `${gallery}/classes` }),
      enroll: () => ({
        method: "POST",
        url: `${gallery}/classes/red/samples`,
        headers: { "content-type": "image/jpeg" },
        payload: image,
      }),
      edit: () => ({ method: "POST", url: "/v1/galleries", payload: { name: "line-2" } }),
      admin: () => ({ method: "DELETE", url: "/v1/galleries/line-2" }),
    };
    const scopes = Object.keys(attempts) as ApiScope[];
    const keys = new Map<ApiScope, string>();
    for (const held of scopes) keys.set(held, await newKey(store, `key for ${held}`, [held]));
    for (const [held, key] of keys) {
      for (const scope of scopes) {
        const options = attempts[scope]() as { headers?: Record<string, string> };
        const reply = await app.inject({
          ...options,
          headers: { ...options.headers, authorization: `Bearer ${key}` },
        });
        if (held === scope || held === "admin") expect(reply.statusCode).not.toBe(403);
        else {
          expect(reply.statusCode).toBe(403);
          expect(reply.json().error).toMatchObject({
            code: "FORBIDDEN",
            expected: `a key with the scope ${scope}`,
            got: `the key "key for ${held}" with ${held}`,
          });
        }
        expect(reply.statusCode).not.toBe(401);
      }
    }
  });

  it("are taken from either header, and their name is recorded with a change", async () => {
    const { app, store } = server;
    const key = await newKey(store, "camera 7", ["enroll"]);
    for (const headers of [{ authorization: `bearer ${key}` }, { "x-api-key": key }]) {
      const reply = await app.inject({
        method: "POST",
        url: `${gallery}/classes/red/samples`,
        headers: { "content-type": "image/jpeg", ...headers },
        payload: await picture(red),
      });
      expect([200, 201]).toContain(reply.statusCode);
    }
    expect((await store.history("line-1"))[0]).toMatchObject({ number: 1, who: "camera 7" });
  });

  it("that are missing or wrong get 401, before the body is read", async () => {
    const { app, store } = server;
    const key = await newKey(store, "somebody", ["admin"]);
    const wrong = `${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}`;
    for (const [headers, got] of [
      [{}, "none"],
      [{ authorization: `Bearer ${wrong}` }, "one that the server does not know"],
      [{ authorization: "Basic dXNlcjpwYXNz" }, "none"],
      [{ "x-api-key": "" }, "one that the server does not know"],
    ] as const) {
      const reply = await app.inject({
        method: "POST",
        url: `${gallery}/recognize`,
        headers: { "content-type": "image/jpeg", ...headers },
        payload: Buffer.alloc(40 * 2 ** 20),
      });
      expect(reply.statusCode).toBe(401);
      expect(reply.headers["www-authenticate"]).toBe("Bearer");
      expect(reply.json().error).toMatchObject({ code: "UNAUTHORIZED", got });
    }
  });

  it("stop working within a second of their removal", async () => {
    const { app, store } = server;
    await newKey(store, "keeper", ["admin"]);
    const { key, record } = createApiKey({ name: "leaver", scopes: ["read"] });
    await store.putApiKey(record);
    const ask = () => app.inject({ url: "/v1/galleries", headers: { "x-api-key": key } });
    expect((await ask()).statusCode).toBe(200);
    await store.removeApiKey(record.id);
    await expect.poll(async () => (await ask()).statusCode, { timeout: 5000 }).toBe(401);
  });

  it("that the store last named go on working while it does not answer, and no others", async () => {
    const { app, store } = server;
    const key = await newKey(store, "camera", ["recognize", "enroll"]);
    const post = (url: string, used: string, payload: Buffer) =>
      app.inject({
        method: "POST",
        url,
        headers: { "content-type": "image/jpeg", "x-api-key": used },
        payload,
      });
    const image = await picture(red);
    await expect
      .poll(async () => (await post(`${gallery}/classes/red/samples`, key, image)).statusCode, {
        timeout: 5000,
      })
      .toBe(201);
    store.apiKeys =
      store.galleries =
      store.gallery =
        async () => {
          throw new Error("connection refused");
        };
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await post(`${gallery}/recognize`, key, image)).statusCode).toBe(200);
    expect((await post(`${gallery}/recognize`, "protoline_wrong", image)).statusCode).toBe(401);
  });

  it("stop too when the store has not answered for longer", async () => {
    let down = false;
    const store = {
      apiKeys: async () => {
        if (down) throw new Error("connection refused");
        return [];
      },
    };
    const keyring = createKeyring(store, { freshMs: 0, staleMs: 100 });
    expect(await keyring.inUse()).toBe(false);
    down = true;
    expect(await keyring.inUse()).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 120));
    await expect(keyring.inUse()).rejects.toThrow("connection refused");
  });

  it("count requests each for itself", async () => {
    const { app, store, close } = await testServer({ limits: { requestsPerMinute: 2 } });
    const keys = [await newKey(store, "a", ["read"]), await newKey(store, "b", ["read"])];
    const ask = (key: string) => app.inject({ url: "/v1/galleries", headers: { "x-api-key": key } });
    for (const key of keys) {
      expect((await ask(key)).statusCode).toBe(200);
      expect((await ask(key)).statusCode).toBe(200);
      expect((await ask(key)).statusCode).toBe(429);
    }
    await close();
  });

  it("name a scope for every route, or that it is open; so each has the least role that may use it", async () => {
    const undeclared: string[] = [];
    const least = new Map<string, string>();
    const { app, close } = await testServer();
    app.addHook("onRoute", ({ method, url, config }) => {
      // The page of the description is swagger-ui's own.
      if (url.startsWith("/docs")) return;
      const scope = config?.scope;
      for (const one of [method].flat())
        if (scope === undefined) undeclared.push(`${one} ${url}`);
        else least.set(`${one} ${url}`, scope === null ? "open" : roleFor(scope));
    });
    await app.ready();
    expect(undeclared).toEqual([]);
    expect(Object.fromEntries(least)).toMatchObject({
      "GET /readyz": "open",
      "GET /v1/galleries": "viewer",
      "POST /v1/galleries/:gallery/recognize": "operator",
      "POST /v1/galleries/:gallery/classes/:label/samples": "engineer",
      "PATCH /v1/galleries/:gallery/classes/:label": "engineer",
      "POST /v1/galleries/:gallery/publish": "engineer",
      "POST /v1/galleries/:gallery/rollback": "engineer",
      "DELETE /v1/galleries/:gallery": "admin",
    });
    expect(least.size).toBeGreaterThan(20);
    await close();
  });

  it("guard every route but health, version and description", async () => {
    const routes: { method: string; url: string }[] = [];
    const { app, store, close } = await testServer();
    app.addHook("onRoute", ({ method, url }) => {
      for (const one of [method].flat()) routes.push({ method: one, url });
    });
    await newKey(store, "a", ["admin"]);
    await app.ready();
    const open = new Set<string>();
    for (const { method, url } of routes) {
      const path = url
        .replace(/:(from|to)/g, "0")
        .replace(/:\w+/g, "x")
        .replace("*", "x");
      const reply = await app.inject({ method: method as "GET", url: path });
      if (reply.statusCode !== 401) open.add(url);
    }
    expect([...open].filter((url) => !url.startsWith("/docs")).sort()).toEqual([
      "/livez",
      "/openapi.json",
      "/readyz",
      "/v1/version",
      "/v2/health/live",
      "/v2/health/ready",
    ]);
    await close();
  });
});

describe("without keys", () => {
  it("this machine alone is served", async () => {
    const { app } = server;
    const ask = (options: object) => app.inject({ url: "/v1/galleries", ...options });
    expect((await ask({ headers: { host: "localhost:8080" } })).statusCode).toBe(200);
    expect((await ask({ headers: { host: "127.0.0.1:8080" } })).statusCode).toBe(200);
    expect((await ask({ headers: { host: "[::1]:8080" }, remoteAddress: "::1" })).statusCode).toBe(200);

    const elsewhere = await ask({ remoteAddress: "192.168.1.20" });
    expect(elsewhere.statusCode).toBe(401);
    expect(elsewhere.json().error.got).toBe('one from "192.168.1.20"');
    const proxied = await ask({ headers: { host: "localhost", "x-forwarded-for": "10.0.0.9" } });
    expect(proxied.statusCode).toBe(401);
    expect(proxied.json().error.got).toBe("one through a proxy");
  });

  it("a web page elsewhere cannot reach it by DNS rebinding or a form", async () => {
    const { app } = server;
    for (const headers of [
      { host: "evil.example" },
      { host: "127.0.0.1.evil.example" },
      { host: "localhost.evil.example:8080" },
      { host: "localhost", origin: "https://evil.example" },
      { host: "localhost", origin: "null" },
    ]) {
      const reply = await app.inject({ url: "/v1/galleries", headers });
      expect(reply.statusCode).toBe(403);
      expect(reply.json().error).toMatchObject({
        code: "FORBIDDEN",
        todo: expect.stringContaining("localhost"),
      });
    }
    const own = { host: "localhost:8080", origin: "http://localhost:8080" };
    expect((await app.inject({ url: "/v1/galleries", headers: own })).statusCode).toBe(200);
  });

  it("listening elsewhere is refused; with a key it is not", async () => {
    const { app, store } = server;
    for (const host of ["0.0.0.0", "::", "192.168.1.20", "factory.example"])
      await expect(listen(app, { host, port: 0 })).rejects.toMatchObject({
        code: "UNAUTHORIZED",
        expected: expect.stringContaining(host),
      });
    await newKey(store, "a", ["read"]);
    await expect.poll(() => app.keyring.inUse(), { timeout: 5000 }).toBe(true);
    expect(await listen(app, { host: "0.0.0.0", port: 0 })).toMatch(/^http:\/\/.*:\d+$/);
  });
});

describe("roles", () => {
  it("include those below them, and every scope belongs to one", () => {
    for (const [i, role] of roles.entries())
      for (const below of roles.slice(0, i))
        expect(scopesOf[role]).toEqual(expect.arrayContaining([...scopesOf[below]]));
    expect([...scopesOf.admin].sort()).toEqual([...apiScopes].sort());
    for (const scope of apiScopes) expect(scopesOf[roleFor(scope)]).toContain(scope);
  });

  it("are found in any list of names, the highest first", () => {
    expect(highestRole(["offline_access", "Viewer", "engineer"])).toBe("engineer");
    expect(highestRole(["administrator", ""])).toBeNull();
  });
});

describe("createApiKey", () => {
  it("makes keys of 256 random bits, and keeps their hash alone", () => {
    const one = createApiKey({ name: "camera", scopes: ["recognize", "recognize"] });
    const two = createApiKey({ name: "camera", scopes: ["recognize"] });
    expect(one.key).toMatch(/^protoline_[A-Za-z0-9_-]{43}$/);
    expect(one.key).not.toBe(two.key);
    expect(one.record).toMatchObject({ name: "camera", scopes: ["recognize"], hash: hashApiKey(one.key) });
    expect(JSON.stringify(one.record)).not.toContain(one.key.slice(10));
  });

  it("refuses a name or a scope that is none", () => {
    expect(() => createApiKey({ name: "", scopes: ["read"] })).toThrow(/1 to 64 characters/);
    expect(() => createApiKey({ name: "a\nb", scopes: ["read"] })).toThrow(/1 to 64 characters/);
    expect(() => createApiKey({ name: "a", scopes: [] })).toThrow(/one or more of the scopes/);
    expect(() => createApiKey({ name: "a", scopes: ["root" as "admin"] })).toThrow(/"root"/);
  });
});
