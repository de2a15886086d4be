import { type Embeddings, ProtolineError, stack } from "../core/index.ts";
import type { DriftOptions, DriftReport, FrameSample } from "./drift.ts";

/** A frame as it was answered. */
export interface SeenFrame {
  /** `[dim]`, as the decision compares it. */
  readonly embedding: Float32Array;
  /** To its nearest class. */
  readonly distance: number;
  /** Its nearest class; `null` for a frame that was answered unknown. */
  readonly label: string | null;
  /** In its nearest class, 0 … 1. Default: not told, and no mean is. */
  readonly confidence?: number;
}

/** What was answered over some frames. */
export interface FrameSummary {
  /** Share of the frames that were unknown. */
  readonly unknownRate: number;
  /** Of the distances to the nearest class. */
  readonly medianDistance: number;
  /** 0 … 1; `null` where the frames did not tell it. */
  readonly meanConfidence: number | null;
  /** Frames by their answer, the most frequent first; `null` is unknown. */
  readonly answers: readonly { readonly label: string | null; readonly frames: number }[];
}

export interface WatchOptions {
  /** First frames, which say how the line is when it is well. Default 256, ≥ 2. */
  readonly referenceFrames?: number;
  /** Frames of a window. Default 64, ≥ 2. */
  readonly windowFrames?: number;
  /** P(any alarm in `windows` windows in a row) where nothing has changed, at most. Default 0.01. */
  readonly level?: number;
  /** Default 16, ≥ 1. */
  readonly windows?: number;
  /** See {@link DriftOptions}. */
  readonly minFrames?: number;
  readonly seed?: number;
}

/** A window that is full, to be tested; by `detectDrift(reference, current, options)`, in whatever thread. */
export interface FullWindow {
  readonly reference: FrameSample;
  readonly current: FrameSample;
  readonly options: DriftOptions;
  /** Number of the window's last frame, counted from the first of the reference. */
  readonly frame: number;
  /** Of `current`. */
  readonly summary: FrameSummary;
}

/** What came of a window. */
export interface JudgedWindow extends DriftReport, FrameSummary {
  readonly frame: number;
  /** Milliseconds since 1970. */
  readonly time: number;
}

export interface WatchState {
  /** `learning` until the reference is full. */
  readonly phase: "learning" | "watching";
  readonly reference: {
    readonly frames: number;
    readonly of: number;
    /** `null` until the reference is full. */
    readonly summary: FrameSummary | null;
  };
  readonly window: { readonly frames: number; readonly of: number };
  /** The level is of so many windows in a row. */
  readonly level: number;
  readonly windows: number;
  /** From the first window that alarms until {@link calmWindows} in a row do not. */
  readonly alarm: boolean;
  /** Share of unknown frames among the last ones, at most a window of them; `null` before the first. */
  readonly unknownRate: number | null;
  /** The last {@link keptWindows}, oldest first. */
  readonly judged: readonly JudgedWindow[];
}

export interface DriftWatch {
  /** Takes a frame; returns the window that it filled. */
  observe(frame: SeenFrame): FullWindow | null;
  /** Takes what `detectDrift` said of a window. @param time milliseconds since 1970. */
  judged(window: FullWindow, report: DriftReport, time: number): void;
  state(): WatchState;
}

/** Windows without alarm in a row that end one. */
export const calmWindows = 2;
const keptWindows = 64;

/**
 * Watches a line for drift, frame by frame: the first frames are the reference, those that follow are compared with it
 * in windows that share no frame.
 *
 * Looking again and again would alarm at last whatever the line does. So the level is spent: each of `windows` windows
 * is tested at level / `windows`, within which Holm holds the tests of that window together. By Boole's inequality, which
 * asks for no independence (all windows share the reference), an alarm without cause comes in at most `level` of such
 * periods. The tests assume that frames of the reference and of a line without drift may be exchanged; a line that runs
 * one kind of part in the morning and another in the afternoon has drifted by that.
 *
 * Holds `referenceFrames` + `windowFrames` embeddings and no more.
 *
 * @throws INVALID_ARGUMENT
 */
export function createDriftWatch({
  referenceFrames = 256,
  windowFrames = 64,
  level = 0.01,
  windows = 16,
  minFrames,
  seed = 1,
}: WatchOptions = {}): DriftWatch {
  checkWhole("frames of the reference", referenceFrames, 2);
  checkWhole("frames of a window", windowFrames, 2);
  checkWhole("windows that share the level", windows, 1);
  if (!(level > 0 && level < 1))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a level between 0 and 1",
      got: String(level),
      todo: "Give the share of periods that may alarm without cause, such as 0.01.",
    });
  let learnt: { readonly sample: FrameSample; readonly summary: FrameSummary } | null = null;
  let filling: SeenFrame[] = [];
  let recent: boolean[] = [];
  let frames = 0;
  let full = 0;
  let calm = calmWindows;
  let judged: readonly JudgedWindow[] = [];

  return {
    observe(frame) {
      frames++;
      filling.push(frame);
      recent.push(frame.label === null);
      if (recent.length > windowFrames) recent = recent.slice(1);
      if (filling.length < (learnt ? windowFrames : referenceFrames)) return null;
      const [sample, summary] = [sampleOf(filling), summaryOf(filling)];
      filling = [];
      if (!learnt) {
        learnt = { sample, summary };
        return null;
      }
      const options: DriftOptions = {
        level: level / windows,
        // Another deal of the permutations for each window.
        seed: seed + ++full,
        ...(minFrames !== undefined && { minFrames }),
      };
      return { reference: learnt.sample, current: sample, options, frame: frames, summary };
    },
    judged({ frame, summary }, report, time) {
      calm = report.alarm ? 0 : calm + 1;
      judged = [...judged, { ...report, ...summary, frame, time }].slice(-keptWindows);
    },
    state: () => ({
      phase: learnt ? "watching" : "learning",
      reference: {
        frames: learnt ? referenceFrames : filling.length,
        of: referenceFrames,
        summary: learnt?.summary ?? null,
      },
      window: { frames: learnt ? filling.length : 0, of: windowFrames },
      level,
      windows,
      alarm: calm < calmWindows,
      unknownRate: recent.length === 0 ? null : recent.filter(Boolean).length / recent.length,
      judged,
    }),
  };
}

function sampleOf(frames: readonly SeenFrame[]): FrameSample {
  const embeddings: Embeddings = stack(frames.map(({ embedding }) => embedding));
  return {
    embeddings,
    distances: Float64Array.from(frames, ({ distance }) => distance),
    labels: frames.map(({ label }) => label),
  };
}

function summaryOf(frames: readonly SeenFrame[]): FrameSummary {
  const distances = frames.map(({ distance }) => distance).sort((a, b) => a - b);
  const confidences = frames.flatMap(({ confidence }) => confidence ?? []);
  const counts = new Map<string | null, number>();
  for (const { label } of frames) counts.set(label, (counts.get(label) ?? 0) + 1);
  return {
    unknownRate: (counts.get(null) ?? 0) / frames.length,
    medianDistance: (distances[(frames.length - 1) >> 1]! + distances[frames.length >> 1]!) / 2,
    meanConfidence:
      confidences.length < frames.length
        ? null
        : confidences.reduce((sum, value) => sum + value, 0) / frames.length,
    answers: [...counts].map(([label, n]) => ({ label, frames: n })).sort((a, b) => b.frames - a.frames),
  };
}

function checkWhole(what: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new ProtolineError("INVALID_ARGUMENT", {
    expected: `at least ${least} ${what}`,
    got: String(value),
    todo: "Give a whole number of at least that.",
  });
}
