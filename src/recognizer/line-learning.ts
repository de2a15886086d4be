import { inSlices, quote } from "../core/index.ts";
import {
  createFrameCounter,
  type DecisionSpec,
  type FrameCounter,
  type LearnedLimit,
  type Limit,
  learningShift,
  logDistance,
} from "../fewshot/index.ts";
import type { Recognition } from "./types.ts";

/** What a line's frames are learned for. */
export interface LearningGallery {
  readonly revision: { readonly number: number };
  readonly decision: DecisionSpec;
  readonly limits: ReadonlyMap<string, Limit>;
  setDecision(
    decision: DecisionSpec,
    change: { readonly who: string; readonly reason: string },
  ): Promise<unknown>;
}

export interface LineLearnerOptions {
  /** Frames between two looks at the limits. Default 100. */
  readonly every?: number;
  /** Frames that wait before they count, so that a person can call them wrong. Default 50. */
  readonly delay?: number;
}

/** A limit that moved by less makes no revision, 8 % of its distance. */
const leastMove = 0.08;
/** A move that counts whatever the limit rests on. */
const greatMove = 0.24;
/** How many times the frames that a limit rests on are asked for to move it again by less. */
const moreEvidence = 1.5;
/** Frames of a class in a row whose log distances differ by less show the same. */
const leastStep = 0.02;
/** Frames that can still be taken back. */
const mostRemembered = 5000;

/** An answered frame as it is known again: its revision and its distances, to the last digit. */
export interface AnsweredFrame {
  readonly revision: number;
  readonly candidates: readonly { readonly label: string; readonly distance: number }[];
}

const nameOf = ({ revision, candidates }: AnsweredFrame): string => {
  const nearest = candidates.reduce((a, b) => (b.distance < a.distance ? b : a));
  return `${revision} ${nearest.distance} ${nearest.label}`;
};

/**
 * Whether a limit is to be moved: by enough, and on more frames than it rests on. So a limit is written a few times and
 * not at every look, a process that has just begun does not undo what another learned, and servers over one store
 * do not write against each other.
 */
function worthWriting(shift: number, frames: number, before: LearnedLimit | null): boolean {
  const move = Math.abs(shift - (before?.shift ?? 0));
  return move >= greatMove || (move >= leastMove && frames >= moreEvidence * (before?.frames ?? 0));
}

export interface LineLearner {
  /** Takes an answered frame. */
  observe(answer: Recognition): void;
  /** A person called the answer wrong, or gave the frame a name: it is not learned from, or is taken back. */
  withdraw(answer: AnsweredFrame): void;
  /** Resolves when what was begun is done; for closing and for tests. */
  settled(): Promise<void>;
}

interface Waiting {
  readonly frame: string;
  readonly label: string;
  readonly distance: number;
}

/**
 * Refines the limits of a gallery's classes by the frames that it answers (see fewshot/line-limits): it counts, for
 * each class, how far the frames lay whose nearest class it is, and every so many frames looks where the limits belong. What
 * moved is a revision of its own, with its reason. In memory: a hundred numbers a class, and the frames that
 * may still be taken back.
 *
 * @param failed told of a revision that could not be written; the next look tries again.
 */
export function createLineLearner(
  gallery: LearningGallery,
  failed: (error: unknown) => void,
  { every = 100, delay = 50 }: LineLearnerOptions = {},
): LineLearner {
  const counters = new Map<string, { readonly pictures: number; readonly counter: FrameCounter }>();
  const waiting: Waiting[] = [];
  const counted = new Map<string, Waiting>();
  /** The last frame of each class, and what frames looked like lately. */
  const last = new Map<string, number>();
  const lately = new Set<string>();
  /** A part that stays before the camera, or a picture that comes again, is one frame and not many. */
  const seenBefore = (label: string, distance: number): boolean => {
    const log = logDistance(distance);
    const still = Math.abs(log - (last.get(label) ?? Number.NaN)) < leastStep;
    last.set(label, log);
    // Batches round an embedding otherwise each time, in the sixth digit.
    const name = `${distance.toPrecision(5)} ${label}`;
    const again = lately.has(name);
    lately.add(name);
    if (lately.size > mostRemembered) lately.delete(lately.keys().next().value!);
    return still || again;
  };
  let frames = 0;
  let work: Promise<unknown> = Promise.resolve();

  /** The counter of a class as it is now: with other pictures it begins anew. */
  const counterOf = (label: string, { pictures }: Limit): FrameCounter => {
    const known = counters.get(label);
    if (known?.pictures === pictures) return known.counter;
    const counter = createFrameCounter();
    counters.set(label, { pictures, counter });
    return counter;
  };
  const count = (one: Waiting, by: 1 | -1): void => {
    const limit = gallery.limits.get(one.label);
    if (limit) counterOf(one.label, limit).count(one.distance, limit, by);
  };

  const look = async (): Promise<void> => {
    const { decision, limits } = gallery;
    const looked = gallery.revision.number;
    const { falseRejectRate, learned: before = [] } = decision.openSet;
    const shiftBefore = new Map(before.map((one) => [one.label, one]));
    const plain = new Map<string, Limit>();
    for (const [label, limit] of limits) {
      const shift = limit.frames === undefined ? 0 : (shiftBefore.get(label)?.shift ?? 0);
      plain.set(
        label,
        limit.threshold === null ? limit : { ...limit, threshold: limit.threshold / Math.exp(shift) },
      );
    }
    const learned: LearnedLimit[] = [];
    const moved: string[] = [];
    for (const [label, limit] of plain) {
      const old = shiftBefore.get(label);
      const known = counters.get(label);
      const current = known?.pictures === limit.pictures ? known.counter : null;
      const valid = old && old.pictures === limit.pictures ? old : null;
      const shift = current ? await inSlices(learningShift(current, limit, falseRejectRate)) : 0;
      const differs = current !== null && worthWriting(shift, current.total, valid);
      if (!differs) {
        if (valid) learned.push(valid);
        continue;
      }
      const total = Math.round(current.total);
      if (shift < 0) learned.push({ label, pictures: limit.pictures, frames: total, shift });
      moved.push(
        `${quote(label)} by ${(100 * (Math.exp(shift - (valid?.shift ?? 0)) - 1)).toFixed(0)} % (${total} frames)`,
      );
    }
    // Another decision or other pictures came meanwhile: what was found is of before, and the next look finds it anew.
    if (moved.length === 0 || gallery.revision.number !== looked) return;
    const { learned: _, ...openSet } = decision.openSet;
    await gallery.setDecision(
      { ...decision, openSet: { ...openSet, ...(learned.length > 0 && { learned }) } },
      {
        who: "line",
        reason: `limits learned from the line: ${moved.slice(0, 5).join(", ")}${moved.length > 5 ? ", …" : ""}`,
      },
    );
  };

  return {
    observe(answer) {
      const { limit, revision, kind } = answer;
      // Of another revision its distances may mean something else; an ambiguous frame is nobody's.
      if (revision !== gallery.revision.number || kind === "ambiguous") return;
      if (seenBefore(limit.label, limit.distance)) return;
      waiting.push({ frame: nameOf(answer), label: limit.label, distance: limit.distance });
      if (waiting.length > delay) {
        const one = waiting.shift()!;
        count(one, 1);
        counted.set(one.frame, one);
        if (counted.size > mostRemembered) counted.delete(counted.keys().next().value!);
      }
      if (++frames % every === 0) work = work.then(look).catch(failed);
    },
    withdraw(answer) {
      const frame = nameOf(answer);
      const at = waiting.findIndex((one) => one.frame === frame);
      if (at >= 0) waiting.splice(at, 1);
      const one = counted.get(frame);
      if (!one) return;
      counted.delete(frame);
      count(one, -1);
    },
    settled: () => work.then(() => undefined),
  };
}
