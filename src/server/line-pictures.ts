import { randomUUID } from "node:crypto";
import type { Rng } from "../core/index.ts";
import type { Region } from "../data/types.ts";

/** A frame of the line, kept to be looked at. */
export interface LinePicture {
  readonly id: string;
  /** Its answer; `null` for unknown. */
  readonly label: string | null;
  /** To its nearest class. */
  readonly distance: number;
  /** The encoded picture, as it came. */
  readonly bytes: Uint8Array;
  /** The part that was looked at; `undefined` for all of it. */
  readonly region: Region | undefined;
}

/** A few of many frames. */
export interface LinePictures {
  offer(picture: Omit<LinePicture, "id">): void;
  /** What was kept since the last time, by answer; then it begins anew. */
  take(): readonly LinePicture[];
}

/** Pictures of each answer. */
const perAnswer = 4;
/** Answers of which pictures are kept; frames of further ones are not. */
const mostAnswers = 16;
/** Bytes of all of them: above it, pictures of the answer that holds most give way. */
const mostBytes = 16 * 2 ** 20;

/**
 * Keeps up to 4 pictures of each answer, any 4 of its frames with the same chance (Vitter 1985): rare answers
 * are there beside frequent ones.
 */
export function createLinePictures(rng: Rng): LinePictures {
  const kept = new Map<string | null, LinePicture[]>();
  const seen = new Map<string | null, number>();
  const all = (): LinePicture[] => [...kept.values()].flat();
  const bound = (): void => {
    const total = (): number => all().reduce((sum, { bytes }) => sum + bytes.length, 0);
    while (total() > mostBytes) {
      const most = [...kept.values()].reduce((best, one) => (one.length > best.length ? one : best));
      most.splice(rng.int(most.length), 1);
    }
  };
  return {
    offer(picture) {
      const { label } = picture;
      const own = kept.get(label) ?? [];
      if (!kept.has(label)) {
        if (kept.size >= mostAnswers) return;
        kept.set(label, own);
      }
      const n = (seen.get(label) ?? 0) + 1;
      seen.set(label, n);
      const place = n <= perAnswer ? own.length : rng.int(n);
      if (place >= perAnswer) return;
      own[Math.min(place, own.length)] = { id: randomUUID(), ...picture };
      bound();
    },
    take() {
      const taken = all();
      kept.clear();
      seen.clear();
      return taken;
    },
  };
}
