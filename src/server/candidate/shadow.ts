import { randomUUID } from "node:crypto";
import type { Region } from "../../data/index.ts";
import type { Seen } from "../../recognizer/index.ts";
import type { ShadowAnswer } from "../judge/index.ts";

export type Kind = ShadowAnswer["kind"];

/** A frame that the candidate answers otherwise. */
export interface Difference {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly revision: number;
  readonly current: ShadowAnswer;
  readonly candidate: ShadowAnswer;
  /** The encoded picture, as it came, and the part that was looked at. */
  readonly bytes: Uint8Array;
  readonly region: Region | undefined;
}

export interface ShadowState {
  /** Frames that both answered; `same` and `different` are of them. */
  readonly frames: number;
  readonly same: number;
  readonly different: number;
  /** Frames that the candidate was not asked: it was busy with another, or rested. */
  readonly skipped: number;
  /** Frames that it could not answer. */
  readonly failed: number;
  /** Differences by the two answers, the most frequent first. */
  readonly changes: readonly { readonly from: Kind; readonly to: Kind; readonly frames: number }[];
  /** The newest, newest first. */
  readonly differences: readonly Difference[];
}

export interface Shadow {
  /** Takes a frame as it was answered; comes back at once. */
  offer(seen: Seen): void;
  state(): ShadowState;
  /** Resolves when no frame is under way. */
  settled(): Promise<void>;
}

export interface ShadowOptions {
  /** The candidate's answer; `null` where it cannot be held against this one, as the gallery has changed meanwhile. */
  readonly answer: (seen: Seen) => Promise<ShadowAnswer | null>;
  /** Told what came of each frame. */
  readonly onFrame?: (outcome: "same" | "different" | "skipped" | "failed") => void;
  /** Share of the time that the candidate may be at work, 0 … 1. Default 0.25. */
  readonly share?: number;
}

const mostDifferences = 24;
const mostBytes = 16 * 2 ** 20;

/**
 * Has a candidate answer live frames, too, after they were answered: one at a time, and resting between them, so that it takes no
 * more than its share of the machine. Frames that come meanwhile are counted and passed over: nothing ever waits.
 */
export function createShadow({ answer, onFrame, share = 0.25 }: ShadowOptions): Shadow {
  let busy: Promise<void> | null = null;
  let restsUntil = 0;
  const counts = { frames: 0, same: 0, different: 0, skipped: 0, failed: 0 };
  const changes = new Map<string, { readonly from: Kind; readonly to: Kind; frames: number }>();
  let differences: readonly Difference[] = [];

  const note = (outcome: "same" | "different" | "skipped" | "failed"): void => {
    counts[outcome]++;
    if (outcome === "same" || outcome === "different") counts.frames++;
    onFrame?.(outcome);
  };
  const keep = (difference: Difference): void => {
    const kept = [difference, ...differences].slice(0, mostDifferences);
    while (kept.reduce((sum, { bytes }) => sum + bytes.length, 0) > mostBytes) kept.pop();
    differences = kept;
  };

  async function compare(seen: Seen, image: Uint8Array): Promise<void> {
    // After the reply is written.
    await new Promise((resolve) => setImmediate(resolve));
    const started = performance.now();
    try {
      const candidate = await answer(seen);
      if (!candidate) return note("skipped");
      const { kind, candidates, confidence, distance, revision } = seen.answer;
      const current: ShadowAnswer = { kind, nearest: candidates[0]!.label, confidence, distance };
      if (kind === candidate.kind && (kind !== "known" || current.nearest === candidate.nearest))
        return note("same");
      note("different");
      const key = `${kind} ${candidate.kind}`;
      const change = changes.get(key) ?? { from: kind, to: candidate.kind, frames: 0 };
      change.frames++;
      changes.set(key, change);
      const { region } = seen;
      keep({ ...{ id: randomUUID(), time: Date.now(), revision, current, candidate, region }, bytes: image });
    } catch {
      note("failed");
    } finally {
      const took = performance.now() - started;
      restsUntil = performance.now() + took * (1 / share - 1);
    }
  }

  return {
    offer(seen) {
      // Pictures come as bytes over the network; a path would be the server's own.
      if (typeof seen.image === "string" || busy || performance.now() < restsUntil) return note("skipped");
      busy = compare(seen, seen.image).finally(() => {
        busy = null;
      });
    },
    state: () => ({
      ...counts,
      changes: [...changes.values()].sort((a, b) => b.frames - a.frames),
      differences,
    }),
    settled: async () => {
      await busy;
    },
  };
}
