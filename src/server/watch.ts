import type { WebSocket } from "ws";
import type { ProtolineError } from "../core/index.ts";
import { final, type Guest } from "./door.ts";
import type { Timed } from "./metrics.ts";
import { createTalk } from "./talk.ts";
import type { WatchedFrame, Watching } from "./watching.ts";

export interface WatchParts {
  watch(onFrame: (frame: WatchedFrame) => void): ReturnType<Watching["watch"]>;
  /** Rejects when the client may no longer look on. */
  allowed(): Promise<void>;
  /** Any error as one with a code. */
  coded(error: unknown): ProtolineError;
  /** Milliseconds after which a client that takes nothing is given up. */
  readonly patienceMs: number;
}

/** What a watcher is told of one frame, or why of none. */
export type WatchMessage =
  | {
      readonly id: string;
      readonly time: number;
      /** Frames answered since the last message, or since the watcher came, that he is not shown. */
      readonly passed: number;
      readonly from: string;
      readonly part: string | null;
      readonly answer: Timed;
      readonly picture: string;
    }
  | { readonly error: ProtolineError };

/**
 * Shows a client what is answered. One frame waits at most, and a newer one takes its place: who reads slowly sees fewer, and
 * the line does not notice.
 */
export function serveWatch(socket: WebSocket, { watch, allowed, coded, patienceMs }: WatchParts): Guest {
  const talk = createTalk(socket, patienceMs);
  let waiting: WatchedFrame | null = null;
  let talking = false;
  let ending = false;
  const { before, leave } = watch((frame) => {
    waiting = frame;
    if (!talking) void work();
  });
  let last = before;

  async function say(frame: WatchedFrame): Promise<WatchMessage> {
    try {
      await allowed();
    } catch (error) {
      return { error: coded(error) };
    }
    const { id, time, number, from, part = null, answer, picture } = frame;
    const passed = number - last - 1;
    last = number;
    return { id, time, passed, from, part, answer, picture };
  }
  async function work(): Promise<void> {
    talking = true;
    while (waiting && !ending && socket.readyState === socket.OPEN) {
      const frame = waiting;
      waiting = null;
      const message = await say(frame);
      await talk.send(message);
      if ("error" in message && final.includes(message.error.code)) socket.close(1008, message.error.code);
    }
    talking = false;
    if (ending) socket.close(1001, "the server stops");
  }

  socket.once("close", () => {
    leave();
    waiting = null;
  });
  // Nothing is expected of a watcher.
  socket.on("message", () => socket.close(1008, "this socket only tells"));

  return {
    end() {
      ending = true;
      if (!talking) socket.close(1001, "the server stops");
    },
  };
}
