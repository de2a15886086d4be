import { type Embeddings, finish, ProtolineError, row, type Steps } from "../core/index.ts";
import { confidences } from "./confidence.ts";
import { type DistinctClass, distinct } from "./distinct.ts";
import {
  averageRows,
  type Calibrated,
  calibrate,
  calibratesExactly,
  energiesOf,
  leaveUnitOut,
  limitsOf,
  makeScorers,
  type Scorers,
  type UpdatableScorer,
} from "./fit.ts";
import type { ScorerChange } from "./heads/scorer.ts";
import { addRows, type ClassRows, checkSupport, pickViews, removeRows } from "./samples.ts";
import { checkSpec } from "./spec.ts";
import { centerAndScale, checkFinite, powerAndScale } from "./transforms.ts";
import type { Candidate, Decided, DecisionPriors, DecisionSpec, FittedDecision, Support } from "./types.ts";

/**
 * Fits a decision to a gallery's support. Where the spec has no support views, only the first row of each picture is
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

/** What a gallery was before a change. */
interface Before<Label> {
  readonly classes: readonly ClassRows<Label>[];
  readonly calibrated: Calibrated;
  /** Units when all of it was calibrated, and rows changed since. */
  readonly pictures: number;
  readonly changed: number;
}

/** Share of changed rows from which a big gallery is calibrated anew. */
const recalibrateShare = 0.05;

interface Fit extends Scorers, Calibrated {}

function* build<Label>(
  gallery: Gallery<Label>,
  head: UpdatableScorer | null,
  before: Before<Label> | null,
): Steps<FittedDecision<Label>> {
  const { classes: all, dim, spec, priors } = gallery;
  if (all.length === 0)
    throw new ProtolineError("GALLERY_EMPTY", {
      expected: "at least one class with one picture",
      got: "none",
      todo: "Enroll some pictures first.",
    });
  const classes: DistinctClass<Label>[] = [];
  for (const c of all) {
    classes.push(distinct(c));
    yield;
  }
  const scorers = yield* makeScorers(classes, dim, spec, priors, head);
  const carried =
    before !== null &&
    before.changed <= recalibrateShare * before.pictures &&
    !calibratesExactly(classes, scorers)
      ? before
      : null;
  const calibrated = yield* carried
    ? recalibrate(classes, spec, priors, scorers, carried)
    : calibrate(classes, spec, priors, scorers);
  const after: Before<Label> = {
    classes: all,
    calibrated,
    pictures: carried?.pictures ?? classes.reduce((sum, c) => sum + c.units.length, 0),
    changed: carried?.changed ?? 0,
  };

  return assemble({ gallery, classes, scorers, after });
}

interface Parts<Label> {
  readonly gallery: Gallery<Label>;
  readonly classes: readonly DistinctClass<Label>[];
  readonly scorers: Scorers;
  readonly after: Before<Label>;
}

function assemble<Label>(parts: Parts<Label>): FittedDecision<Label> {
  const { gallery, classes, scorers, after } = parts;
  const { dim, spec } = gallery;
  const { calibrated } = after;
  const fitted: Fit = { ...scorers, ...calibrated };
  const labels = classes.map((c) => c.of.label);

  function* updating(change: Parameters<FittedDecision<Label>["update"]>[0]): Steps<FittedDecision<Label>> {
    const next = yield* changedClasses(gallery, change);
    const { rows, ...scorerChange } = changeOf(gallery.classes, next);
    const updated =
      scorers.updatable && next.length > 0 ? yield* scorers.updatable.update(scorerChange) : null;
    return yield* build({ ...gallery, classes: next }, updated, { ...after, changed: after.changed + rows });
  }

  return {
    spec,
    dim,
    labels,
    temperature: calibrated.temperature,
    limits: new Map(labels.map((l, c) => [l, calibrated.limits[c]!])),
    transform: (raw) => {
      checkDim(raw.length, dim, "the embedding");
      checkFinite(raw, 0);
      return centerAndScale(powerAndScale(raw, spec.transform), spec.transform, scorers.center);
    },
    decide: (views, { topK } = {}) => decide(labels, dim, spec, fitted, views, topK),
    withOpenSet: (openSet) => {
      const wanted = { ...spec, openSet };
      checkSpec(wanted, gallery.priors, dim);
      const limits = limitsOf(calibrated, classes, wanted);
      return assemble({
        ...parts,
        gallery: { ...gallery, spec: wanted },
        after: { ...after, calibrated: { ...calibrated, limits } },
      });
    },
    leaveOneOut: () => classes.flatMap((_, owner) => leaveClassOut(classes, owner, spec, fitted)),
    updating,
    update: (change) => finish(updating(change)),
  };
}

function leaveClassOut<Label>(
  classes: readonly DistinctClass<Label>[],
  owner: number,
  spec: DecisionSpec,
  fit: Fit,
): { readonly label: Label; readonly picture: number; readonly decided: Decided<Label> }[] {
  const { of, units } = classes[owner]!;
  if (units.length < 2) return [];
  const labels = classes.map((c) => c.of.label);
  return units
    .flatMap((_, unit) => leaveUnitOut(classes, fit, owner, unit, spec.views.query.length > 0))
    .sort((a, b) => a.picture - b.picture)
    .map(({ picture, heads, openSet }) => ({
      label: of.label,
      picture,
      decided: answer(labels, spec, fit, heads, openSet),
    }));
}

/** The classes after a change. */
function* changedClasses<Label>(
  { classes, dim, spec }: Gallery<Label>,
  { add, remove }: { readonly add?: Support<Label>; readonly remove?: Support<Label> },
): Steps<ClassRows<Label>[]> {
  if (add) checkSupport(add, dim);
  if (remove) checkSupport(remove, dim);
  const left = remove ? removeRows(classes, pickViews(remove, spec)) : [...classes];
  return add ? yield* addRows(left, pickViews(add, spec), spec.transform) : left;
}

/** What of the rows that are fitted came and went, and how many. */
function changeOf<Label>(
  before: readonly ClassRows<Label>[],
  after: readonly ClassRows<Label>[],
): ScorerChange & { readonly rows: number } {
  const numbers = new Map(before.map((c, i) => [c.label, i]));
  const left = new Set(numbers.keys());
  const removed: { owner: number; row: Float32Array }[] = [];
  const added: { owner: number; row: Float32Array }[] = [];
  after.forEach((c, owner) => {
    left.delete(c.label);
    const number = numbers.get(c.label) ?? -1;
    const old = before[number];
    if (old === c) return;
    const had = new Set(old ? distinct(old).rows : []);
    for (const row of distinct(c).rows) if (!had.delete(row)) added.push({ owner, row });
    for (const row of had) removed.push({ owner: number, row });
  });
  for (const label of left) {
    const owner = numbers.get(label)!;
    for (const row of distinct(before[owner]!).rows) removed.push({ owner, row });
  }
  return {
    classes: after.map(distinct),
    from: after.map((c) => numbers.get(c.label) ?? -1),
    removed,
    added,
    rows: removed.length + added.length,
  };
}

/** Of a big gallery only the classes that changed are left out again. */
function recalibrate<Label>(
  classes: readonly DistinctClass<Label>[],
  spec: DecisionSpec,
  priors: DecisionPriors,
  scorers: Scorers,
  { classes: before, calibrated }: Before<Label>,
): Steps<Calibrated> {
  const known = new Map(before.map((c, i) => [c, calibrated.scores[i]!]));
  return calibrate(
    classes,
    spec,
    priors,
    scorers,
    (owner) => known.get(classes[owner]!.of),
    calibrated.temperature,
  );
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
  { temperature, limits }: Calibrated,
  heads: Float64Array,
  distances: Float64Array,
  topK = labels.length,
): Decided<Label> {
  const confidence = confidences(energiesOf(spec.head, heads), temperature);
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
      threshold: limits[c]!.threshold,
    }),
  );
  const beyond = (c: number): boolean => {
    const { threshold } = limits[c]!;
    return threshold !== null && distances[c]! > threshold;
  };
  let nearest = best;
  for (let c = 0; c < distances.length; c++) if (distances[c]! < distances[nearest]!) nearest = c;
  const { threshold, source } = limits[nearest]!;
  const limit = { label: labels[nearest]!, distance: distances[nearest]!, threshold, source };
  // The nearest class alone has a say: whom any class may take, the one of the widest limit takes from all others.
  if (beyond(nearest)) return { kind: "unknown", candidates, limit };
  const second = order[1];
  const close = second !== undefined && confidence[best]! - confidence[second]! < spec.ambiguity.margin;
  // A ridge head may name a class that the distance rules out, while another accepts: they contradict each other.
  if (close || beyond(best)) return { kind: "ambiguous", candidates, limit };
  return { kind: "known", label: labels[best]!, candidates, limit };
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
 * How unlike all known classes a frame is: its distance to the nearest class, as a multiple of that class's threshold where
 * there is one; above 1 exactly for `unknown`. For AUROC and its like.
 */
export function novelty<Label>({ limit }: Decided<Label>): number {
  return limit.distance / (limit.threshold ?? 1);
}
