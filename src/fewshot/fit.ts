import type { Steps } from "../core/index.ts";
import { fitTemperature, type LeftOut } from "./confidence.ts";
import { mahalanobisScorer } from "./heads/mahalanobis.ts";
import { prototypeScorer, rowSum } from "./heads/prototype.ts";
import { type RidgeScorer, ridgeScorer } from "./heads/ridge.ts";
import type { Scorer } from "./heads/scorer.ts";
import { addScaled, type Vector } from "./linalg.ts";
import { classThresholds, type Threshold } from "./openset.ts";
import type { ClassRows } from "./samples.ts";
import type { DecisionPriors, DecisionSpec, HeadSpec, OpenSetSpec, TransformSpec } from "./types.ts";

/** The mean of the class means, after power and L2, `[dim]`. */
export function galleryMean<Label>(classes: readonly ClassRows<Label>[], dim: number): Float64Array {
  const out = new Float64Array(dim);
  const scratch = new Float64Array(dim);
  for (const c of classes) addScaled(out, rowSum(c, dim, scratch), 1 / (c.rows.length * classes.length));
  return out;
}

/** What the spec's transform subtracts, `[dim]`, or `null`. A running mean starts as the gallery's. */
export function centerOf<Label>(
  classes: readonly ClassRows<Label>[],
  dim: number,
  transform: TransformSpec,
  priors: DecisionPriors,
): Vector | null {
  if (transform.center === "none") return null;
  if (transform.center === "base") return priors.baseMean;
  // The mean of one class alone is that class: nothing would be left of it.
  return classes.length > 1 ? galleryMean(classes, dim) : null;
}

export function makeHead<Label>(
  classes: readonly ClassRows<Label>[],
  dim: number,
  head: HeadSpec,
  transform: TransformSpec,
  center: Vector | null,
): Steps<Scorer> {
  if (head.kind === "ridge") return ridgeScorer(classes, dim, head);
  if (head.metric === "mahalanobis") return mahalanobisScorer(classes, dim);
  return prototypeScorer(classes, dim, head.metric, transform, center);
}

/** An open-set score of its own; `ridge` is the head itself. */
export function makeOpenSet<Label>(
  classes: readonly ClassRows<Label>[],
  dim: number,
  score: Exclude<OpenSetSpec["score"], "ridge">,
  transform: TransformSpec,
  center: Vector | null,
): Steps<Scorer> {
  if (score === "mahalanobis") return mahalanobisScorer(classes, dim);
  if (score === "cosine") return prototypeScorer(classes, dim, "cosine", transform, null);
  const used = center ?? (classes.length > 1 ? galleryMean(classes, dim) : null);
  return prototypeScorer(classes, dim, "cosine", transform, used);
}

export interface Scorers {
  readonly center: Vector | null;
  readonly head: Scorer;
  readonly openSet: Scorer;
  /** The head, where it is ridge. */
  readonly ridge: RidgeScorer | null;
}

/** `ridge`, where it is known already, does not depend on the centre. */
export function* makeScorers<Label>(
  classes: readonly ClassRows<Label>[],
  dim: number,
  spec: DecisionSpec,
  center: Vector | null,
  known: RidgeScorer | null,
): Steps<Scorers> {
  const { head: headSpec, transform } = spec;
  const ridge = headSpec.kind === "ridge" ? (known ?? (yield* ridgeScorer(classes, dim, headSpec))) : null;
  const head = ridge ?? (yield* makeHead(classes, dim, headSpec, transform, center));
  const { score } = spec.openSet;
  const metric = headSpec.kind === "prototype" ? headSpec.metric : null;
  // The head may be just what the open set asks for: then a frame is compared once.
  const isHead =
    score === "ridge" ||
    (score === "mahalanobis" && metric === "mahalanobis") ||
    (score === "cosine" && metric === "cosine" && center === null) ||
    (score === "centeredCosine" && metric === "cosine" && center !== null);
  const openSet = isHead ? head : yield* makeOpenSet(classes, dim, score, transform, center);
  return { center, head, openSet, ridge };
}

/** Temperature and thresholds, and for how many pictures they were made. */
export interface Calibrated {
  readonly temperature: number;
  /** `[classes]`. */
  readonly thresholds: readonly Threshold[];
}

/** Multiplications that leaving pictures out may take before a part of the pictures has to do. */
const workLimit = 5e7;
/** Pictures that are left out at any cost: enough for one temperature and one quantile. */
const fewestPictures = 120;

function affordable(scorer: Scorer): number {
  return Math.max(fewestPictures, Math.floor(workLimit / scorer.leaveOutCost));
}

/** Whether every picture can be left out in some tens of milliseconds. */
export function calibratesExactly<Label>(classes: readonly ClassRows<Label>[], scorers: Scorers): boolean {
  const total = classes.reduce((sum, c) => sum + c.pictures.length, 0);
  return [scorers.head, scorers.openSet].every((s) => total * s.leaveOutCost <= workLimit);
}

export function* calibrate<Label>(
  classes: readonly ClassRows<Label>[],
  spec: DecisionSpec,
  priors: DecisionPriors,
  { head, openSet }: Scorers,
): Steps<Calibrated> {
  const averageViews = spec.views.query.length > 0;
  const byHead = yield* leaveOut(classes, head, averageViews);
  const byOpenSet = openSet === head ? byHead : yield* leaveOut(classes, openSet, averageViews);
  const { score, falseRejectRate } = spec.openSet;
  return {
    temperature: yield* fitTemperature(byHead, priors.temperature),
    thresholds: classThresholds({
      leftOut: byOpenSet,
      pictures: classes.map((c) => c.pictures.length),
      falseRejectRate,
      prior: (pictures) => {
        const rows = priors.thresholds.filter(
          (t) => t.score === score && Math.abs(t.falseRejectRate - falseRejectRate) < 1e-9,
        );
        const off = (shot: number): number => Math.abs(Math.log(shot / pictures));
        const nearest = rows.toSorted((a, b) => off(a.shot) - off(b.shot))[0];
        return nearest ? nearest.threshold : null;
      },
    }),
  };
}

/**
 * Distances of the gallery's own pictures, each left out in turn, of classes that have another picture. Of a big gallery every so
 * manyth picture, counted through the classes, so that the cost is bounded.
 */
export function* leaveOut<Label>(
  classes: readonly ClassRows<Label>[],
  scorer: Scorer,
  averageViews: boolean,
  limit = affordable(scorer),
): Steps<LeftOut[]> {
  const total = classes.reduce((sum, c) => sum + c.pictures.length, 0);
  const stride = Math.max(1, Math.ceil(total / limit));
  const out: LeftOut[] = [];
  let counter = 0;
  for (const [owner, c] of classes.entries())
    for (const picture of c.pictures) {
      if (counter++ % stride !== 0 || c.pictures.length < 2) continue;
      const rows = scorer.leaveOut(owner, picture);
      // The first row is the picture as it is, which is what a frame will be compared by.
      out.push({ owner, distances: averageViews ? averageRows(rows) : rows[0]! });
      yield;
    }
  return out;
}

/** The mean of some rows, `[classes]`. */
export function averageRows(rows: readonly Float64Array[]): Float64Array {
  if (rows.length === 1) return rows[0]!;
  const out = new Float64Array(rows[0]!.length);
  for (const r of rows) for (let i = 0; i < out.length; i++) out[i]! += r[i]! / rows.length;
  return out;
}
