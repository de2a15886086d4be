import { createServer, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import websocket from "@fastify/websocket";
import type { FastifyInstance } from "fastify";
import type { ServerLimits } from "./limits.ts";

/** The one subprotocol of the streams; a client that offers any must offer it. */
export const subprotocol = "protoline.v1";
const keyPrefix = "protoline.key.";

const listed = (value: string | undefined): string[] => (value ?? "").split(",").map((text) => text.trim());

/** The key that a browser, which can set no header, offers as a second subprotocol; it is never chosen, so never echoed. */
export function offeredKey(headers: IncomingHttpHeaders): string | null {
  const offered = listed(headers["sec-websocket-protocol"]).find((name) => name.startsWith(keyPrefix));
  return offered?.slice(keyPrefix.length) ?? null;
}

/** WebSockets for the routes that have a `wsHandler`; such a route closes its sockets itself when the server closes. */
export function acceptSockets(app: FastifyInstance, limits: ServerLimits): void {
  // Never listens: it stands between Node, which takes any `Upgrade` for one, and the plugin, which does too.
  const relay = createServer();
  app.register(websocket, {
    options: {
      server: relay,
      // A picture beyond its own limit is still refused in words; only beyond this is the stream closed, with 1009.
      maxPayload: Math.min(2 * limits.imageBytes, limits.bodyBytes),
      handleProtocols: (offered: Set<string>) => offered.has(subprotocol) && subprotocol,
      // By the stream, which does not pile up pongs for a client that reads nothing.
      autoPong: false,
    },
    errorHandler: (error, _socket, request) =>
      request.log.info({ err: error }, "a stream ended by its client's fault"),
    preClose: (done) => done(),
  });
  app.server.on("upgrade", (request, socket, head) => {
    const asked = request.method === "GET" && request.headers.upgrade?.toLowerCase() === "websocket";
    if (!asked) asPlain(app, request, socket, head);
    else if (!relay.emit("upgrade", request, socket, head)) socket.destroy();
  });
}

/**
 * A request that offers another protocol, as clients do that would rather speak HTTP/2, is answered as if it had not
 * (RFC 9110, 7.8). Node has let go of its connection by now: it is given the request again, without the offer.
 */
function asPlain(app: FastifyInstance, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i]!, rawHeaders[i + 1]!];
    if (/^(upgrade|http2-settings)$/i.test(name)) continue;
    const kept = listed(value).filter((token) => !/^(upgrade|http2-settings)$/i.test(token));
    if (!/^connection$/i.test(name)) lines.push(`${name}: ${value}`);
    else if (kept.length > 0) lines.push(`${name}: ${kept.join(", ")}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), head]));
  app.server.emit("connection", socket);
}
