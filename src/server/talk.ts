import type { WebSocket } from "ws";

/** A client of a WebSocket who is told one thing after another. */
export interface Talk {
  /** Resolves when the message has left, or the client is given up. */
  send(message: object): Promise<void>;
}

/**
 * Gives up a client that takes nothing of a message, or answers no ping, for `patienceMs`. A message must have left before the
 * caller sends the next, so that a slow reader costs no memory.
 *
 * @param patienceMs milliseconds, > 0.
 */
export function createTalk(socket: WebSocket, patienceMs: number): Talk {
  let alive = true;
  const heard = (): void => {
    alive = true;
  };
  socket.on("message", heard);
  socket.on("pong", heard);
  socket.on("ping", (data) => {
    heard();
    if (socket.bufferedAmount === 0) socket.pong(data);
  });
  const beat = setInterval(() => {
    if (!alive) socket.terminate();
    alive = false;
    if (socket.readyState === socket.OPEN && socket.bufferedAmount === 0) socket.ping();
  }, patienceMs / 2);
  beat.unref();
  socket.once("close", () => clearInterval(beat));
  return {
    send: (message) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => socket.terminate(), patienceMs);
        socket.send(JSON.stringify(message), () => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}
