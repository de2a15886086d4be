import { finish, ProtolineError, type Rng } from "../core/index.ts";
import { defaultDecision } from "./defaults.ts";
import { type DistinctClass, distinct } from "./distinct.ts";
import { type ExpectedRates, expectedRates } from "./expected.ts";
import { leaveUnitOut, makeScorers } from "./fit.ts";
import { adjustedChances } from "./paired.ts";
import { choosePart } from "./part.ts";
import { addRows, checkSupport, pickViews } from "./samples.ts";
import { type CountedShare, countedShare } from "./shares.ts";
import { checkSpec } from "./spec.ts";
import type {
  DecisionPriors,
  DecisionSpec,
  HeadSpec,
  Support,
  TransformSpec,
  ViewKind,
  ViewsSpec,
} from "./types.ts";

export interface TuneOptions {
  /** The decision to keep unless another is better beyond noise. Default `defaultDecision`. */
  readonly current?: DecisionSpec;
  /** Whether another choice may take the place of the current one. Default true; false reports alone. */
  readonly choose?: boolean;
  /** The share of frames of known classes that may be called unknown, in (0, 1). Default: the current one. */
  readonly falseRejectRate?: number;
  /**
   * What the further rows of each picture show. Only with this may `tune` choose views; leave it out where orientation
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
  /** Pictures named right. */
  readonly right: CountedShare;
  /** Pictures that this one alone names right, and that the current one alone does. */
  readonly won: number;
  readonly lost: number;
  /** The chance that the best of all choices would win as much by luck; below 0.05 it is better beyond noise. */
  readonly p: number;
}

export interface TuneReport {
  /** Pictures and classes that were looked at, and that there are. */
  readonly pictures: number;
  readonly classes: number;
  readonly ofPictures: number;
  readonly ofClasses: number;
  /** Best first; empty for one class, which names every picture right. */
  readonly heads: readonly TunedHead[];
  /** What is predicted for new pictures with the chosen decision. */
  readonly predicted: {
    /** `null` for one class. */
    readonly head: TunedHead | null;
    readonly open: ExpectedRates<string>;
  };
  readonly changed: { readonly head: boolean; readonly falseRejectRate: boolean };
  /** What was chosen, by how much it won, on how many pictures; full sentences. */
  readonly summary: string;
}

/** A choice is better beyond noise when luck alone would show such a gain less often than this. */
const significance = 0.05;

/**
 * Chooses transform, head and views on the gallery's own pictures, by the accuracy of leaving each out (with its group and its
 * near-duplicates), and says what is to be expected of known and unknown parts; see {@link expectedRates}. The current
 * decision stays unless another is better beyond what the best of so many choices would be by luck, by a permutation test
 * over pictures. `rng` picks the part of a gallery above the limit. With one class there is nothing to choose and the
 * report says what can be said of it.
 *
 * Throws TOO_FEW_SAMPLES without a class of two pictures.
 */
export function tune<Label>(
  support: Support<Label>,
  options: TuneOptions,
  priors: DecisionPriors,
  rng: Rng,
): { readonly chosen: DecisionSpec; readonly report: TuneReport } {
  const current = options.current ?? defaultDecision;
  const falseRejectRate = options.falseRejectRate ?? current.openSet.falseRejectRate;
  const { dim } = support.embeddings;
  checkSpec({ ...current, openSet: { falseRejectRate } }, priors, dim);
  checkSupport(support, dim);
  const part = choosePart(support, options.limit ?? 400, rng);
  if (part.classes < 1)
    throw new ProtolineError("TOO_FEW_SAMPLES", {
      expected: "at least one class with two pictures",
      got: "none",
      todo: "Enroll more pictures, then tune.",
    });
  const heads = part.classes > 1 ? judgeHeads(part.support, current, options.views ?? [], priors, rng) : [];
  const base = heads.find(({ current: is }) => is) ?? null;
  const sorted = heads.toSorted(
    (a, b) =>
      b.right.hits - a.right.hits || Number(same(b.head, current.head)) - Number(same(a.head, current.head)),
  );
  const best = (options.choose === false ? undefined : sorted.find(({ p }) => p < significance)) ?? base;
  const chosen: DecisionSpec = {
    ...current,
    ...(best && { views: best.views, transform: best.transform, head: best.head }),
    openSet: { falseRejectRate },
  };
  const named: Support<string> = { ...part.support, labels: part.support.labels.map(String) };
  const report = {
    pictures: part.pictures,
    classes: part.classes,
    ofPictures: part.ofPictures,
    ofClasses: part.ofClasses,
    heads: sorted.map(({ current: _, ...head }) => head),
    predicted: { head: best && withoutFlag(best), open: expectedRates(named, chosen, priors, rng.fork(2)) },
    changed: {
      head: best !== base,
      falseRejectRate: falseRejectRate !== current.openSet.falseRejectRate,
    },
  };
  return { chosen, report: { ...report, summary: summarize(report, base, falseRejectRate) } };
}

interface JudgedHead extends TunedHead {
  /** It is the one in use. */
  readonly current: boolean;
}

const withoutFlag = ({ current: _, ...head }: JudgedHead): TunedHead => head;

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** The current choice and all others, by leaving each picture out. */
function judgeHeads<Label>(
  support: Support<Label>,
  current: DecisionSpec,
  kinds: readonly ViewKind[],
  priors: DecisionPriors,
  rng: Rng,
): JudgedHead[] {
  const { dim } = support.embeddings;
  const galleries = galleryCache(support);
  const rightOf = ({ views, transform, head }: Choice): readonly boolean[] => {
    const classes = galleries(views, transform);
    const scorers = finish(makeScorers(classes, dim, { head, transform }, priors));
    return classes.flatMap(({ units }, owner) =>
      units.length < 2
        ? []
        : units
            .flatMap((_, unit) => leaveUnitOut(classes, scorers, owner, unit, views.query.length > 0))
            .sort((a, b) => a.picture - b.picture)
            .map(({ heads }) => heads.every((d, c) => c === owner || d > heads[owner]!)),
    );
  };
  const { views, transform, head } = current;
  const first: Choice = { views, transform, head };
  const others = viewChoices(views, kinds)
    .flatMap((v) => headChoices(priors).map((choice): Choice => ({ ...choice, views: v })))
    .filter((choice) => !same(choice, first));
  const base = rightOf(first);
  const judged = others.map(rightOf);
  const gainsOf = (right: readonly boolean[]): number[] => right.map((ok, i) => Number(ok) - Number(base[i]));
  const chances = adjustedChances(judged.map(gainsOf), rng.fork(1));
  const told = (choice: Choice, right: readonly boolean[], p: number): JudgedHead => {
    const gains = gainsOf(right);
    return {
      ...choice,
      right: countedShare(right.filter(Boolean).length, right.length),
      won: gains.filter((g) => g > 0).length,
      lost: gains.filter((g) => g < 0).length,
      p,
      current: choice === first,
    };
  };
  return [told(first, base, 1), ...others.map((choice, i) => told(choice, judged[i]!, chances[i]!))];
}

interface Choice {
  readonly views: ViewsSpec;
  readonly transform: TransformSpec;
  readonly head: HeadSpec;
}

/** Power and L2 are done once for each power and set of views. */
function galleryCache<Label>(support: Support<Label>) {
  const { dim } = support.embeddings;
  const made = new Map<string, DistinctClass<Label>[]>();
  return (views: ViewsSpec, transform: TransformSpec): DistinctClass<Label>[] => {
    // Views of the query are judged by the picture's rows, which must then be there.
    const all = views.support.length > 0 || views.query.length > 0;
    const key = JSON.stringify([all, transform.power, transform.normalize, dim]);
    let classes = made.get(key);
    if (!classes) {
      const used = all ? support : pickViews(support, { views });
      classes = finish(addRows([], used, transform)).map(distinct);
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

/** Those that win somewhere in docs/results/decision.md. */
function headChoices(priors: DecisionPriors): Omit<Choice, "views">[] {
  return [null, 0.5].flatMap((power): Omit<Choice, "views">[] => {
    const plain: TransformSpec = { power, normalize: true, center: "none" };
    const centered: TransformSpec = { ...plain, center: priors.baseMean ? "base" : "gallery" };
    return [
      { transform: plain, head: { kind: "gaussian" } },
      { transform: plain, head: { kind: "ridge", lambda: 0.1 } },
      { transform: centered, head: { kind: "prototype", metric: "cosine" } },
    ];
  });
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

const rangeOf = ({ hits, of, interval: [low, high] }: CountedShare): string =>
  `${percent(hits / of)} (${percent(low)} to ${percent(high)})`;

function summarize(
  { pictures, classes, ofPictures, ofClasses, predicted, changed }: Omit<TuneReport, "summary">,
  base: TunedHead | null,
  rate: number,
): string {
  const part =
    pictures < ofPictures
      ? `${pictures} of ${ofPictures} pictures of ${classes} of ${ofClasses} classes`
      : `${pictures} pictures of ${classes} ${classes === 1 ? "class" : "classes"}`;
  const { head } = predicted;
  const naming =
    head === null || base === null
      ? `There is one class: on ${part} nothing can be said of naming.`
      : changed.head
        ? `Leaving out each of ${part}, the new head and transform name ${rangeOf(head.right)} right, the current ones ${percent(base.right.hits / base.right.of)}: ${head.won} won, ${head.lost} lost.`
        : `Head and transform stay: on ${part}, each left out in turn, they name ${rangeOf(head.right)} right, and no other choice is better beyond noise.`;
  const at = predicted.open.rates.find(({ stated }) => stated === rate)!;
  const rejected = at.falseReject.of > 0 ? rangeOf(at.falseReject) : "an unknown share";
  const caught = at.caught
    ? `of parts never shown ${rangeOf(at.caught)} would be caught (each class in turn as the stranger)`
    : "of parts never shown nothing can be said with one class";
  return `${naming} At a stated ${percent(rate)}, ${caught}, of known parts ${rejected} called unknown.`;
}
