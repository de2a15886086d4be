import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import type { WebSocket } from "ws";
import { ProtolineError } from "../core/index.ts";
import type { Timed } from "./metrics.ts";
import { serveWatch } from "./watch.ts";
import { createWatching, type WatchedFrame } from "./watching.ts";

const answer: Timed = {
  ...{ kind: "unknown", candidates: [], confidence: 0, distance: 1, nearestSupport: [] },
  ...{ gallery: "line-1", revision: 1, modelHash: "0", model: "test" },
  limit: { label: "gear", distance: 1, threshold: 0.5, source: "own" },
  ms: { queue: 0, decode: 1, embed: 1, match: 1, total: 3 },
};
const frame = (number: number): WatchedFrame => ({
  ...{ id: `${number}`, time: number, number, picture: "", from: "camera", answer, bytes: new Uint8Array(1) },
});

/** A socket whose messages leave when the test says so. */
function heldSocket() {
  const sent: { readonly message: Record<string, unknown>; left(): void }[] = [];
  const closed: (readonly [number, string])[] = [];
  const socket = Object.assign(new EventEmitter(), {
    ...{ OPEN: 1, readyState: 1, bufferedAmount: 0 },
    send: (text: string, left: () => void) => sent.push({ message: JSON.parse(text), left }),
    close: (code: number, reason: string) => closed.push([code, reason]),
  });
  return { socket: socket as unknown as WebSocket, sent, closed, drop: () => socket.emit("close") };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a watcher", () => {
  it("is told the newest when the last message has left, and how many were passed over", async () => {
    let tell = (_: WatchedFrame): void => undefined;
    const { socket, sent, closed, drop } = heldSocket();
    const guest = serveWatch(socket, {
      watch: (onFrame) => {
        tell = onFrame;
        return { before: 40, leave: () => undefined };
      },
      ...{ allowed: async () => undefined, coded: (error) => error as ProtolineError, patienceMs: 60_000 },
    });
    for (const number of [43, 44, 45, 46]) {
      tell(frame(number));
      await turn();
    }
    expect(sent.map(({ message }) => [message.time, message.passed])).toEqual([[43, 2]]);
    sent[0]!.left();
    await turn();
    expect(sent.map(({ message }) => [message.time, message.passed])).toEqual([
      [43, 2],
      [46, 2],
    ]);
    guest.end();
    expect(closed).toEqual([]);
    sent[1]!.left();
    await turn();
    expect(closed).toEqual([[1001, "the server stops"]]);
    drop();
  });

  it("who may not look on any more is told so and shown out; another fault is of one frame", async () => {
    let tell = (_: WatchedFrame): void => undefined;
    let fault: ProtolineError | null = null;
    const problem = (code: "STORE_UNAVAILABLE" | "FORBIDDEN"): ProtolineError =>
      new ProtolineError(code, { expected: "it", got: "not", todo: "Wait." });
    const { socket, sent, closed, drop } = heldSocket();
    serveWatch(socket, {
      watch: (onFrame) => {
        tell = onFrame;
        return { before: 0, leave: () => undefined };
      },
      allowed: async () => {
        if (fault) throw fault;
      },
      ...{ coded: (error) => error as ProtolineError, patienceMs: 60_000 },
    });
    const say = async (number: number, next: ProtolineError | null): Promise<unknown> => {
      fault = next;
      tell(frame(number));
      await turn();
      sent.at(-1)!.left();
      await turn();
      return sent.at(-1)!.message;
    };
    expect(await say(1, problem("STORE_UNAVAILABLE"))).toMatchObject({
      error: { code: "STORE_UNAVAILABLE" },
    });
    expect(await say(2, null)).toMatchObject({ passed: 1, id: "2" });
    expect(closed).toEqual([]);
    expect(await say(3, problem("FORBIDDEN"))).toMatchObject({ error: { code: "FORBIDDEN" } });
    expect(closed).toEqual([[1008, "FORBIDDEN"]]);
    drop();
  });
});

describe("watching", () => {
  it("makes one picture at a time for all who look on, none for nobody, and rests between", async () => {
    const made: number[] = [];
    let finish = (): void => undefined;
    const watching = createWatching({
      every: 1,
      share: 0.999,
      thumbnail: async ({ bytes }) => {
        made.push(bytes[0]!);
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        return bytes;
      },
    });
    const offer = (n: number): void =>
      watching.offer("line-1", { bytes: Uint8Array.of(n), answer, from: "camera" });
    offer(1);
    const seen: number[][] = [[], []];
    const seats = seen.map((list) => watching.watch("line-1", ({ bytes }) => list.push(bytes[0]!)));
    watching.offer("line-2", { bytes: Uint8Array.of(9), answer, from: "camera" });
    for (const n of [2, 3, 4]) offer(n);
    await turn();
    for (const n of [5, 6]) offer(n);
    expect(made).toEqual([4]);
    finish();
    await expect.poll(() => made).toEqual([4, 6]);
    finish();
    await expect
      .poll(() => seen)
      .toEqual([
        [4, 6],
        [4, 6],
      ]);
    for (const { leave } of seats) leave();
    offer(7);
    await turn();
    expect(made).toEqual([4, 6]);
  });

  it("keeps the newest pictures that were shown, within bounds", async () => {
    const watching = createWatching({ every: 0, thumbnail: async () => new Uint8Array(1) });
    const ids: string[] = [];
    watching.watch("line-1", ({ id }) => ids.push(id));
    const show = async (bytes: number): Promise<void> => {
      const before = ids.length;
      watching.offer("line-1", { bytes: new Uint8Array(bytes), answer, from: "camera" });
      await expect.poll(() => ids.length, { interval: 1 }).toBe(before + 1);
    };
    const kept = (): number => ids.filter((id) => watching.shown("line-1", id)).length;
    for (let i = 0; i < 20; i++) await show(1);
    expect(kept()).toBe(16);
    await show(20 * 2 ** 20);
    await show(20 * 2 ** 20);
    expect(kept()).toBe(1);
    expect(watching.shown("line-1", ids.at(-1)!)?.bytes.length).toBe(20 * 2 ** 20);
  });
});
