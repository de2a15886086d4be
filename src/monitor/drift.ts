import { createRng, type Embeddings, ProtolineError, take } from "../core/index.ts";
import { kolmogorovSmirnov } from "./kolmogorov-smirnov.ts";
import { meanShift } from "./mean-shift.ts";
import { mmd } from "./mmd.ts";
import { rateChange } from "./rates.ts";

/** Frames of a line as they were answered. */
export interface FrameSample {
  /** `[n, dim]` */
  readonly embeddings: Embeddings;
  /** Distance of each frame to its nearest class, `[n]`. */
  readonly distances: ArrayLike<number>;
  /** Nearest class of each frame, `[n]`; `null` for a frame that was answered unknown. */
  readonly labels: readonly (string | null)[];
}

export type DriftTest = "embeddings" | "distance" | "unknownRate" | "classMean";

export interface DriftFinding {
  readonly test: DriftTest;
  /** Of which class, for `classMean`. */
  readonly label?: string;
  /**
   * `embeddings`: MMD². `distance`: largest difference of the distribution functions. `unknownRate`: current rate less
   * reference rate. `classMean`: shift of the mean, in σ of the class.
   */
  readonly statistic: number;
  /** Of this test alone. */
  readonly pValue: number;
  /** For all tests of the report together (Holm 1979): an alarm where it is at most the level. */
  readonly adjusted: number;
  readonly alarm: boolean;
  /** Frames in reference and current that the test saw. */
  readonly frames: readonly [number, number];
}

export interface DriftReport {
  /** P(any alarm) where nothing has changed, at most. */
  readonly level: number;
  readonly alarm: boolean;
  /** Alarms first, then by p-value. */
  readonly findings: readonly DriftFinding[];
}

export interface DriftOptions {
  /** False-alarm rate of the whole report, > 0 and < 1. Default 0.01. */
  readonly level?: number;
  /** A class is looked at on its own from so many frames in both samples on. Default 8. */
  readonly minFrames?: number;
  /** Of the permutations. Default 1. */
  readonly seed?: number;
}

/**
 * Whether the line has changed since the reference was taken: the embeddings as a whole ({@link mmd}), their distance to
 * the nearest class ({@link kolmogorovSmirnov}), the rate of unknown frames ({@link rateChange}), and the mean of each
 * class ({@link meanShift}).
 *
 * The level holds for one report. Whoever makes one a shift sees an alarm without cause in one of 1/level shifts at most.
 * Frames must be apart in time as parts are: neighbouring frames of one part are one frame.
 *
 * @throws INVALID_ARGUMENT, DIMENSION_MISMATCH
 */
export function detectDrift(
  reference: FrameSample,
  current: FrameSample,
  { level = 0.01, minFrames = 8, seed = 1 }: DriftOptions = {},
): DriftReport {
  if (!(level > 0 && level < 1))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a level between 0 and 1",
      got: String(level),
      todo: "Give the share of reports that may alarm without cause, such as 0.01.",
    });
  for (const [name, sample] of Object.entries({ reference, current })) checkSample(name, sample);
  const labels = [...new Set(reference.labels)]
    .filter((label): label is string => label !== null)
    .filter((label) => [reference, current].every((sample) => rowsOf(sample, label).length >= minFrames))
    .sort();
  // So many that the smallest p-value, times the number of tests, is well below the level.
  const permutations = Math.max(999, Math.ceil((4 * (3 + labels.length)) / level) - 1);
  const root = createRng(seed);
  const options = (stream: number) => ({ permutations, rng: root.fork(stream) });
  const whole = [reference.labels.length, current.labels.length] as const;
  const unknown = ({ labels: all }: FrameSample) => ({
    hits: all.filter((label) => label === null).length,
    of: all.length,
  });

  const seen = mmd(reference.embeddings, current.embeddings, options(0));
  const distance = kolmogorovSmirnov(reference.distances, current.distances);
  const rate = rateChange(unknown(reference), unknown(current));
  const findings: Omit<DriftFinding, "adjusted" | "alarm">[] = [
    { test: "embeddings", statistic: seen.mmdSquared, pValue: seen.pValue, frames: whole },
    { test: "distance", statistic: distance.statistic, pValue: distance.pValue, frames: whole },
    { test: "unknownRate", statistic: rate.difference, pValue: rate.pValue, frames: whole },
    ...labels.map((label, i) => {
      const [before, now] = [reference, current].map((sample) =>
        take(sample.embeddings, rowsOf(sample, label)),
      ) as [Embeddings, Embeddings];
      const { shift, pValue } = meanShift(before, now, options(1 + i));
      return {
        test: "classMean" as const,
        label,
        statistic: shift,
        pValue,
        frames: [before.n, now.n] as const,
      };
    }),
  ];
  const adjusted = holm(findings.map(({ pValue }) => pValue));
  const judged = findings
    .map((finding, i) => ({ ...finding, adjusted: adjusted[i]!, alarm: adjusted[i]! <= level }))
    .sort((a, b) => a.adjusted - b.adjusted || a.pValue - b.pValue);
  return { level, alarm: judged.some(({ alarm }) => alarm), findings: judged };
}

/** p-values that each may be compared with the level of all together (Holm 1979). */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a]! - pValues[b]!);
  const out = new Array<number>(pValues.length);
  let largest = 0;
  order.forEach((i, rank) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - rank) * pValues[i]!));
    out[i] = largest;
  });
  return out;
}

const rowsOf = ({ labels }: FrameSample, label: string): number[] =>
  labels.flatMap((own, i) => (own === label ? [i] : []));

function checkSample(name: string, { embeddings, distances, labels }: FrameSample): void {
  if (embeddings.n === labels.length && distances.length === labels.length) return;
  throw new ProtolineError("INVALID_ARGUMENT", {
    expected: `as many embeddings and distances as labels in the ${name}`,
    got: `${embeddings.n} and ${distances.length} for ${labels.length}`,
    todo: "Take all three from the same frames.",
  });
}
