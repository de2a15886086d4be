import type { FastifyRequest } from "fastify";
import type { WebSocket } from "ws";
import { type ErrorCode, ProtolineError, quote } from "../core/index.ts";
import type { App } from "./context.ts";
import { toProtolineError } from "./errors.ts";
import type { ServerLimits } from "./limits.ts";

/** What a route of WebSockets is told of who may open one, and when. */
export interface SocketGuard {
  /** Rejects when the caller of a request may no longer do what its route does. */
  allowed(request: FastifyRequest): Promise<void>;
  /** Origins of other sites that are let in. */
  readonly cors: readonly string[];
}

/** A socket that is open. */
export interface Guest {
  /** What is under way is finished, then the client is told that the server goes away (1001). */
  end(): void;
}

export interface DoorOptions {
  readonly guard: SocketGuard;
  readonly limits: ServerLimits;
  /** What is opened here, in the plural, and what to do without. */
  readonly what: string;
  readonly instead: string;
  /** Told how many are open. */
  readonly onCount: (open: number) => void;
}

/** The way in to the sockets of one route, and the end of all of them when the server closes. */
export interface Door {
  /** To be called before the handshake. @throws FORBIDDEN for a page of another site, OVERLOADED. */
  enter(request: FastifyRequest): void;
  /** For a request that is no handshake. @throws INVALID_ARGUMENT. */
  plain(): never;
  hold(socket: WebSocket, guest: Guest): void;
  /** What went wrong, as an error with a code; a fault of the server's own is logged. */
  coded(request: FastifyRequest): (error: unknown) => ProtolineError;
  /** Asks at most every second whether the caller is still allowed: a key that is removed stops working on an open socket too. */
  allowed(request: FastifyRequest): () => Promise<void>;
}

/** Who may not go on is told so and closed; anything else is of one frame. */
export const final: readonly ErrorCode[] = ["UNAUTHORIZED", "FORBIDDEN", "TOKEN_INVALID"];

const askAgainMs = 1000;

/**
 * Browsers ask no server before they open a WebSocket to it, and tell it which page did: one of the server's own, or
 * of an origin that is let in. What is no browser names none.
 */
function requireOrigin({ headers }: FastifyRequest, cors: readonly string[]): void {
  const { origin, host = "" } = headers;
  if (origin === undefined || cors.includes(origin)) return;
  if (URL.canParse(origin) && new URL(origin).host === host.toLowerCase()) return;
  throw new ProtolineError("FORBIDDEN", {
    expected: "a page of this server itself, or of an origin that it lets in",
    got: quote(origin),
    todo: "Start the server with --cors and that origin.",
  });
}

export function createDoor(app: App, { guard, limits, what, instead, onCount }: DoorOptions): Door {
  const guests = new Set<Guest>();
  let closing = false;
  app.addHook("preClose", async () => {
    closing = true;
    for (const guest of guests) guest.end();
    setTimeout(() => {
      for (const socket of app.websocketServer.clients) socket.terminate();
    }, limits.closeMs).unref();
  });
  return {
    enter(request) {
      requireOrigin(request, guard.cors);
      if (closing || guests.size >= limits.streams)
        throw new ProtolineError("OVERLOADED", {
          expected: `at most ${limits.streams} ${what} at a time`,
          got: closing ? "one more while the server stops" : "one more",
          todo: `Try again in a moment, or ${instead}.`,
        });
    },
    plain() {
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: "a WebSocket handshake",
        got: "a plain request",
        todo: `Open the address as ws:// or wss://, or ${instead}.`,
      });
    },
    hold(socket, guest) {
      guests.add(guest);
      onCount(guests.size);
      socket.once("close", () => {
        guests.delete(guest);
        onCount(guests.size);
      });
    },
    coded: (request) => (error) => {
      const coded = toProtolineError(error as Error, request);
      if (coded.code === "INTERNAL") request.log.error({ err: error }, "unexpected error");
      return coded;
    },
    allowed(request) {
      let lookedAt = performance.now();
      return async () => {
        if (performance.now() - lookedAt < askAgainMs) return;
        await guard.allowed(request);
        lookedAt = performance.now();
      };
    },
  };
}
