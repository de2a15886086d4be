import { randomUUID } from "node:crypto";
import { setTimeout as rest } from "node:timers/promises";
import type { Region } from "../data/types.ts";
import type { Timed } from "./metrics.ts";

/** A frame as it was answered. */
export interface AnsweredFrame {
  /** The encoded picture, as it came. */
  readonly bytes: Uint8Array;
  /** The part that was looked at; `undefined` for all of it. */
  readonly region?: Region | undefined;
  readonly answer: Timed;
  /** Who sent it: the name of a key, of a person, or of a line. */
  readonly from: string;
  /** Serial number of the part, where the sender told it. */
  readonly part?: string | undefined;
}

/** One that is shown. */
export interface WatchedFrame extends AnsweredFrame {
  readonly id: string;
  /** When it was answered, milliseconds since 1970. */
  readonly time: number;
  /** Frames of the gallery that were answered since somebody watches it, this one included. */
  readonly number: number;
  /** The part that was looked at as a small JPEG, base64. */
  readonly picture: string;
}

/** Shows frames to whoever looks on while they are answered, whoever sent them. */
export interface Watching {
  /** Takes a frame that was answered; comes back at once, and does nothing for a gallery that nobody watches. */
  offer(gallery: string, frame: AnsweredFrame): void;
  /** @param onFrame told of frames from now on, until `leave`; it must come back at once. */
  watch(
    gallery: string,
    onFrame: (frame: WatchedFrame) => void,
  ): {
    /** Frames that were answered before, by the count of {@link WatchedFrame.number}. */
    readonly before: number;
    leave(): void;
  };
  /** One of the newest that were shown, as long as somebody watches; `undefined` where it is not among them. */
  shown(gallery: string, id: string): WatchedFrame | undefined;
}

export interface WatchingOptions {
  /** A frame as a small JPEG. */
  readonly thumbnail: (frame: AnsweredFrame) => Promise<Uint8Array>;
  /** Milliseconds from one frame that is shown to the next, at least. Default 100. */
  readonly every?: number;
  /** Share of the time for making pictures, 0 … 1. Default 0.25. */
  readonly share?: number;
}

interface Room {
  readonly watchers: Set<(frame: WatchedFrame) => void>;
  answered: number;
  newest: (AnsweredFrame & Pick<WatchedFrame, "number" | "time">) | null;
  working: boolean;
  /** Newest first. */
  shown: readonly WatchedFrame[];
}

const mostShown = 16;
const mostBytes = 32 * 2 ** 20;

/**
 * One picture is made at a time, for all who watch, after the reply has left and with rests between, so that the line does not
 * wait for those who look on. Of the frames that come meanwhile the newest is shown next.
 */
export function createWatching({ thumbnail, every = 100, share = 0.25 }: WatchingOptions): Watching {
  const rooms = new Map<string, Room>();

  const keep = (room: Room, frame: WatchedFrame): void => {
    const kept = [frame, ...room.shown].slice(0, mostShown);
    while (kept.length > 1 && kept.reduce((sum, { bytes }) => sum + bytes.length, 0) > mostBytes) kept.pop();
    room.shown = kept;
  };

  async function work(room: Room): Promise<void> {
    room.working = true;
    while (room.newest && room.watchers.size > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      const frame = room.newest;
      room.newest = null;
      const began = performance.now();
      // What was answered can be decoded; a picture that is refused all the same is not shown.
      const bytes = await thumbnail(frame).catch(() => null);
      const took = performance.now() - began;
      if (bytes) {
        const watched = { ...frame, id: randomUUID(), picture: Buffer.from(bytes).toString("base64") };
        keep(room, watched);
        for (const tell of room.watchers) tell(watched);
      }
      await rest(Math.max(every - took, took * (1 / share - 1)), undefined, { ref: false });
    }
    room.newest = null;
    room.working = false;
  }

  return {
    offer(gallery, frame) {
      const room = rooms.get(gallery);
      if (!room) return;
      room.newest = { ...frame, number: ++room.answered, time: Date.now() };
      if (!room.working) void work(room);
    },
    watch(gallery, onFrame) {
      const room: Room = rooms.get(gallery) ?? {
        ...{ watchers: new Set(), answered: 0, newest: null, working: false, shown: [] },
      };
      rooms.set(gallery, room);
      const tell = (frame: WatchedFrame): void => onFrame(frame);
      room.watchers.add(tell);
      return {
        before: room.answered,
        leave() {
          room.watchers.delete(tell);
          if (room.watchers.size === 0 && rooms.get(gallery) === room) rooms.delete(gallery);
        },
      };
    },
    shown: (gallery, id) => rooms.get(gallery)?.shown.find((frame) => frame.id === id),
  };
}
