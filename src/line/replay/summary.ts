import { type Count, wilson } from "../../monitor/index.ts";
import type { ReplayPlan } from "./plan.ts";
import type { ReplayRecord, ReplayResult } from "./replay.ts";

/** So many of so many, with the interval that holds the true rate in about 95 of 100 cases. */
export interface Rate extends Count {
  readonly share: number | null;
  readonly interval: readonly [number, number];
}

export interface ClassSummary {
  readonly label: string;
  /** Frame of its first appearance, 0 for a class of the beginning. */
  readonly appeared: number;
  /** Frame from which on it could be recognized: 0 for a class of the beginning, `null` for one that never became known. */
  readonly known: number | null;
  /** Its own frames until then. */
  readonly framesUntilKnown: number;
  /** Of these, called unknown or ambiguous; the rest was given another class's name. */
  readonly caught: Rate;
  /** Its frames after it was known: recognized, given another name, called unknown or ambiguous. */
  readonly recognized: Rate;
  readonly wrong: Rate;
  readonly falseUnknown: Rate;
}

export interface Latency {
  readonly frames: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface PhaseSummary {
  /** Frames `[from, to)`: between two appearances of classes. */
  readonly from: number;
  readonly to: number;
  /** Right answers: the class's name where it was known, unknown or ambiguous where it was not. */
  readonly right: Rate;
}

export interface ReplaySummary {
  readonly frames: number;
  readonly classes: readonly ClassSummary[];
  readonly phases: readonly PhaseSummary[];
  /** Over all frames of classes that were known then. */
  readonly recognized: Rate;
  readonly wrong: Rate;
  readonly falseUnknown: Rate;
  /** Over all frames of classes that were not. */
  readonly caught: Rate;
  readonly latency: Latency;
  /** Of the frames that were asked about while pictures were being enrolled. */
  readonly latencyOnboarding: Latency;
}

/** What a manager asks about a replay. */
export function summarizeReplay({ records, onboarded }: ReplayResult, plan: ReplayPlan): ReplaySummary {
  const started = new Set(plan.start.map(({ label }) => label));
  const of = (some: readonly ReplayRecord[]) => {
    const after = some.filter(({ enrolled }) => enrolled);
    const before = some.filter(({ enrolled }) => !enrolled);
    return {
      recognized: rate(after, isRight),
      wrong: rate(after, ({ kind, label, truth }) => kind === "known" && label !== truth),
      falseUnknown: rate(after, ({ kind }) => kind !== "known"),
      caught: rate(before, ({ kind }) => kind !== "known"),
    };
  };
  const classes = [...plan.appears].map(([label, appeared]): ClassSummary => {
    const own = records.filter(({ truth }) => truth === label);
    const first = onboarded.find((one) => one.label === label);
    const known = started.has(label) ? 0 : (first?.frame ?? null);
    return {
      label,
      appeared,
      known,
      framesUntilKnown: own.filter(({ enrolled }) => !enrolled).length,
      ...of(own),
    };
  });
  const borders = [...new Set([...plan.appears.values(), records.length])]
    .filter((at) => at <= records.length)
    .sort((a, b) => a - b);
  const phases = borders.slice(1).map((to, i) => {
    const from = borders[i]!;
    return {
      from,
      to,
      right: rate(records.slice(from, to), (record) =>
        record.enrolled ? isRight(record) : record.kind !== "known",
      ),
    };
  });
  return {
    frames: records.length,
    classes,
    phases,
    ...of(records),
    latency: latency(records),
    latencyOnboarding: latency(records.filter(({ onboarding }) => onboarding)),
  };
}

const isRight = ({ kind, label, truth }: ReplayRecord): boolean => kind === "known" && label === truth;

function rate(records: readonly ReplayRecord[], hit: (record: ReplayRecord) => boolean): Rate {
  const count = { hits: records.filter(hit).length, of: records.length };
  return { ...count, share: count.of === 0 ? null : count.hits / count.of, interval: wilson(count) };
}

/** Percentiles by nearest rank; 0 of nothing. */
function latency(records: readonly ReplayRecord[]): Latency {
  const sorted = records.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { frames: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
