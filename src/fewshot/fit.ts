import type { Steps } from "../core/index.ts";
import { fitTemperature, type LeftOut } from "./confidence.ts";
import { logDistance } from "./distances.ts";
import type { DistinctClass } from "./distinct.ts";
import { rowSum } from "./heads/class-sums.ts";
import { gaussianScorer } from "./heads/gaussian.ts";
import { prototypeScorer } from "./heads/prototype.ts";
import { ridgeScorer } from "./heads/ridge.ts";
import type { Scorer, ScorerChange } from "./heads/scorer.ts";
import { type ClassScores, classLimits } from "./limits.ts";
import { addScaled, type Vector } from "./linalg.ts";
import type { DecisionPriors, DecisionSpec, HeadSpec, Limit, TransformSpec } from "./types.ts";

/** The mean of the class means, after power and L2, `[dim]`. */
function galleryMean<Label>(classes: readonly DistinctClass<Label>[], dim: number): Float64Array {
  const out = new Float64Array(dim);
  const scratch = new Float64Array(dim);
  for (const c of classes) addScaled(out, rowSum(c, dim, scratch), 1 / (c.rows.length * classes.length));
  return out;
}

/** What the spec's transform subtracts, `[dim]`, or `null`. */
export function centerOf<Label>(
  classes: readonly DistinctClass<Label>[],
  dim: number,
  transform: TransformSpec,
  priors: DecisionPriors,
): Vector | null {
  if (transform.center === "none") return null;
  if (transform.center === "base") return priors.baseMean;
  // The mean of one class alone is that class: nothing would be left of it.
  return classes.length > 1 ? galleryMean(classes, dim) : null;
}

/** A scorer that can be brought up to date by what changed. */
export interface UpdatableScorer extends Scorer {
  update(change: ScorerChange): Steps<UpdatableScorer>;
}

export interface Scorers {
  readonly center: Vector | null;
  /** By which a class is named. */
  readonly head: Scorer;
  /** By which unknown is decided: the head, but for `ridge`. */
  readonly openSet: Scorer;
  /** The head, where it can be updated. */
  readonly updatable: UpdatableScorer | null;
}

/** `known`: the head, where an update has made it already. */
export function* makeScorers<Label>(
  classes: readonly DistinctClass<Label>[],
  dim: number,
  { head, transform }: Pick<DecisionSpec, "head" | "transform">,
  priors: DecisionPriors,
  known: UpdatableScorer | null = null,
): Steps<Scorers> {
  const center = centerOf(classes, dim, transform, priors);
  if (head.kind === "prototype") {
    const scorer = yield* prototypeScorer(classes, dim, head.metric, transform, center);
    return { center, head: scorer, openSet: scorer, updatable: null };
  }
  if (head.kind === "gaussian") {
    const scorer = known ?? (yield* gaussianScorer(classes, dim));
    return { center, head: scorer, openSet: scorer, updatable: scorer };
  }
  const scorer = known ?? (yield* ridgeScorer(classes, dim, head));
  const openSet = yield* prototypeScorer(classes, dim, "cosine", transform, null);
  return { center, head: scorer, openSet, updatable: scorer };
}

/** What confidence is made of: log distances, which are spread alike in all galleries; a ridge score is none. */
export function energiesOf(head: HeadSpec, distances: Float64Array): Float64Array {
  return head.kind === "ridge" ? distances : distances.map(logDistance);
}

/** The temperature that pictures of so many a class were found to want, before any are left out (docs/results/decision.md). */
function expectedTemperature(head: HeadSpec, pictures: number): number {
  return head.kind === "ridge" ? 0.08 : 0.23 / Math.sqrt(Math.max(1, pictures));
}

/** Temperature and limits. */
export interface Calibrated {
  readonly temperature: number;
  /** `[classes]`. */
  readonly limits: readonly Limit[];
  /** `[classes]`, what the limits were made from. */
  readonly scores: readonly ClassScores[];
  /** The limits at another stated rate, or from other scores `[classes]`. */
  limitsAt(rate: number, scores?: readonly ClassScores[]): Limit[];
}

/** Multiplications that leaving pictures out may take before a part of the pictures has to do. */
const workLimit = 3e8;
/** Pictures that are left out at any cost: enough for one temperature and one limit. */
const fewestPictures = 120;

function affordable({ head, openSet }: Scorers): number {
  const cost = head.leaveOutCost + (openSet === head ? 0 : openSet.leaveOutCost);
  return Math.max(fewestPictures, Math.floor(workLimit / cost));
}

const unitsOf = <Label>(classes: readonly DistinctClass<Label>[]): number =>
  classes.reduce((sum, { units }) => sum + units.length, 0);

/** Whether every picture can be left out in some hundred milliseconds. */
export function calibratesExactly<Label>(
  classes: readonly DistinctClass<Label>[],
  scorers: Scorers,
): boolean {
  return unitsOf(classes) <= affordable(scorers);
}

/** What the gallery's own pictures get when they are left out. */
export interface LeftOutPicture {
  readonly owner: number;
  readonly picture: number;
  /** `[classes]`; near-duplicates share theirs. */
  readonly heads: Float64Array;
  readonly openSet: Float64Array;
}

/** The pictures of one unit of class `owner`, left out together, each with its distances `[classes]`. */
export function leaveUnitOut<Label>(
  classes: readonly DistinctClass<Label>[],
  { head, openSet }: Pick<Scorers, "head" | "openSet">,
  owner: number,
  unit: number,
  averageViews: boolean,
): LeftOutPicture[] {
  const { rows, pictures } = classes[owner]!.units[unit]!;
  const left = head.leaveOut(owner, rows);
  const open = openSet === head ? left : openSet.leaveOut(owner, rows);
  const told = new Map<number, Pick<LeftOutPicture, "heads" | "openSet">>();
  return pictures.map(({ picture, at }) => {
    let distances = told.get(at[0]!);
    if (!distances) {
      // The first row is the picture as it is, which is what a frame will be compared by.
      const seen = averageViews ? at : at.slice(0, 1);
      distances = {
        heads: averageRows(seen.map((i) => left[i]!)),
        openSet: averageRows(seen.map((i) => open[i]!)),
      };
      told.set(at[0]!, distances);
    }
    return { owner, picture, ...distances };
  });
}

/** The logarithm of the least distance, as a limit's score. */
function scoreOf({ openSet }: LeftOutPicture): number {
  let least = Number.POSITIVE_INFINITY;
  for (let c = 0; c < openSet.length; c++) least = Math.min(least, openSet[c]!);
  return logDistance(least);
}

/**
 * Leaves out every unit of classes that have another, of a big gallery so many as can be afforded, as evenly over the
 * classes as may be. `kept`: scores of classes that need not be left out again.
 */
export function* calibrate<Label>(
  classes: readonly DistinctClass<Label>[],
  spec: DecisionSpec,
  priors: DecisionPriors,
  scorers: Scorers,
  kept: (owner: number) => ClassScores | undefined = () => undefined,
  temperature?: number,
): Steps<Calibrated> {
  const averageViews = spec.views.query.length > 0;
  const most = affordable(scorers);
  const todo = classes.flatMap((_, c) => (kept(c) ? [] : [c]));
  const total = todo.reduce((sum, c) => sum + classes[c]!.units.length, 0);
  const leftOut: LeftOut[] = [];
  const scores = classes.map((c, owner): ClassScores => kept(owner) ?? { units: [], of: c.units.length });
  let done = 0;
  for (const c of todo) {
    const { units } = classes[c]!;
    if (units.length < 2) {
      done += units.length;
      continue;
    }
    const own: number[][] = [];
    for (const unit of units.keys()) {
      // Every so manyth, counted through the classes.
      if (Math.floor((done * most) / total) === Math.floor((++done * most) / total) && total > most) continue;
      const left = leaveUnitOut(classes, scorers, c, unit, averageViews);
      own.push(left.map(scoreOf));
      // Near-duplicates got the same distances: they count once.
      for (const heads of new Set(left.map((one) => one.heads)))
        leftOut.push({ owner: c, energies: energiesOf(spec.head, heads) });
      yield;
    }
    scores[c] = { units: own, of: units.length };
  }
  const pictures = unitsOf(classes);
  const about = {
    priors: priors.limits,
    degrees: Math.max(1, pictures - classes.length),
    // The encoder's prior is of the Gaussian's distances; of a class alone no mean is taken off, and they are of another kind.
    oneRow:
      spec.head.kind === "gaussian" && classes.length > 1 && classes.every(({ rows }) => rows.length === 1),
    alone: yield* aloneScores(classes, scorers.openSet),
  };
  const limitsAt: Calibrated["limitsAt"] = (rate, from = scores) => classLimits(from, { ...about, rate });
  return {
    temperature:
      temperature ??
      (yield* fitTemperature(leftOut, expectedTemperature(spec.head, pictures / classes.length))),
    limits: limitsOf({ limitsAt }, classes, spec),
    scores,
    limitsAt,
  };
}

/** The limits at the spec's rate, as the line's frames moved them where a class is as it was then. */
export function limitsOf<Label>(
  { limitsAt }: Pick<Calibrated, "limitsAt">,
  classes: readonly DistinctClass<Label>[],
  { openSet: { falseRejectRate, learned = [] } }: DecisionSpec,
): Limit[] {
  const shifts = new Map(learned.map((one) => [one.label, one]));
  return limitsAt(falseRejectRate).map((limit, c) => {
    const { of, units } = classes[c]!;
    const one = shifts.get(String(of.label));
    if (!one || limit.threshold === null || one.pictures !== units.length) return limit;
    return { ...limit, threshold: limit.threshold * Math.exp(one.shift), frames: one.frames };
  });
}

/** Rows of the classes that classes of one picture borrow their limit from. */
const mostBorrowed = 64;

/** A class of so few pictures beside one of twice as many is held against what that one would be with one picture. */
const fewPictures = 4;

/**
 * Scores that classes would have if they had one picture, the smallest classes first; none where all classes have many, or
 * alike few.
 */
function* aloneScores<Label>(
  classes: readonly DistinctClass<Label>[],
  scorer: Scorer,
): Steps<(readonly number[])[][]> {
  const counts = classes.map(({ units }) => units.length);
  const least = Math.min(...counts);
  if (least > 1 && (least > fewPictures || Math.max(...counts) < 2 * least)) return [];
  const out: number[][][] = [];
  let rows = 0;
  for (const owner of [...classes.keys()].sort((a, b) => classes[a]!.rows.length - classes[b]!.rows.length)) {
    const members = classes[owner]!;
    if (members.units.length < 2 || (least > 1 && members.units.length < 2 * least)) continue;
    if (rows > 0 && rows + members.rows.length > mostBorrowed) break;
    rows += members.rows.length;
    out.push(scorer.alone(owner).map((all) => all.map(logDistance)));
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
