import { createHmac } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { listen } from "../src/server/index.ts";
import type { OidcOptions } from "../src/server/oidc.ts";
import { newKey, type TestServer, testServer } from "./server-help.ts";

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;

/** A small issuer: discovery and keys, on a free port. */
const published = new Map<string, Pair["publicKey"]>();
let reads = 0;
let answers = true;
let claimedIssuer: string | null = null;
let http: Server;
let issuer: string;
let first: Pair;
let server: TestServer;

beforeAll(async () => {
  http = createServer(async (request, reply) => {
    if (!answers) {
      reply.statusCode = 503;
      return reply.end();
    }
    reply.setHeader("content-type", "application/json");
    if (request.url === "/.well-known/openid-configuration")
      return reply.end(JSON.stringify({ issuer: claimedIssuer ?? issuer, jwks_uri: `${issuer}/keys` }));
    reads++;
    const keys = await Promise.all(
      [...published].map(async ([kid, key]) => ({ ...(await exportJWK(key)), kid, use: "sig" })),
    );
    return reply.end(JSON.stringify({ keys }));
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  first = await generateKeyPair("RS256", { extractable: true });
});
afterAll(() => new Promise((resolve) => http.close(resolve)));

beforeEach(() => {
  published.clear();
  published.set("one", first.publicKey);
  reads = 0;
  answers = true;
  claimedIssuer = null;
});
afterEach(() => server.close());

const start = async (oidc: Partial<OidcOptions> = {}): Promise<void> => {
  server = await testServer({ oidc: { issuer, audience: "protoline", cooldownS: 0, ...oidc } });
};

const now = (): number => Math.floor(Date.now() / 1000);

function sign(
  claims: JWTPayload = {},
  {
    key = first.privateKey,
    kid = "one",
    alg = "RS256",
  }: { key?: Pair["privateKey"]; kid?: string; alg?: string } = {},
): Promise<string> {
  const payload = {
    iss: issuer,
    aud: "protoline",
    sub: "u-1",
    exp: now() + 300,
    role: "engineer",
    ...claims,
  };
  return new SignJWT(payload).setProtectedHeader({ alg, kid }).sign(key);
}

const ask = (
  token: string,
  url = "/v1/galleries",
  method: "GET" | "POST" | "DELETE" = "GET",
  payload?: object,
) =>
  server.app.inject({
    method,
    url,
    headers: { authorization: `Bearer ${token}` },
    ...(payload && { payload }),
  });

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("a token", () => {
  it("opens what its role names, and its holder is recorded with a change", async () => {
    await start();
    const statuses = async (role: string) => {
      const token = await sign({ role, preferred_username: "mei" });
      return [
        (await ask(token)).statusCode,
        (await ask(token, "/v1/galleries/line-1/recognize", "POST")).statusCode,
        (await ask(token, "/v1/galleries/line-1/publish", "POST")).statusCode,
        (await ask(token, "/v1/galleries/none", "DELETE")).statusCode,
      ];
    };
    // 415 and 404: let through to the route, which misses a body or a gallery.
    expect(await statuses("viewer")).toEqual([200, 403, 403, 403]);
    expect(await statuses("operator")).toEqual([200, 415, 403, 403]);
    expect(await statuses("engineer")).toEqual([200, 415, 200, 403]);
    expect(await statuses("admin")).toEqual([200, 415, 200, 404]);
    const made = await ask(await sign({ preferred_username: "mei" }), "/v1/galleries", "POST", {
      name: "line-7",
    });
    expect(made.json().head.who).toBe("mei");
  });

  it("without a role that is known is answered 403, which says what is missing", async () => {
    await start({ roleClaim: "realm_access.roles" });
    expect((await ask(await sign({ realm_access: { roles: ["x", "viewer"] } }))).statusCode).toBe(200);
    const none = await ask(await sign({ realm_access: { roles: ["x"] } }));
    expect(none.json().error).toMatchObject({ code: "FORBIDDEN", expected: "the role viewer or above" });
    expect(none.json().error.got).toContain("realm_access.roles");
  });

  it("that is forged, of another or out of its time is refused with 401 that says why", async () => {
    await start();
    const other = await generateKeyPair("RS256");
    const good = await sign();
    const [header, payload, signature] = good.split(".") as [string, string, string];
    const publicPem = await exportSPKI(first.publicKey);
    const confused = `${base64url({ alg: "HS256", kid: "one" })}.${payload}`;
    const mac = createHmac("sha256", publicPem).update(confused).digest("base64url");
    const raised = base64url({ ...JSON.parse(Buffer.from(payload, "base64url").toString()), role: "admin" });
    const cases: [name: string, token: string, got: RegExp][] = [
      ["signed by another key", await sign({}, { key: other.privateKey }), /signature is wrong/],
      [
        "of an unknown key",
        await sign({}, { key: other.privateKey, kid: "two" }),
        /key that the issuer does not name/,
      ],
      ["with a claim changed", `${header}.${raised}.${signature}`, /signature is wrong/],
      ["without a signature", `${header}.${payload}.`, /signature is wrong|malformed/],
      ["expired", await sign({ exp: now() - 60 }), /expired/],
      ["not valid yet", await sign({ nbf: now() + 120 }), /not valid yet/],
      ["for another audience", await sign({ aud: "another" }), /"aud"/],
      ["of another issuer", await sign({ iss: "https://evil.example" }), /"iss"/],
      ["without an end", await sign({ exp: undefined }), /"exp"/],
      ["without a subject", await sign({ sub: undefined }), /"sub"/],
      ["alg none", `${base64url({ alg: "none", kid: "one" })}.${payload}.`, /algorithm that is not allowed/],
      ["alg none with a signature", `${base64url({ alg: "none" })}.${payload}.${signature}`, /not allowed/],
      ["HMAC with the public key", `${confused}.${mac}`, /algorithm that is not allowed/],
      ["no JSON inside", "YWJj.YWJj.YWJj", /malformed/],
      [
        "with the key in its header",
        await new SignJWT({ iss: issuer, aud: "protoline", sub: "u", exp: now() + 60, role: "admin" })
          .setProtectedHeader({
            alg: "RS256",
            jwk: await exportJWK(other.publicKey),
            jku: "http://169.254.169.254/",
          })
          .sign(other.privateKey),
        /signature is wrong/,
      ],
    ];
    for (const [name, token, got] of cases) {
      const reply = await ask(token);
      expect(reply.statusCode, name).toBe(401);
      const { error } = reply.json();
      expect(error.code, name).toBe("TOKEN_INVALID");
      expect(error.got, name).toMatch(got);
      expect(reply.headers["www-authenticate"], name).toBe('Bearer error="invalid_token"');
      expect(reply.payload).not.toContain(token.split(".")[2] || "never");
    }
    expect((await ask(good)).statusCode).toBe(200);
  });

  it("is given the tolerance of clocks and no more", async () => {
    await start({ toleranceS: 10 });
    expect((await ask(await sign({ exp: now() - 5 }))).statusCode).toBe(200);
    expect((await ask(await sign({ nbf: now() + 5 }))).statusCode).toBe(200);
    expect((await ask(await sign({ exp: now() - 15 }))).statusCode).toBe(401);
  });

  it("of any public-key algorithm is taken", async () => {
    await start();
    for (const alg of ["PS256", "ES256", "EdDSA"]) {
      const pair = await generateKeyPair(alg, { extractable: true });
      published.set(alg, pair.publicKey);
      expect((await ask(await sign({}, { key: pair.privateKey, kid: alg, alg }))).statusCode, alg).toBe(200);
    }
  });
});

describe("the issuer's keys", () => {
  it("are kept, and read again when a token names one that is not among them", async () => {
    await start({ cooldownS: 0 });
    for (let i = 0; i < 5; i++) expect((await ask(await sign())).statusCode).toBe(200);
    expect(reads).toBe(1);
    const second = await generateKeyPair("ES256", { extractable: true });
    published.delete("one");
    published.set("two", second.publicKey);
    const token = await sign({}, { key: second.privateKey, kid: "two", alg: "ES256" });
    expect((await ask(token)).statusCode).toBe(200);
    expect(reads).toBe(2);
    // Withdrawn: refused as soon as the keys were read without it.
    expect((await ask(await sign())).json().error.code).toBe("TOKEN_INVALID");
  });

  it("are not read again for each of many unknown key ids", async () => {
    await start({ cooldownS: 30 });
    const stranger = await generateKeyPair("RS256");
    for (let i = 0; i < 20; i++)
      expect((await ask(await sign({}, { key: stranger.privateKey, kid: `k${i}` }))).statusCode).toBe(401);
    expect(reads).toBeLessThanOrEqual(2);
  });

  it("that cannot be read are said to be so with 503, and the next token tries again", async () => {
    await start();
    answers = false;
    const reply = await ask(await sign());
    expect(reply.statusCode).toBe(503);
    expect(reply.json().error.code).toBe("ISSUER_UNAVAILABLE");
    answers = true;
    expect((await ask(await sign())).statusCode).toBe(200);
  });

  it("are not asked for again at once by each of many tokens while the issuer is down", async () => {
    await start({ cooldownS: 30 });
    answers = false;
    expect((await ask(await sign())).statusCode).toBe(503);
    answers = true;
    for (let i = 0; i < 5; i++)
      expect((await ask(await sign())).json().error.code).toBe("ISSUER_UNAVAILABLE");
    expect(reads).toBe(0);
  });

  it("are not taken from a configuration of another issuer", async () => {
    await start();
    claimedIssuer = "https://evil.example";
    expect((await ask(await sign())).json().error).toMatchObject({
      code: "ISSUER_UNAVAILABLE",
      got: expect.stringContaining("another issuer"),
    });
  });
});

describe("beside keys", () => {
  it("API keys go on working, and without either nothing is open, not even on this machine", async () => {
    await start();
    expect((await server.app.inject({ url: "/v1/galleries" })).statusCode).toBe(401);
    const key = await newKey(server.store, "camera", ["read"]);
    await expect.poll(async () => (await ask(key)).statusCode, { timeout: 5000 }).toBe(200);
    expect((await ask("protoline_wrong")).json().error.code).toBe("UNAUTHORIZED");
  });

  it("a server with an issuer may listen for others without a key", async () => {
    await start();
    expect(await listen(server.app, { host: "0.0.0.0", port: 0 })).toMatch(/:\d+$/);
  });

  it("wrong tokens count against the limit of their address", async () => {
    server = await testServer({ oidc: { issuer, audience: "protoline" }, limits: { requestsPerMinute: 3 } });
    const statuses: number[] = [];
    for (let i = 0; i < 5; i++) statuses.push((await ask("YWJj.YWJj.YWJj")).statusCode);
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
  });

  it("the settings are checked at the start", async () => {
    await start();
    for (const oidc of [
      { issuer: "http://login.example.com", audience: "a" },
      { issuer: "login", audience: "a" },
      { issuer: "file:///etc/passwd", audience: "a" },
      { issuer, audience: "" },
      { issuer, audience: "a", jwks: "http://169.254.169.254/keys" },
      { issuer, audience: "a", toleranceS: -1 },
    ])
      await expect(testServer({ oidc })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
