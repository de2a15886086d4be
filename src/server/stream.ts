import type { WebSocket } from "ws";
import { ProtolineError } from "../core/index.ts";
import { final, type Guest } from "./door.ts";
import type { Timed } from "./metrics.ts";
import { createTalk } from "./talk.ts";

export interface StreamParts {
  /** @param onGone takes what ends the work when the client has left. */
  answer(image: Uint8Array, onGone: (end: (got: string) => void) => void): Promise<Timed>;
  /** Rejects when the client may no longer do this. */
  allowed(): Promise<void>;
  /** Any error as one with a code. */
  coded(error: unknown): ProtolineError;
  /** Told of frames that a newer one replaced. */
  passedOver(): void;
  /** Milliseconds after which a client that takes or sends nothing is given up. */
  readonly patienceMs: number;
}

/** What a client is told of one frame. */
export type StreamMessage = {
  /** 1 for the first message that the client sent. */
  readonly frame: number;
  /** Frames since the last message that were not looked at, as a newer one was there already. */
  readonly dropped: number;
} & ({ readonly answer: Timed } | { readonly error: ProtolineError });

/**
 * Answers the frames of a client one at a time. One frame waits at most: a newer one takes its place. An answer must have left
 * before the next frame is looked at, so that a slow reader gets fewer answers and costs no memory.
 */
export function serveStream(
  socket: WebSocket,
  { answer, allowed, coded, passedOver, patienceMs }: StreamParts,
): Guest {
  const talk = createTalk(socket, patienceMs);
  let number = 0;
  let dropped = 0;
  let waiting: { readonly frame: number; readonly image: Uint8Array | null } | null = null;
  let working = false;
  let ending = false;
  let leave: ((got: string) => void) | undefined;

  const say = async (image: Uint8Array | null): Promise<{ answer: Timed } | { error: ProtolineError }> => {
    try {
      await allowed();
      if (!image)
        throw new ProtolineError("INVALID_ARGUMENT", {
          expected: "a binary message with one picture",
          got: "a text message",
          todo: "Send the bytes of a JPEG or PNG file as they are; options stand in the address.",
        });
      return {
        answer: await answer(image, (end) => {
          leave = end;
        }),
      };
    } catch (error) {
      return { error: coded(error) };
    }
  };

  const work = async (): Promise<void> => {
    working = true;
    while (waiting && !ending && socket.readyState === socket.OPEN) {
      const { frame, image } = waiting;
      const passed = dropped;
      waiting = null;
      dropped = 0;
      const said = await say(image);
      const message: StreamMessage = { frame, dropped: passed, ...said };
      await talk.send(message);
      if ("error" in said && final.includes(said.error.code)) socket.close(1008, said.error.code);
    }
    working = false;
    if (ending) socket.close(1001, "the server stops");
  };

  socket.on("message", (data, isBinary) => {
    if (waiting) {
      dropped++;
      passedOver();
    }
    // With the default `binaryType` a message is one Buffer.
    waiting = { frame: ++number, image: isBinary ? (data as Buffer) : null };
    if (!working) void work();
  });
  socket.once("close", () => {
    waiting = null;
    leave?.("a client that left");
  });

  return {
    end() {
      ending = true;
      if (!working) socket.close(1001, "the server stops");
    },
  };
}
