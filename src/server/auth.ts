import type { FastifyInstance, FastifyRequest } from "fastify";
import { ProtolineError, quote } from "../core/index.ts";
import type { ApiScope } from "../store/store.ts";
import type { Keyring } from "./keys.ts";

/** Who makes a request: the holder of a key, or a program on this machine where no keys are used. */
export interface Caller {
  /** Id of the key, or `local`. */
  readonly id: string;
  /** Recorded with every change. */
  readonly name: string;
  readonly scopes: readonly ApiScope[];
}

declare module "fastify" {
  interface FastifyRequest {
    /** `null` when a key is needed and none that is valid came. */
    caller: Caller | null;
  }
  interface FastifyContextConfig {
    /** Scope that the route needs. A guarded route without one needs `admin`. */
    scope?: ApiScope;
  }
}

const local: Caller = { id: "local", name: "local", scopes: ["admin"] };

/** `127.0.0.0/8` and `::1`, also as IPv6 writes the former. */
export function isLoopbackAddress(address: string): boolean {
  return /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address) || address === "::1";
}

/** A name that can mean this machine alone: `localhost` or a loopback address, `[::1]` in brackets or not. */
export function isLoopbackName(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, "$1");
  return name.toLowerCase() === "localhost" || isLoopbackAddress(name);
}

/**
 * Without keys anything that reaches the server may do everything, so it must come from this machine, and not by way
 * of a proxy, nor of a web page elsewhere: `Host` stops DNS rebinding, `Origin` stops forms of other sites.
 */
function requireLocal(request: FastifyRequest): void {
  const { remoteAddress = "" } = request.raw.socket;
  const { headers } = request;
  const proxied = headers.forwarded !== undefined || headers["x-forwarded-for"] !== undefined;
  if (!isLoopbackAddress(remoteAddress) || proxied)
    throw new ProtolineError("UNAUTHORIZED", {
      expected: "a request from this machine itself, as the server has no API keys",
      got: proxied ? "one through a proxy" : `one from ${quote(remoteAddress)}`,
      todo: "Create an API key on the server first, with protoline keys create NAME.",
    });
  const hostName = (value: string): string => value.replace(/^[a-z]+:\/\//i, "").replace(/:\d*$/, "");
  for (const [name, value] of [
    ["Host", headers.host ?? ""],
    ["Origin", headers.origin],
  ] as const)
    if (value !== undefined && !isLoopbackName(hostName(value)))
      throw new ProtolineError("FORBIDDEN", {
        expected: `a name of this machine as ${name}, as the server has no API keys`,
        got: quote(value),
        todo: "Call the server as localhost, or create an API key.",
      });
}

function presentedKey({ headers }: FastifyRequest): string | null {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
  const own = headers["x-api-key"];
  return bearer ?? (typeof own === "string" ? own : null);
}

/** Guards the routes of `app`: who calls is found first, so that limits count by key; then the route's scope decides. */
export function guard(app: FastifyInstance, keyring: Keyring): void {
  app.addHook("onRequest", async (request) => {
    if (!(await keyring.inUse())) {
      requireLocal(request);
      request.caller = local;
      return;
    }
    const key = presentedKey(request);
    request.caller = key === null ? null : await keyring.find(key);
  });

  // Before the body is read, and after the rate limit, which the routes carry as their own onRequest hook.
  app.addHook("preParsing", async (request) => {
    const scope = request.routeOptions.config.scope ?? "admin";
    if (!request.caller)
      throw new ProtolineError("UNAUTHORIZED", {
        expected: "an API key as `Authorization: Bearer KEY` or `x-api-key: KEY`",
        got: presentedKey(request) === null ? "none" : "one that the server does not know",
        todo: `Send a key with the scope ${scope}.`,
      });
    const { name, scopes } = request.caller;
    if (!scopes.includes(scope) && !scopes.includes("admin"))
      throw new ProtolineError("FORBIDDEN", {
        expected: `a key with the scope ${scope}`,
        got: `the key ${quote(name)} with ${scopes.join(", ") || "no scope"}`,
        todo: "Use another key, or ask for one with that scope.",
      });
  });
}

/** Name to record with a change. */
export function who(request: FastifyRequest): string {
  return request.caller!.name;
}
