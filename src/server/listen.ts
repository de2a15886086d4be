import type { FastifyInstance } from "fastify";
import { ProtolineError, quote } from "../core/index.ts";
import { isLoopbackName } from "./loopback.ts";

export interface ListenOptions {
  /** Address or name to listen on. Default `127.0.0.1`. */
  readonly host?: string;
  /** 0 takes any free port. Default 8080. */
  readonly port?: number;
}

/**
 * Starts a server that `buildServer` made. Resolves to its address, such as `http://127.0.0.1:8080`.
 *
 * @throws UNAUTHORIZED when `host` can be reached from elsewhere and the store holds no API key; LISTEN_FAILED when
 * the port is taken or the address is not of this machine; INVALID_ARGUMENT.
 */
export async function listen(
  app: FastifyInstance,
  { host = "127.0.0.1", port = 8080 }: ListenOptions = {},
): Promise<string> {
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a port of 0 to 65535",
      got: String(port),
      todo: "Choose another port.",
    });
  await app.ready();
  if (!isLoopbackName(host) && !(await app.keyring.inUse()))
    throw new ProtolineError("UNAUTHORIZED", {
      expected: `an API key in the store before others can reach the server on ${quote(host)}`,
      got: "none",
      todo: "Create one with protoline keys create NAME, or listen on 127.0.0.1.",
    });
  try {
    return await app.listen({ host, port });
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    const expected = {
      EADDRINUSE: "a free port",
      EACCES: "a port that this user may open",
      EADDRNOTAVAIL: "an address of this machine",
      ENOTFOUND: "a host name that can be resolved",
    }[code];
    if (expected === undefined) throw error;
    throw new ProtolineError("LISTEN_FAILED", {
      expected,
      got: `${quote(host)}, port ${port}: ${message}`,
      todo: "Choose another port or address.",
      cause: error,
    });
  }
}
