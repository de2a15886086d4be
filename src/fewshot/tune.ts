import { finish, ProtolineError, type Rng, take } from "../core/index.ts";
import { defaultDecision } from "./defaults.ts";
import { averageRows, centerOf, leaveOut, makeHead, makeOpenSet } from "./fit.ts";
import type { Scorer } from "./heads/scorer.ts";
import { auroc, meanAndInterval } from "./metrics.ts";
import { adjustedChances } from "./paired.ts";
import { addRows, type ClassRows, checkSupport, pickViews } from "./samples.ts";
import { checkSpec } from "./spec.ts";
import type {
  DecisionPriors,
  DecisionSpec,
  HeadSpec,
  OpenSetSpec,
  Support,
  TransformSpec,
  ViewKind,
  ViewsSpec,
} from "./types.ts";

export interface TuneOptions {
  /** The decision to keep unless another is better beyond noise. Default `defaultDecision`. */
  readonly current?: DecisionSpec;
  /**
   * What the further rows of each group show. Only with this may `tune` choose views; leave it out where orientation
   * or colour carries meaning. Default none.
   */
  readonly views?: readonly ViewKind[];
  /** Rows that are looked at, at most; of a larger gallery a random part. Default 400. */
  readonly limit?: number;
}

/** How well a transform and a head name the gallery's own pictures, each left out in turn. */
export interface TunedHead {
  readonly views: ViewsSpec;
  readonly transform: TransformSpec;
  readonly head: HeadSpec;
  /** Share of pictures named right, 0 … 1, and its 95 % interval (Wilson 1927). */
  readonly accuracy: number;
  readonly interval: readonly [low: number, high: number];
  /** Pictures that this one alone names right, and that the current one alone does. */
  readonly won: number;
  readonly lost: number;
  /** The chance that the best of all choices would win as much by luck; below 0.05 it is better beyond noise. */
  readonly p: number;
}

/** How well a score tells pictures of a class that is left out of the gallery from those of the others. */
export interface TunedScore {
  readonly transform: TransformSpec;
  readonly head: HeadSpec;
  readonly score: OpenSetSpec["score"];
  /** Mean over the left-out classes, 0 … 1; NaN with fewer than two classes. */
  readonly auroc: number;
  readonly ci95: number;
  /** Mean gain on the current score, class by class, and the chance that the best of all would gain as much by luck. */
  readonly gain: number;
  readonly p: number;
}

export interface TuneReport {
  /** Pictures and classes that were looked at, and that there are. */
  readonly pictures: number;
  readonly classes: number;
  readonly ofPictures: number;
  readonly ofClasses: number;
  /** Best first. */
  readonly heads: readonly TunedHead[];
  readonly scores: readonly TunedScore[];
  /** What is predicted for new pictures with the chosen decision: `heads` and `scores` of it. */
  readonly predicted: { readonly head: TunedHead; readonly score: TunedScore | null };
  readonly changed: { readonly head: boolean; readonly score: boolean };
  /** What was chosen, by how much it won, on how many pictures; full sentences. */
  readonly summary: string;
}

/** A choice is better beyond noise when luck alone would show such a gain less often than this. */
const significance = 0.05;
/** Classes that are left out in turn, at most. */
const mostClassesOut = 8;
/** Known pictures that each left-out class is told from, at most. */
const mostKnown = 100;

/**
 * Chooses transform, head, views and open-set score on the gallery's own pictures: by the accuracy of leaving each
 * picture out (closed form), and by the AUROC of leaving each class out. The current decision stays unless another is
 * better beyond what the best of so many choices would be by luck, by a permutation test over pictures (for the head) or classes
 * (for the score, which takes five classes at least). A head that is not significantly worse
 * than the best may be taken along for a transform with a significantly better open-set score. `rng` picks the part of a
 * gallery above the limit. Throws TOO_FEW_SAMPLES without two classes of two pictures.
 */
export function tune<Label>(
  support: Support<Label>,
  options: TuneOptions,
  priors: DecisionPriors,
  rng: Rng,
): { readonly chosen: DecisionSpec; readonly report: TuneReport } {
  const current = options.current ?? defaultDecision;
  const { dim } = support.embeddings;
  checkSpec(current, priors, dim);
  checkSupport(support, dim);
  const part = choosePart(support, options.limit ?? 400, rng);
  if (part.classes < 2)
    throw new ProtolineError("TOO_FEW_SAMPLES", {
      expected: "at least two classes with two pictures each",
      got: `${part.classes}`,
      todo: "Enroll more pictures, then tune.",
    });

  const galleries = galleryCache(part.support, dim);
  const judge = (views: ViewsSpec, transform: TransformSpec, head: HeadSpec): Judged => {
    const classes = galleries(views, transform);
    const center = centerOf(classes, dim, transform, priors);
    const scorer = finish(makeHead(classes, dim, head, transform, center));
    const left = finish(leaveOut(classes, scorer, views.query.length > 0, Number.POSITIVE_INFINITY));
    const right = left.map(({ owner, distances }) =>
      distances.every((d, c) => c === owner || d > distances[owner]!),
    );
    return { views, transform, head, right };
  };
  const base = judge(current.views, current.transform, current.head);
  const judged = [base];
  for (const views of viewChoices(current.views, options.views ?? []))
    for (const [transform, head] of headChoices(priors))
      if (!same([views, transform, head], [base.views, base.transform, base.head]))
        judged.push(judge(views, transform, head));
  const chances = adjustedChances(
    judged.slice(1).map((j) => gainsOf(j, base)),
    rng.fork(1),
  );
  const heads = judged.map((j, i) => compare(j, base, i === 0 ? 1 : chances[i - 1]!));
  // Among equals the current head first, so that a transform is not changed together with the head for nothing.
  const familiar = (h: TunedHead): number => Number(same(h.head, base.head));
  const sorted = [...heads].sort((a, b) => b.accuracy - a.accuracy || familiar(b) - familiar(a));
  const better = sorted.find((h) => h.p < significance);
  const best = better ?? heads[0]!;

  // For each power the best head that is not significantly worse than the best of all.
  const bestJudged = judged[heads.indexOf(best)]!;
  const companions = new Map<number | null, Judged>([[best.transform.power, bestJudged]]);
  for (const h of sorted) {
    const j = judged[heads.indexOf(h)]!;
    const worse = adjustedChances([gainsOf(bestJudged, j)], rng.fork(2))[0]! < significance;
    if (!companions.has(h.transform.power) && !worse && same(h.views, best.views))
      companions.set(h.transform.power, j);
  }
  const outs = rng.sample(part.classes, Math.min(part.classes, mostClassesOut));
  const scored = [...companions.values()].flatMap((j) =>
    scoreChoices(j.head).map((score) => ({
      j,
      score,
      byClass: leaveClassesOut(galleries(j.views, j.transform), outs, dim, j, score, priors),
    })),
  );
  const wanted =
    current.openSet.score === "ridge" && best.head.kind !== "ridge" ? "cosine" : current.openSet.score;
  const baseScore = scored.find((s) => s.j === bestJudged && s.score === wanted)!;
  const scoreGains = scored.map((s) => s.byClass.map((a, i) => a - baseScore.byClass[i]!));
  const scoreChances = adjustedChances(scoreGains, rng.fork(3));
  const scores = scored.map(({ j, score, byClass }, i): TunedScore => {
    const { mean, ci95 } = meanAndInterval(byClass);
    const gain = meanAndInterval(scoreGains[i]!).mean;
    const { transform, head } = j;
    return { transform, head, score, auroc: mean, ci95, gain, p: scoreChances[i]! };
  });
  const ranked = [...scores].sort((a, b) => b.auroc - a.auroc);
  const betterScore = ranked.find((s) => s.p < significance);
  const finalScore = betterScore ?? scores[scored.indexOf(baseScore)]!;
  const finalHead = heads[judged.indexOf(scored[scores.indexOf(finalScore)]!.j)]!;

  const chosen: DecisionSpec = {
    ...current,
    views: finalHead.views,
    transform: finalHead.transform,
    head: finalHead.head,
    openSet: { ...current.openSet, score: finalScore.score },
  };
  const report = {
    pictures: part.pictures,
    classes: part.classes,
    ofPictures: part.ofPictures,
    ofClasses: part.ofClasses,
    heads: sorted,
    scores: ranked,
    predicted: { head: finalHead, score: Number.isFinite(finalScore.auroc) ? finalScore : null },
    changed: { head: finalHead !== heads[0], score: finalScore.score !== current.openSet.score },
  };
  return { chosen, report: { ...report, summary: summarize(report, heads[0]!) } };
}

interface Judged {
  readonly views: ViewsSpec;
  readonly transform: TransformSpec;
  readonly head: HeadSpec;
  /** For each left-out picture, whether it was named right. */
  readonly right: readonly boolean[];
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Classes with a second picture, of a part of the gallery that is small enough to try everything on. */
function choosePart<Label>(support: Support<Label>, limit: number, rng: Rng) {
  const { embeddings, labels, groups } = support;
  const byLabel = new Map<Label, Map<number, number[]>>();
  labels.forEach((label, i) => {
    const pictures = byLabel.get(label) ?? new Map<number, number[]>();
    byLabel.set(label, pictures);
    const group = groups ? groups[i]! : i;
    const rows = pictures.get(group);
    if (rows) rows.push(i);
    else pictures.set(group, [i]);
  });
  const all = [...byLabel.values()].map((pictures) => [...pictures.values()]);
  const ofPictures = all.reduce((sum, pictures) => sum + pictures.length, 0);
  const usable = all.filter((pictures) => pictures.length >= 2);
  const rowsOf = (classes: readonly number[][][]): number =>
    classes.reduce((sum, pictures) => sum + pictures.reduce((n, rows) => n + rows.length, 0), 0);
  let chosen = usable;
  if (rowsOf(usable) > limit) {
    const pictureLimit = Math.floor((limit * usable.reduce((s, p) => s + p.length, 0)) / rowsOf(usable));
    const each = Math.max(5, Math.floor(pictureLimit / usable.length));
    const many = Math.max(2, Math.min(usable.length, Math.floor(pictureLimit / each)));
    chosen = rng
      .sample(usable.length, many)
      .map((c) => rng.sample(usable[c]!.length, each).map((k) => usable[c]![k]!));
  }
  const rows = chosen.flatMap((pictures) => pictures.flat());
  const numbers = chosen.flatMap((pictures, c) =>
    pictures.flatMap((picture, k) => picture.map(() => c * ofPictures + k)),
  );
  return {
    support: { embeddings: take(embeddings, rows), labels: rows.map((i) => labels[i]!), groups: numbers },
    pictures: chosen.reduce((sum, pictures) => sum + pictures.length, 0),
    classes: chosen.length,
    ofPictures,
    ofClasses: all.length,
  };
}

/** Power and L2 are done once for each power and set of views. */
function galleryCache<Label>(support: Support<Label>, dim: number) {
  const made = new Map<string, ClassRows<Label>[]>();
  return (views: ViewsSpec, transform: TransformSpec): ClassRows<Label>[] => {
    // Views of the query are judged by the group's rows, which must then be there.
    const all = views.support.length > 0 || views.query.length > 0;
    const key = JSON.stringify([all, transform.power, transform.normalize, dim]);
    let classes = made.get(key);
    if (!classes) {
      const used = all ? support : pickViews(support, { views });
      classes = finish(addRows([], used, transform));
      made.set(key, classes);
    }
    return classes;
  };
}

function viewChoices(current: ViewsSpec, kinds: readonly ViewKind[]): ViewsSpec[] {
  const none: ViewsSpec = { support: [], query: [] };
  if (kinds.length === 0) return [current];
  return [none, { support: kinds, query: [] }, { support: kinds, query: kinds }];
}

function headChoices(priors: DecisionPriors): (readonly [TransformSpec, HeadSpec])[] {
  const out: (readonly [TransformSpec, HeadSpec])[] = [];
  for (const power of [null, 0.5]) {
    const centers: TransformSpec["center"][] = ["none", "gallery"];
    if (priors.baseMean) centers.push("base");
    for (const center of centers)
      out.push([
        { power, normalize: true, center },
        { kind: "prototype", metric: "cosine" },
      ]);
    // These two do not depend on the centre, which then serves the open-set score and the nearest pictures.
    const transform: TransformSpec = { power, normalize: true, center: "gallery" };
    out.push([transform, { kind: "prototype", metric: "mahalanobis" }]);
    for (const lambda of [0.01, 0.1, 1]) out.push([transform, { kind: "ridge", lambda, projection: null }]);
  }
  return out;
}

function scoreChoices(head: HeadSpec): OpenSetSpec["score"][] {
  return head.kind === "ridge"
    ? ["cosine", "centeredCosine", "mahalanobis", "ridge"]
    : ["cosine", "centeredCosine", "mahalanobis"];
}

/** 1 for each picture that `j` alone names right, −1 for each that `base` alone does. */
function gainsOf(j: Judged, base: Judged): number[] {
  return j.right.map((ok, i) => Number(ok) - Number(base.right[i]));
}

function compare(j: Judged, base: Judged, p: number): TunedHead {
  const gains = gainsOf(j, base);
  const accuracy = j.right.filter(Boolean).length / j.right.length;
  const won = gains.filter((g) => g > 0).length;
  const lost = gains.filter((g) => g < 0).length;
  const { views, transform, head } = j;
  return { views, transform, head, accuracy, interval: wilson(accuracy, j.right.length), won, lost, p };
}

function wilson(share: number, n: number): [number, number] {
  const z = 1.96;
  const middle = (share + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** The AUROC of each class of `outs`, left out of the gallery, against the left-out pictures of the others. */
function leaveClassesOut<Label>(
  classes: readonly ClassRows<Label>[],
  outs: readonly number[],
  dim: number,
  { transform, head, views }: Judged,
  score: OpenSetSpec["score"],
  priors: DecisionPriors,
): number[] {
  const averageViews = views.query.length > 0;
  const least = (distances: Float64Array): number => distances.reduce((a, b) => Math.min(a, b));
  return outs.map((out) => {
    const rest = classes.filter((_, c) => c !== out);
    const center = centerOf(rest, dim, transform, priors);
    const scorer: Scorer = finish(
      score === "ridge"
        ? makeHead(rest, dim, head, transform, center)
        : makeOpenSet(rest, dim, score, transform, center),
    );
    const left = finish(leaveOut(rest, scorer, averageViews, mostKnown));
    const known = left.map((l) => least(l.distances));
    const { rows, pictures } = classes[out]!;
    const unknown = pictures.map((picture) => {
      const seen = averageViews ? picture : picture.slice(0, 1);
      return least(averageRows(seen.map((i) => scorer.distances(rows[i]!))));
    });
    return auroc(known, unknown);
  });
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function summarize(report: Omit<TuneReport, "summary">, current: TunedHead): string {
  const { head, score } = report.predicted;
  const part =
    report.pictures < report.ofPictures
      ? `${report.pictures} of ${report.ofPictures} pictures of ${report.classes} of ${report.ofClasses} classes`
      : `${report.pictures} pictures of ${report.classes} classes`;
  const range = `${percent(head.accuracy)} (${percent(head.interval[0])} to ${percent(head.interval[1])})`;
  const first = report.changed.head
    ? `Leaving out each of ${part}, the new head and transform name ${range} right, the current ones ${percent(current.accuracy)}: ${head.won} won, ${head.lost} lost.`
    : `Head and transform stay: on ${part}, each left out in turn, they name ${range} right, and no other choice is better beyond noise.`;
  if (!score) return first;
  const told = `leaving out each class in turn, AUROC ${percent(score.auroc)}`;
  const second =
    score.p < significance
      ? `Unknown parts are told best by ${score.score}: ${told}, ${percent(score.gain)} more than before, p = ${score.p.toFixed(3)}.`
      : `Unknown parts are told by ${score.score}: ${told}; no other score is better beyond noise.`;
  return `${first} ${second}`;
}
