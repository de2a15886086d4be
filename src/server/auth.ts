import type { FastifyInstance, FastifyRequest } from "fastify";
import { actingAs } from "../audit/index.ts";
import { ProtolineError, quote } from "../core/index.ts";
import type { ApiKeyRecord, ApiScope } from "../store/store.ts";
import type { Caller } from "./caller.ts";
import type { Keyring } from "./keys.ts";
import { isLoopbackAddress, isLoopbackName } from "./loopback.ts";
import { looksLikeToken, type TokenVerifier } from "./oidc.ts";
import { roleFor } from "./roles.ts";
import { offeredKey } from "./sockets.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** `null` when a key or token is needed and none that is valid came. */
    caller: Caller | null;
  }
  interface FastifyContextConfig {
    /** Scope that the route needs; `null` for a route that is open to all. A guarded route without one needs `admin`. */
    scope?: ApiScope | null;
  }
}

const local: Caller = {
  kind: "local",
  id: "local",
  name: "local",
  scopes: ["admin"],
  holder: "a program on this machine",
};

const holderOf = ({ id, name, scopes }: ApiKeyRecord): Caller => ({
  kind: "key",
  id,
  name,
  scopes,
  holder: `the key ${quote(name)} with ${scopes.join(", ") || "no scope"}`,
});

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

function presentedKey({ headers, ws }: FastifyRequest): string | null {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
  const own = headers["x-api-key"];
  return bearer ?? (typeof own === "string" ? own : ws ? offeredKey(headers) : null);
}

/**
 * Guards the routes of `app`: who calls is found first, so that limits count by caller; then the route's scope decides.
 * What is wrong with a token is said as late, so that a flood of wrong ones is counted too.
 *
 * @returns what asks both again, of a request that goes on for longer than a key may last.
 * @throws (the function returned) UNAUTHORIZED, FORBIDDEN, TOKEN_INVALID, ISSUER_UNAVAILABLE.
 */
export function guard(
  app: FastifyInstance,
  keyring: Keyring,
  verifyToken: TokenVerifier | null,
): (request: FastifyRequest) => Promise<void> {
  const refused = new WeakMap<FastifyRequest, unknown>();

  const find = async (
    request: FastifyRequest,
    onToken: (error: unknown) => null = (error) => {
      throw error;
    },
  ): Promise<Caller | null> => {
    if (!(await keyring.inUse())) {
      requireLocal(request);
      return local;
    }
    const key = presentedKey(request);
    if (key === null) return null;
    if (verifyToken && looksLikeToken(key)) return verifyToken(key).catch(onToken);
    const record = await keyring.find(key);
    return record && holderOf(record);
  };
  const allow = (request: FastifyRequest, caller: Caller | null): void => {
    const scope = request.routeOptions.config.scope ?? "admin";
    if (!caller)
      throw new ProtolineError("UNAUTHORIZED", {
        expected: `an API key${verifyToken ? " or a token" : ""} as \`Authorization: Bearer KEY\` or \`x-api-key: KEY\``,
        got: presentedKey(request) === null ? "none" : "one that the server does not know",
        todo: `Send a key with the scope ${scope}.`,
      });
    const { holder, scopes, kind } = caller;
    if (!scopes.includes(scope) && !scopes.includes("admin"))
      throw new ProtolineError("FORBIDDEN", {
        expected: kind === "person" ? `the role ${roleFor(scope)} or above` : `a key with the scope ${scope}`,
        got: holder,
        todo:
          kind === "person"
            ? "Ask for that role at the issuer of the token."
            : "Use another key, or ask for one with that scope.",
      });
  };

  app.addHook("onRequest", async (request) => {
    request.caller = await find(request, (error) => {
      refused.set(request, error);
      return null;
    });
  });

  // Before the body is read, and after the rate limit, which the routes carry as their own onRequest hook.
  app.addHook("preParsing", async (request) => {
    if (refused.has(request)) throw refused.get(request);
    allow(request, request.caller);
  });

  // After the body is read, as its events would leave the scope again.
  app.addHook("preHandler", (request, _reply, done) => {
    const { name, kind, id } = request.caller!;
    actingAs({ who: name, caller: kind === "local" ? id : `${kind} ${id}`, request: request.id }, done);
  });

  return async (request) => allow(request, await find(request));
}

/** Name to record with a change. */
export function who(request: FastifyRequest): string {
  return request.caller!.name;
}
