import dns from "node:dns";
import fs from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { enrollColors, multipart, picture, red, type TestServer, testServer } from "./server-help.ts";
import { type Operation, operationsOf, type Schema } from "./support/openapi.ts";

/**
 * Nothing in a request becomes a path or an address that the server opens. Every string of the OpenAPI document is set
 * to addresses and paths, and what Node opens meanwhile is watched: files, names and connections.
 */

const marker = "protoline-canary";
let server: TestServer;
let operations: Operation[];
let folder: string;
let canary: Server;
let visits = 0;
let jpeg: Buffer;
const opened: string[] = [];
const restore: (() => void)[] = [];

type Callable = (this: unknown, ...args: unknown[]) => unknown;

/** Notes all calls of the named functions whose arguments have the marker, or are an address. */
function watch(owner: object, names: readonly string[], suspicious: (args: string) => boolean): void {
  const functions = owner as Record<string, Callable>;
  for (const name of names) {
    const original = functions[name]!;
    functions[name] = function (...args) {
      const text = args.map((arg) => (typeof arg === "object" ? JSON.stringify(arg) : String(arg))).join(" ");
      if (suspicious(text)) opened.push(`${name} ${text.slice(0, 300)}`);
      return original.apply(this, args);
    };
    restore.push(() => {
      functions[name] = original;
    });
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `${marker}-`));
  await writeFile(join(folder, "secret.txt"), "the secret of the canary");
  canary = createServer((_request, reply) => {
    visits++;
    reply.end("x");
  });
  await new Promise<void>((resolve) => canary.listen(0, "127.0.0.1", resolve));
  server = await testServer({ limits: { requestsPerMinute: 1e9 } });
  await enrollColors(server.app);
  jpeg = await picture(red);
  operations = operationsOf((await server.app.inject({ url: "/openapi.json" })).json());

  const ofMarker = (text: string): boolean => text.includes(marker) || text.includes("/etc/passwd");
  const paths = ["open", "openSync", "readFile", "readFileSync", "stat", "statSync", "lstat", "readdir"];
  watch(fs, [...paths, "createReadStream", "createWriteStream", "mkdir", "unlink", "rename"], ofMarker);
  watch(fs.promises, ["open", "readFile", "writeFile", "stat", "readdir", "mkdir", "rm", "rename"], ofMarker);
  watch(net.Socket.prototype, ["connect"], () => true);
  watch(dns, ["lookup", "resolve"], () => true);
  watch(dns.promises, ["lookup", "resolve"], () => true);
  watch(globalThis, ["fetch"], () => true);
  syncBuiltinESMExports();
});
afterAll(async () => {
  for (const undo of restore) undo();
  syncBuiltinESMExports();
  await server.close();
  await new Promise((resolve) => canary.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

/** Values to try, all of which lead somewhere where they are taken for an address or a path. */
const baits = (): string[] => {
  const address = `127.0.0.1:${(canary.address() as AddressInfo).port}`;
  return [
    `http://${address}/${marker}`,
    `//${address}/${marker}`,
    `http://169.254.169.254/latest/meta-data/${marker}`,
    `file://${folder}/secret.txt`,
    `${folder}/secret.txt`,
    `../../../../../../../..${folder}/secret.txt`,
    "../../../../../../../../etc/passwd",
    `sqlite:${folder}/new.db`,
    `redis://${address}/${marker}`,
    `data:text/plain,${marker}`,
    `|touch ${folder}/${marker}`,
    `\${jndi:ldap://${address}/${marker}}`,
  ];
};

/** Every place of a string in the schema, filled with `bait`, and all else with what is needed. */
function filled(schema: Schema, bait: string): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return filled(schema.anyOf[0]!, bait);
  if (schema.type === "object")
    return Object.fromEntries(
      Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, filled(inner, bait)]),
    );
  if (schema.type === "array") return [filled(schema.items ?? {}, bait)];
  if (schema.type === "string") return bait;
  if (schema.type === "boolean") return true;
  return Math.max(1, schema.minimum ?? 0);
}

describe("the watch", () => {
  it("sees what is opened, so that its silence means something", async () => {
    const { readFile } = await import("node:fs/promises");
    await readFile(join(folder, "secret.txt"));
    await fetch(`http://127.0.0.1:${(canary.address() as AddressInfo).port}/`);
    expect(opened.some((call) => call.startsWith("readFile"))).toBe(true);
    expect(opened.some((call) => call.startsWith("fetch"))).toBe(true);
    expect(visits).toBe(1);
    opened.length = 0;
    visits = 0;
  });
});

describe("no string of a request is opened", () => {
  it("in the path, the query, the body, the headers, or the name of a file", async () => {
    const { app } = server;
    let tried = 0;
    for (const operation of operations)
      for (const bait of baits()) {
        const strings = operation.parameters.filter(
          ({ schema }) => schema.type === "string" || schema.type === "array",
        );
        const json = operation.bodies["application/json"];
        // One at a time, so that one that is refused does not hide the next; then the body, and none of them.
        for (const place of [...strings.map(({ name }) => name), "body"]) {
          const value = ({ name, schema, in: where }: Operation["parameters"][number]): string =>
            name === place
              ? bait
              : where === "path"
                ? ({ gallery: "line-1", label: "red" }[name] ?? "0")
                : String(filled(schema, "1,1,20,20"));
          const url = operation.path.replace(/\{(\w+)\}/g, (_, name: string) =>
            encodeURIComponent(value(operation.parameters.find((one) => one.name === name)!)),
          );
          const query = Object.fromEntries(
            operation.parameters
              .filter((one) => one.in === "query" && (one.required || one.name === place))
              .map((one) => [one.name, value(one)]),
          );
          const files = multipart([{ name: bait.replaceAll('"', ""), bytes: jpeg }]);
          const body = json
            ? { headers: { "content-type": "application/json" }, payload: JSON.stringify(filled(json, bait)) }
            : files;
          if (operation.method === "DELETE" && url === "/v1/galleries/line-1") continue;
          const reply = await app.inject({
            method: operation.method as "GET",
            url,
            query,
            ...(operation.method === "GET" ? {} : body),
            headers: {
              ...(operation.method === "GET" ? {} : body.headers),
              host: "localhost",
              referer: bait,
              "x-original-url": bait,
              "x-callback-url": bait,
            },
          });
          tried++;
          expect(reply.statusCode).toBeLessThan(500);
          expect(reply.payload).not.toContain("the secret of the canary");
          expect(reply.payload).not.toContain("root:");
        }
      }
    expect(tried).toBeGreaterThan(300);
    expect(opened).toEqual([]);
    expect(visits).toBe(0);
    expect(fs.readdirSync(folder)).toEqual(["secret.txt"]);
  });

  it("nor any field that the document does not know", async () => {
    const names = fc.constantFrom(
      "url",
      "path",
      "file",
      "image",
      "uri",
      "href",
      "src",
      "callback",
      "model",
      "store",
    );
    await fc.assert(
      fc.asyncProperty(names, fc.constantFrom(...baits()), async (name, bait) => {
        for (const [url, payload] of [
          ["/v1/galleries", { name: "line-3", [name]: bait }],
          ["/v1/galleries/line-1/recognize", { [name]: bait }],
        ] as const)
          expect(
            (await server.app.inject({ method: "POST", url, payload })).statusCode,
          ).toBeGreaterThanOrEqual(400);
        const reply = await server.app.inject({
          url: "/v1/galleries/line-1/samples",
          query: { [name]: bait },
        });
        expect(reply.statusCode).toBe(400);
      }),
      { numRuns: 60, seed: 3 },
    );
    expect(opened).toEqual([]);
    expect(visits).toBe(0);
  });
});
