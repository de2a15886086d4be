import { type Embeddings, ProtolineError, row } from "../core/index.ts";
import { confidences, fitTemperature, type LeftOut } from "./confidence.ts";
import { mahalanobisScorer } from "./heads/mahalanobis.ts";
import { prototypeScorer } from "./heads/prototype.ts";
import { type RidgeScorer, ridgeScorer } from "./heads/ridge.ts";
import type { Scorer } from "./heads/scorer.ts";
import type { Vector } from "./linalg.ts";
import { classThresholds, type Threshold } from "./openset.ts";
import { mean } from "./prototypes.ts";
import { addRows, type ClassRows, checkSupport, removeRows } from "./samples.ts";
import { checkSpec } from "./spec.ts";
import { centerAndScale, checkFinite, powerAndScale } from "./transforms.ts";
import type {
  Candidate,
  Decided,
  DecisionPriors,
  DecisionSpec,
  FittedDecision,
  HeadSpec,
  OpenSetSpec,
  Support,
} from "./types.ts";

/**
 * Fits a decision to a gallery's support. Throws GALLERY_EMPTY for no rows, DIMENSION_MISMATCH, NOT_FINITE, and
 * INVALID_ARGUMENT for a spec that does not make sense.
 */
export function fitDecision<Label>(
  support: Support<Label>,
  spec: DecisionSpec,
  priors: DecisionPriors,
): FittedDecision<Label> {
  checkSpec(spec, priors, support.embeddings.dim);
  checkSupport(support, support.embeddings.dim);
  return build(addRows([], support, spec.transform), support.embeddings.dim, spec, priors, null);
}

/** Multiplications that fitting temperature and thresholds may take before it goes on with a part of the pictures. */
const workLimit = 5e7;

function build<Label>(
  classes: readonly ClassRows<Label>[],
  dim: number,
  spec: DecisionSpec,
  priors: DecisionPriors,
  ridge: RidgeScorer | null,
): FittedDecision<Label> {
  if (classes.length === 0)
    throw new ProtolineError("GALLERY_EMPTY", {
      expected: "at least one class with one picture",
      got: "none",
      todo: "Enroll some pictures first.",
    });
  const fitAt = (center: Vector | null) => fitScorers(classes, dim, spec, priors, center, ridge);
  const gallery = fitAt(galleryCenter(classes, dim, spec, priors));
  let running: { readonly mean: Float32Array; readonly fit: Fit } | null = null;
  const fitFor = (runningMean: Float32Array | undefined): Fit => {
    if (spec.transform.center !== "running" || !runningMean) return gallery;
    checkDim(runningMean.length, dim, "the running mean");
    if (!running || running.mean.some((v, i) => v !== runningMean[i])) {
      checkFinite(runningMean, 0);
      running = { mean: Float32Array.from(runningMean), fit: fitAt(runningMean) };
    }
    return running.fit;
  };
  const labels = classes.map((c) => c.label);
  const byLabel = <T>(values: readonly T[]): Map<Label, T> => new Map(labels.map((l, c) => [l, values[c]!]));

  return {
    spec,
    dim,
    labels,
    temperature: gallery.temperature,
    thresholds: byLabel(gallery.thresholds.map((t) => t.threshold)),
    thresholdSources: byLabel(gallery.thresholds.map((t) => t.source)),
    transform: (raw, runningMean) => {
      checkDim(raw.length, dim, "the embedding");
      checkFinite(raw, 0);
      return centerAndScale(powerAndScale(raw, spec.transform), spec.transform, fitFor(runningMean).center);
    },
    decide: (views, options = {}) =>
      decide(labels, dim, spec, fitFor(options.runningMean), views, options.topK),
    update: ({ add, remove }) => {
      if (add) checkSupport(add, dim);
      if (remove) checkSupport(remove, dim);
      const cut = remove ? removeRows(classes, remove) : { classes: [...classes], removed: [] };
      const next = add ? addRows(cut.classes, add, spec.transform) : cut.classes;
      const before = new Map(labels.map((l, c) => [l, c]));
      const after = new Map(next.map((c, i) => [c.label, i]));
      const beforeAdd = new Map(cut.classes.map((c) => [c.label, c.rows.length]));
      const updated =
        gallery.ridge && next.length > 0
          ? gallery.ridge.update({
              classes: next,
              from: next.map((c) => before.get(c.label) ?? -1),
              removed: cut.removed.map(({ label, row: gone }) => ({ owner: before.get(label)!, row: gone })),
              added: next.flatMap((c) =>
                c.rows
                  .slice(beforeAdd.get(c.label) ?? 0)
                  .map((added) => ({ owner: after.get(c.label)!, row: added })),
              ),
            })
          : null;
      return build(next, dim, spec, priors, updated);
    },
  };
}

/** All that depends on the centre. */
interface Fit {
  readonly center: Vector | null;
  readonly head: Scorer;
  readonly openSet: Scorer;
  readonly ridge: RidgeScorer | null;
  readonly temperature: number;
  readonly thresholds: readonly Threshold[];
}

function galleryMean<Label>(classes: readonly ClassRows<Label>[], dim: number): Float64Array {
  return mean(
    classes.map((c) => mean(c.rows, dim)),
    dim,
  );
}

function galleryCenter<Label>(
  classes: readonly ClassRows<Label>[],
  dim: number,
  spec: DecisionSpec,
  priors: DecisionPriors,
): Vector | null {
  switch (spec.transform.center) {
    case "none":
      return null;
    case "base":
      return priors.baseMean;
    default:
      // The mean of one class alone is that class: nothing would be left of it.
      return classes.length > 1 ? galleryMean(classes, dim) : null;
  }
}

function makeHead<Label>(
  classes: readonly ClassRows<Label>[],
  dim: number,
  head: HeadSpec,
  spec: DecisionSpec,
  center: Vector | null,
): Scorer {
  if (head.kind === "ridge") return ridgeScorer(classes, dim, head);
  if (head.metric === "mahalanobis") return mahalanobisScorer(classes, dim);
  return prototypeScorer(classes, dim, head.metric, spec.transform, center);
}

function makeOpenSet<Label>(
  classes: readonly ClassRows<Label>[],
  dim: number,
  openSet: OpenSetSpec,
  spec: DecisionSpec,
  center: Vector | null,
  ridge: RidgeScorer | null,
): Scorer {
  switch (openSet.score) {
    case "ridge":
      return ridge!;
    case "mahalanobis":
      return mahalanobisScorer(classes, dim);
    case "cosine":
      return prototypeScorer(classes, dim, "cosine", spec.transform, null);
    case "centeredCosine": {
      const used = center ?? (classes.length > 1 ? galleryMean(classes, dim) : null);
      return prototypeScorer(classes, dim, "cosine", spec.transform, used);
    }
  }
}

function fitScorers<Label>(
  classes: readonly ClassRows<Label>[],
  dim: number,
  spec: DecisionSpec,
  priors: DecisionPriors,
  center: Vector | null,
  known: RidgeScorer | null,
): Fit {
  const ridge = spec.head.kind === "ridge" ? (known ?? ridgeScorer(classes, dim, spec.head)) : null;
  const head = ridge ?? makeHead(classes, dim, spec.head, spec, center);
  const openSet = makeOpenSet(classes, dim, spec.openSet, spec, center, ridge);
  const leftOut = leaveOut(classes, dim, head, spec.views.query.length > 0);
  const own = leaveOut(classes, dim, openSet, spec.views.query.length > 0);
  const scores = classes.map((_, c) => own.filter((o) => o.owner === c).map((o) => o.distances[c]!));
  const prior = (pictures: number): number | null => {
    const same = priors.thresholds.filter(
      (t) =>
        t.score === spec.openSet.score && Math.abs(t.falseRejectRate - spec.openSet.falseRejectRate) < 1e-9,
    );
    const nearest = same.sort((a, b) => Math.abs(a.shot - pictures) - Math.abs(b.shot - pictures))[0];
    return nearest ? nearest.threshold : null;
  };
  return {
    center,
    head,
    openSet,
    ridge,
    temperature: fitTemperature(leftOut, priors.temperature),
    thresholds: classThresholds(
      scores,
      spec.openSet.falseRejectRate,
      prior,
      classes.map((c) => c.pictures.length),
    ),
  };
}

/** The left-out distances of the gallery's own pictures; of classes that have another picture. */
export function leaveOut<Label>(
  classes: readonly ClassRows<Label>[],
  dim: number,
  scorer: Scorer,
  averageViews: boolean,
): LeftOut[] {
  const total = classes.reduce((sum, c) => sum + c.pictures.length, 0);
  const affordable = Math.max(classes.length, Math.floor(workLimit / (classes.length * dim)));
  // Every `stride`-th picture, counted through the classes, so that each class gives its share.
  const stride = Math.max(1, Math.ceil(total / affordable));
  const out: LeftOut[] = [];
  let counter = 0;
  classes.forEach((c, owner) => {
    if (c.pictures.length < 2) return;
    for (const picture of c.pictures) {
      if (counter++ % stride !== 0) continue;
      const rows = scorer.leaveOut(owner, picture);
      out.push({ owner, distances: averageViews ? average(rows) : rows[0]! });
    }
  });
  return out;
}

function average(rows: readonly Float64Array[]): Float64Array {
  const out = new Float64Array(rows[0]!.length);
  for (const r of rows) for (let i = 0; i < out.length; i++) out[i]! += r[i]! / rows.length;
  return out;
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
  const heads = average(seen.map((z) => fit.head.distances(z)));
  const distances = fit.openSet === fit.head ? heads : average(seen.map((z) => fit.openSet.distances(z)));
  const confidence = confidences(heads, fit.temperature);
  const order = Array.from(labels, (_, c) => c).sort(
    (a, b) => heads[a]! - heads[b]! || distances[a]! - distances[b]!,
  );
  const all = order.map(
    (c): Candidate<Label> => ({
      label: labels[c]!,
      confidence: confidence[c]!,
      distance: distances[c]!,
      threshold: fit.thresholds[c]!.threshold,
    }),
  );
  const candidates = all.slice(0, Math.max(1, topK));
  const best = all[0]!;
  if (best.distance > best.threshold) return { kind: "unknown", candidates };
  const second = all[1];
  if (second && best.confidence - second.confidence < spec.ambiguity.margin)
    return { kind: "ambiguous", candidates };
  return { kind: "known", label: best.label, candidates };
}
