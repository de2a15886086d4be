import type { Region } from "../../data/types.ts";
import type { Recognition } from "../../recognizer/types.ts";

export const verdicts = ["correct", "incorrect", "inconclusive"] as const;
export type Verdict = (typeof verdicts)[number];

/** What a reviewer says of a frame's answer. */
export interface Feedback {
  readonly verdict: Verdict;
  readonly reviewer: string;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** A frame that fitted no class, or two of them. */
export interface TrayFrame {
  readonly id: string;
  readonly gallery: string;
  /** When it, or the last that looked the same, came; milliseconds since 1970. */
  readonly time: number;
  readonly kind: "unknown" | "ambiguous";
  /** Distance to the nearest class over that class's limit, above 1 for what is unknown; `null` where none was known. */
  readonly excess: number | null;
  readonly candidates: readonly { readonly label: string; readonly distance: number }[];
  readonly revision: number;
  /** Frames that looked the same, this one included. */
  readonly seen: number;
  readonly feedback: Feedback | null;
  /** The encoded picture, cut to the region where there was one. */
  readonly bytes: Uint8Array;
  readonly type: string;
  /** Raw, `[dim]`, by the encoder of `modelHash`. */
  readonly embedding: Float32Array | null;
  readonly modelHash: string;
}

/** What the tray's list shows. */
export interface TrayGroup {
  readonly frames: readonly TrayFrame[];
}

export interface Offer {
  readonly bytes: Uint8Array;
  readonly region?: Region;
  readonly answer: Recognition;
}

/** The unknown and ambiguous frames of each gallery: bounded, one of those that look the same, in groups. */
export interface Tray {
  /** Reads the folder; before it the tray is empty. */
  load(): Promise<void>;
  /** Takes in a frame if its answer calls for it. Returns at once: the frame is looked at in the background. */
  offer(gallery: string, offer: Offer): void;
  /** Groups of frames that look alike, the largest first; within them the newest first. */
  list(gallery: string): Promise<readonly TrayGroup[]>;
  /** Frames that gave way to others since the start. */
  dropped(gallery: string): number;
  /** @throws FRAME_NOT_FOUND */
  frame(gallery: string, id: string): TrayFrame;
  /** Out of the tray. @throws FRAME_NOT_FOUND for the first that is not there, and then takes none. */
  take(gallery: string, ids: readonly string[]): Promise<readonly TrayFrame[]>;
  /** Back into it, as they were. */
  putBack(frames: readonly TrayFrame[]): Promise<void>;
  /** Sets or, with `null`, removes feedback. Returns the frames as they were. */
  review(gallery: string, ids: readonly string[], feedback: Feedback | null): Promise<readonly TrayFrame[]>;
  /** The gallery is gone. */
  drop(gallery: string): Promise<void>;
  /** Resolves when nothing is looked at any more: for tests, and before closing. */
  settled(): Promise<void>;
}
