import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";

/**
 * Requests that may be under way on one connection. Clients send the next when the last is answered; HTTP/1.1 lets them send
 * ahead, and Node takes up at once all that came in one piece, and keeps the answers for a client that reads none.
 */
const most = 16;

/** Hangs up on a client that sends more requests ahead. To be added before other hooks, as their work is to be saved. */
export function boundPipelining(app: FastifyInstance): void {
  const underWay = new WeakMap<Socket, number>();
  app.addHook("onRequest", (request, reply, done) => {
    const { socket } = request.raw;
    const now = (underWay.get(socket) ?? 0) + 1;
    underWay.set(socket, now);
    if (now > most) {
      reply.hijack();
      socket.destroy();
      return;
    }
    reply.raw.once("close", () => underWay.set(socket, underWay.get(socket)! - 1));
    done();
  });
}
