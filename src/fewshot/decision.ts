import { type Embeddings, finish, ProtolineError, row, type Steps } from "../core/index.ts";
import { confidences } from "./confidence.ts";
import {
  averageRows,
  type Calibrated,
  calibrate,
  calibratesExactly,
  centerOf,
  makeScorers,
  type Scorers,
} from "./fit.ts";
import type { RidgeScorer } from "./heads/ridge.ts";
import type { Scorer } from "./heads/scorer.ts";
import type { Vector } from "./linalg.ts";
import { addRows, type ClassRows, checkSupport, pickViews, removeRows } from "./samples.ts";
import { checkSpec } from "./spec.ts";
import { centerAndScale, checkFinite, powerAndScale } from "./transforms.ts";
import type { Candidate, Decided, DecisionPriors, DecisionSpec, FittedDecision, Support } from "./types.ts";

/**
 * Fits a decision to a gallery's support. Where the spec has no support views, only the first row of each group is
 * used. Throws GALLERY_EMPTY for no rows, DIMENSION_MISMATCH, NOT_FINITE (with the row), and INVALID_ARGUMENT for a
 * spec that does not make sense.
 */
export function fitDecision<Label>(
  support: Support<Label>,
  spec: DecisionSpec,
  priors: DecisionPriors,
): FittedDecision<Label> {
  return finish(fittingDecision(support, spec, priors));
}

/** {@link fitDecision}, to be done a little at a time beside other work; see core/steps. */
export function* fittingDecision<Label>(
  support: Support<Label>,
  spec: DecisionSpec,
  priors: DecisionPriors,
): Steps<FittedDecision<Label>> {
  const { dim } = support.embeddings;
  checkSpec(spec, priors, dim);
  checkSupport(support, dim);
  const classes = yield* addRows([], pickViews(support, spec), spec.transform);
  return yield* build({ classes, dim, spec, priors }, null, null);
}

interface Gallery<Label> {
  readonly classes: readonly ClassRows<Label>[];
  readonly dim: number;
  readonly spec: DecisionSpec;
  readonly priors: DecisionPriors;
}

/** A calibration that a big gallery goes on with while few of its pictures have changed. */
interface Carried<Label> {
  readonly calibrated: Calibrated;
  readonly labels: readonly Label[];
  /** Pictures when it was made, and rows changed since. */
  readonly pictures: number;
  readonly changed: number;
}

/** Share of changed rows from which a big gallery is calibrated anew. */
const recalibrateShare = 0.05;

interface Fit extends Scorers, Calibrated {}

function* build<Label>(
  gallery: Gallery<Label>,
  ridge: RidgeScorer | null,
  carried: Carried<Label> | null,
): Steps<FittedDecision<Label>> {
  const { classes, dim, spec, priors } = gallery;
  if (classes.length === 0)
    throw new ProtolineError("GALLERY_EMPTY", {
      expected: "at least one class with one picture",
      got: "none",
      todo: "Enroll some pictures first.",
    });
  const labels = classes.map((c) => c.label);
  const pictures = classes.reduce((sum, c) => sum + c.pictures.length, 0);
  const center = centerOf(classes, dim, spec.transform, priors);
  const scorers = yield* makeScorers(classes, dim, spec, center, ridge);
  const keep =
    carried !== null &&
    carried.changed <= recalibrateShare * carried.pictures &&
    !calibratesExactly(classes, scorers);
  const calibrated = keep ? carryOver(carried, labels) : yield* calibrate(classes, spec, priors, scorers);
  const kept: Carried<Label> = keep
    ? { ...carried, calibrated, labels }
    : { calibrated, labels, pictures, changed: 0 };
  const fitted: Fit = { ...scorers, ...calibrated };

  let running: { readonly mean: Float32Array; readonly at: Fit } | null = null;
  const fitFor = (runningMean: Float32Array | undefined): Fit => {
    if (spec.transform.center !== "running" || !runningMean) return fitted;
    checkDim(runningMean.length, dim, "the running mean");
    if (!running || running.mean.some((v, i) => v !== runningMean[i])) {
      checkFinite(runningMean, 0);
      const mean = Float32Array.from(runningMean);
      const moved = finish(makeScorers(classes, dim, spec, mean, scorers.ridge));
      running = { mean, at: { ...moved, ...finish(calibrate(classes, spec, priors, moved)) } };
    }
    return running.at;
  };
  const byLabel = <T>(values: readonly T[]): Map<Label, T> => new Map(labels.map((l, c) => [l, values[c]!]));

  function* updating(change: Parameters<FittedDecision<Label>["update"]>[0]): Steps<FittedDecision<Label>> {
    const { classes: next, ridge: head, rows } = yield* changed(gallery, scorers.ridge, change);
    return yield* build({ ...gallery, classes: next }, head, { ...kept, changed: kept.changed + rows });
  }

  return {
    spec,
    dim,
    labels,
    temperature: calibrated.temperature,
    thresholds: byLabel(calibrated.thresholds.map((t) => t.threshold)),
    thresholdSources: byLabel(calibrated.thresholds.map((t) => t.source)),
    transform: (raw, runningMean) => {
      checkDim(raw.length, dim, "the embedding");
      checkFinite(raw, 0);
      const center: Vector | null =
        spec.transform.center === "running" && runningMean ? runningMean : scorers.center;
      return centerAndScale(powerAndScale(raw, spec.transform), spec.transform, center);
    },
    decide: (views, { topK, runningMean } = {}) =>
      decide(labels, dim, spec, fitFor(runningMean), views, topK),
    leaveOneOut: () =>
      classes.flatMap((c, owner) =>
        c.pictures.length < 2
          ? []
          : c.pictures.map((rows, picture) => {
              const distances = (scorer: Scorer): Float64Array => {
                const left = scorer.leaveOut(owner, rows);
                return spec.views.query.length > 0 ? averageRows(left) : left[0]!;
              };
              const heads = distances(scorers.head);
              const open = scorers.openSet === scorers.head ? heads : distances(scorers.openSet);
              return { label: c.label, picture, decided: answer(labels, spec, fitted, heads, open) };
            }),
      ),
    updating,
    update: (change) => finish(updating(change)),
  };
}

/** The classes after a change, with the ridge head taken along. */
function* changed<Label>(
  { classes, dim, spec }: Gallery<Label>,
  ridge: RidgeScorer | null,
  { add, remove }: { readonly add?: Support<Label>; readonly remove?: Support<Label> },
): Steps<{
  readonly classes: ClassRows<Label>[];
  readonly ridge: RidgeScorer | null;
  readonly rows: number;
}> {
  if (add) checkSupport(add, dim);
  if (remove) checkSupport(remove, dim);
  const cut = remove ? removeRows(classes, pickViews(remove, spec)) : { classes: [...classes], removed: [] };
  const next = add ? yield* addRows(cut.classes, pickViews(add, spec), spec.transform) : cut.classes;
  const before = new Map(classes.map((c, i) => [c.label, i]));
  const left = new Map(cut.classes.map((c) => [c.label, c.rows.length]));
  const added = next.flatMap((c, owner) =>
    c.rows.length === left.get(c.label)
      ? []
      : c.rows.slice(left.get(c.label) ?? 0).map((z) => ({ owner, row: z })),
  );
  const removed = cut.removed.map(({ label, row: z }) => ({ owner: before.get(label)!, row: z }));
  return {
    classes: next,
    ridge:
      ridge && next.length > 0
        ? yield* ridge.update({
            classes: next,
            from: next.map((c) => before.get(c.label) ?? -1),
            removed,
            added,
          })
        : null,
    rows: added.length + removed.length,
  };
}

/** New classes take the mean threshold of the others until the next calibration. */
function carryOver<Label>({ calibrated, labels }: Carried<Label>, next: readonly Label[]): Calibrated {
  const known = new Map(labels.map((l, c) => [l, calibrated.thresholds[c]!]));
  const thresholds = calibrated.thresholds.map((t) => t.threshold);
  const mean = thresholds.reduce((sum, t) => sum + t / thresholds.length, 0);
  return {
    temperature: calibrated.temperature,
    thresholds: next.map((l) => known.get(l) ?? { threshold: mean, source: "others" }),
  };
}

function checkDim(got: number, dim: number, what: string): void {
  if (got !== dim)
    throw new ProtolineError("DIMENSION_MISMATCH", {
      expected: `${what} to have ${dim} numbers`,
      got: `${got}`,
      todo: "Use the encoder that the gallery was made with.",
    });
}

function decide<Label>(
  labels: readonly Label[],
  dim: number,
  spec: DecisionSpec,
  fit: Fit,
  views: Embeddings,
  topK = labels.length,
): Decided<Label> {
  checkDim(views.dim, dim, "a frame's embedding");
  if (views.n === 0)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "at least one view of the frame",
      got: "none",
      todo: "Pass the embedding of the frame.",
    });
  const seen = Array.from({ length: views.n }, (_, i) => {
    checkFinite(row(views, i), i);
    return powerAndScale(row(views, i), spec.transform);
  });
  const heads = averageRows(seen.map((z) => fit.head.distances(z)));
  const distances = fit.openSet === fit.head ? heads : averageRows(seen.map((z) => fit.openSet.distances(z)));
  return answer(labels, spec, fit, heads, distances, topK);
}

/** From the distances of the head and of the open set, `[classes]` each. */
function answer<Label>(
  labels: readonly Label[],
  spec: DecisionSpec,
  fit: Calibrated,
  heads: Float64Array,
  distances: Float64Array,
  topK = labels.length,
): Decided<Label> {
  const confidence = confidences(heads, fit.temperature);
  const thresholds = fit.thresholds;
  let accepted = false;
  for (let c = 0; c < distances.length && !accepted; c++)
    accepted = distances[c]! <= thresholds[c]!.threshold;
  const order = firstBy(
    labels.length,
    Math.max(2, topK),
    (a, b) => confidence[b]! - confidence[a]! || distances[a]! - distances[b]!,
  );
  const best = order[0]!;
  const candidates = order.slice(0, Math.max(1, topK)).map(
    (c): Candidate<Label> => ({
      label: labels[c]!,
      confidence: confidence[c]!,
      distance: distances[c]!,
      threshold: thresholds[c]!.threshold,
    }),
  );
  // The same rule that the thresholds are calibrated for: unknown is what no class accepts.
  if (!accepted) return { kind: "unknown", candidates };
  const second = order[1];
  const close = second !== undefined && confidence[best]! - confidence[second]! < spec.ambiguity.margin;
  // The head names a class that the distance rules out, while another accepts: they contradict each other.
  if (close || distances[best]! > thresholds[best]!.threshold) return { kind: "ambiguous", candidates };
  return { kind: "known", label: labels[best]!, candidates };
}

/** The first `k` of the numbers 0 … n − 1 in the order of `compare`; a large gallery is not sorted for three answers. */
function firstBy(n: number, k: number, compare: (a: number, b: number) => number): number[] {
  if (k >= n) return Array.from({ length: n }, (_, i) => i).sort(compare);
  const first: number[] = [];
  for (let i = 0; i < n; i++) {
    if (first.length === k && compare(i, first[k - 1]!) >= 0) continue;
    if (first.length === k) first.pop();
    let at = first.length;
    while (at > 0 && compare(i, first[at - 1]!) < 0) at--;
    first.splice(at, 0, i);
  }
  return first;
}

/**
 * How unlike all known classes a frame is: by how much its distance exceeds the threshold of the class that comes
 * nearest to accepting it, above 0 exactly for `unknown`. For AUROC and its like. Needs the answer with all candidates.
 */
export function novelty<Label>(decided: Decided<Label>): number {
  return decided.candidates.reduce(
    (least, c) => Math.min(least, c.distance - c.threshold),
    Number.POSITIVE_INFINITY,
  );
}
