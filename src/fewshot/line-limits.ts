import { finish, type Steps } from "../core/index.ts";
import { logDistance } from "./distances.ts";
import { normalCdf } from "./limits.ts";
import type { Limit } from "./types.ts";

/**
 * What a line's frames say of where a class ends. The frames whose nearest class it is are its own and, among them, strangers;
 * nobody says which. Their log distances, in deviations of the class's own pictures about their mean, are taken for a mixture:
 * the class, normal, about where its pictures put it; and strangers, normal, farther out by an offset that is not known
 * either, in a share that may be anything up to most. The posterior over mean, deviation, share and offset is summed on
 * a grid; the limit for it is that which a frame of the class exceeds with the stated probability.
 *
 * A limit moves half of the way there, and only inward: strangers, however many, can never widen a limit beyond what its own
 * pictures say. Measured: docs/results/line-limits.md.
 */
export function* learningShift(frames: FrameCounts, limit: Limit, rate: number): Steps<number> {
  const { fit, threshold } = limit;
  if (!fit || threshold === null || frames.total < fewestFrames) return 0;
  const points = yield* posterior(frames, fit.ofMean / fit.deviation);
  let low = -1;
  let high = 8;
  for (let i = 0; i < 40; i++) {
    const z = (low + high) / 2;
    let beyond = 0;
    for (const { mean, deviation, weight } of points)
      beyond += weight * (1 - normalCdf((z - mean) / deviation));
    if (beyond > rate) low = z;
    else high = z;
  }
  const learned = fit.mean + fit.deviation * high;
  return Math.min(0, (learned - Math.log(threshold)) / 2);
}

/** {@link learningShift}, at once. */
export const learnedShift = (frames: FrameCounts, limit: Limit, rate: number): number =>
  finish(learningShift(frames, limit, rate));

/** Frames of a class below which nothing is learned. */
export const fewestFrames = 20;
/** Frames after which older ones count half. */
const mostFrames = 2000;

/** Bins of a tenth of a deviation, from four below the mean to eight above. */
const bins = 120;
const [least, width] = [-4, 0.1];

/** How many frames of a class lay where: all that is kept of them. */
export interface FrameCounts {
  readonly counts: Float64Array;
  readonly total: number;
}

/** Counts frames of one class; bounded, and older frames fade. */
export interface FrameCounter extends FrameCounts {
  /** A frame at a distance from the class, or, with −1, the same frame taken back. */
  count(distance: number, limit: Limit, by?: 1 | -1): void;
}

export function createFrameCounter(): FrameCounter {
  const counts = new Float64Array(bins);
  let total = 0;
  return {
    counts,
    get total() {
      return total;
    },
    count(distance, { fit }, by = 1) {
      if (!fit) return;
      const z = (logDistance(distance) - fit.mean) / fit.deviation;
      const at = Math.min(bins - 1, Math.max(0, Math.floor((z - least) / width)));
      const change = Math.max(by, -counts[at]!);
      counts[at]! += change;
      total += change;
      if (total <= mostFrames) return;
      for (let i = 0; i < bins; i++) counts[i]! /= 2;
      total /= 2;
    },
  };
}

const steps = (from: number, to: number, n: number): number[] =>
  Array.from({ length: n }, (_, i) => from + ((to - from) * i) / (n - 1));
const offsets = [0.75, 1.25, 1.75, 2.25, 3, 4];
/** Shares of strangers; few are likelier than many, and none likelier than few. */
const shares = [0, 0.03, 0.07, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7].map((share) => ({
  share,
  logPrior: 2 * Math.log(1 - share) + (share === 0 ? Math.log(3) : 0),
}));
/** Strangers are spread more than pictures of a class. */
const strangerSpread = 1.2;
/** Degrees of freedom of the prior deviation. */
const freedom = 18;

/** A mean and a deviation that the class may have, in deviations of its pictures, and how likely they are together, 0 … 1. */
interface Weighted {
  readonly mean: number;
  readonly deviation: number;
  readonly weight: number;
}

/** Summed over offsets and shares. `uncertainty`: deviation of the prior of the mean. */
function* posterior({ counts }: FrameCounts, uncertainty: number): Steps<Weighted[]> {
  const used = [...counts.keys()].filter((i) => counts[i]! > 0);
  const zs = used.map((i) => least + width * (i + 0.5));
  const densities = (mean: number, deviation: number): number[] =>
    zs.map((z) => Math.exp(-0.5 * ((z - mean) / deviation) ** 2) / deviation);
  const found: { mean: number; deviation: number; logs: number[] }[] = [];
  for (const m of steps(-2.5, 2.5, 13))
    for (const logDeviation of steps(-0.5, 0.5, 9)) {
      const deviation = Math.exp(logDeviation);
      const mean = m * uncertainty;
      const prior = -0.5 * m * m - freedom * logDeviation - (0.5 * freedom) / (deviation * deviation);
      const own = densities(mean, deviation);
      const logs: number[] = [];
      for (const offset of offsets) {
        const strange = densities(mean + offset * deviation, strangerSpread * deviation);
        for (const { share, logPrior } of shares) {
          let sum = prior + logPrior;
          for (let k = 0; k < used.length; k++)
            sum += counts[used[k]!]! * Math.log((1 - share) * own[k]! + share * strange[k]! + 1e-12);
          logs.push(sum);
        }
      }
      found.push({ mean, deviation, logs });
      yield;
    }
  const most = Math.max(...found.map(({ logs }) => Math.max(...logs)));
  const weights = found.map(({ logs }) => logs.reduce((sum, x) => sum + Math.exp(x - most), 0));
  const total = weights.reduce((a, b) => a + b);
  return found.map(({ mean, deviation }, i) => ({ mean, deviation, weight: weights[i]! / total }));
}
