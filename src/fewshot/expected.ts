import { finish, type Rng } from "../core/index.ts";
import { type DistinctClass, distinct } from "./distinct.ts";
import { averageRows, type Calibrated, calibrate, leaveUnitOut, makeScorers, type Scorers } from "./fit.ts";
import { choosePart } from "./part.ts";
import { addRows, checkSupport, pickViews } from "./samples.ts";
import { type CountedShare, countedShare } from "./shares.ts";
import type { DecisionPriors, DecisionSpec, Limit, Support } from "./types.ts";

/** What is to be expected of new frames at one stated false-reject rate. */
export interface ExpectedRate {
  readonly stated: number;
  /** Known pictures called unknown, each left out, limits made without it. */
  readonly falseReject: CountedShare;
  /** Pictures of parts never shown called unknown: each class in turn left out; `null` with one class. */
  readonly caught: CountedShare | null;
}

/** A class as a stranger to the others, at the decision's own rate. */
export interface ExpectedStranger<Label> {
  readonly label: Label;
  readonly caught: CountedShare;
  /** The class that took most of its pictures that were not caught. */
  readonly takenBy: { readonly label: Label; readonly pictures: number } | null;
}

export interface ExpectedRates<Label> {
  /** Pictures and classes that were looked at. */
  readonly pictures: number;
  readonly classes: number;
  /** The decision's own rate and the {@link usualRates}, from the lowest. */
  readonly rates: readonly ExpectedRate[];
  /** The least caught first; empty with one class. */
  readonly strangers: readonly ExpectedStranger<Label>[];
}

/** The rates that a person chooses between. */
export const usualRates: readonly number[] = [0.01, 0.05, 0.1, 0.2];

/** Pictures that are looked at, and classes that are left out in turn, at most. */
const mostRows = 300;
const mostClassesOut = 8;

/**
 * Both rates of a gallery from its own pictures: of known parts called unknown, leaving each picture (with its group and
 * near-duplicates) out, and of parts never shown that would be caught, leaving each class out. A gallery above 300 rows is
 * judged by a random part. The classes must stand for strangers to come: parts that are less like the known ones are
 * caught more often.
 */
export function expectedRates<Label>(
  support: Support<Label>,
  spec: DecisionSpec,
  priors: DecisionPriors,
  rng: Rng,
): ExpectedRates<Label> {
  const { dim } = support.embeddings;
  checkSupport(support, dim);
  const part = choosePart(support, mostRows, rng);
  const averageViews = spec.views.query.length > 0;
  const classes = finish(addRows([], pickViews(part.support, spec), spec.transform)).map(distinct);
  const stated = [...new Set([...usualRates, spec.openSet.falseRejectRate])].sort((a, b) => a - b);
  const fitted = (of: readonly DistinctClass<Label>[]): Scorers & Calibrated => {
    const scorers = finish(makeScorers(of, dim, spec, priors));
    return { ...scorers, ...finish(calibrate(of, spec, priors, scorers)) };
  };

  const known = leaveEachOut(classes, fitted(classes), averageViews, stated);
  const outs = classes.length > 1 ? rng.sample(classes.length, Math.min(classes.length, mostClassesOut)) : [];
  const strangers = outs.map((out) => {
    const rest = classes.filter((_, c) => c !== out);
    const { openSet, limitsAt } = fitted(rest);
    const limits = stated.map((rate) => limitsAt(rate));
    const pictures = classes[out]!.of.pictures.map(({ rows }) => {
      const seen = averageViews ? rows : rows.slice(0, 1);
      const distances = averageRows(seen.map((r) => openSet.distances(classes[out]!.of.rows[r]!)));
      const nearest = leastAt(distances);
      return { nearest, unknown: limits.map((at) => beyond(distances[nearest]!, at[nearest]!)) };
    });
    return { label: classes[out]!.of.label, rest, pictures };
  });
  const all = strangers.flatMap(({ pictures }) => pictures);
  const own = stated.indexOf(spec.openSet.falseRejectRate);
  return {
    pictures: part.pictures,
    classes: classes.length,
    rates: stated.map((rate, r) => ({
      stated: rate,
      falseReject: countedShare(known.filter((unknown) => unknown[r]).length, known.length),
      caught:
        all.length > 0 ? countedShare(all.filter(({ unknown }) => unknown[r]).length, all.length) : null,
    })),
    strangers: strangers
      .map(({ label, rest, pictures }) => {
        const taken = pictures.filter(({ unknown }) => !unknown[own]).map(({ nearest }) => nearest);
        const counts = new Map<number, number>();
        for (const c of taken) counts.set(c, (counts.get(c) ?? 0) + 1);
        const [most] = [...counts].sort((a, b) => b[1] - a[1]);
        return {
          label,
          caught: countedShare(pictures.length - taken.length, pictures.length),
          takenBy: most ? { label: rest[most[0]]!.of.label, pictures: most[1] } : null,
        };
      })
      .sort((a, b) => a.caught.hits / a.caught.of - b.caught.hits / b.caught.of),
  };
}

/** For each left-out picture whether it is called unknown at each rate, by limits that do not know it. */
function leaveEachOut<Label>(
  classes: readonly DistinctClass<Label>[],
  fit: Scorers & Calibrated,
  averageViews: boolean,
  stated: readonly number[],
): boolean[][] {
  return classes.flatMap(({ units }, owner) =>
    units.length < 2
      ? []
      : units.flatMap((_, unit) => {
          const { scores, limitsAt } = fit;
          const { units: own } = scores[owner]!;
          // Of a big gallery not every unit has a score; then there is none to take out.
          const without =
            own.length === units.length
              ? scores.with(owner, { ...scores[owner]!, units: own.filter((_, k) => k !== unit) })
              : scores;
          const limits = stated.map((rate) => limitsAt(rate, without));
          return leaveUnitOut(classes, fit, owner, unit, averageViews).map(({ openSet }) => {
            const nearest = leastAt(openSet);
            return limits.map((at) => beyond(openSet[nearest]!, at[nearest]!));
          });
        }),
  );
}

const beyond = (distance: number, { threshold }: Limit): boolean =>
  threshold !== null && distance > threshold;

function leastAt(distances: Float64Array): number {
  let at = 0;
  for (let c = 1; c < distances.length; c++)
    if (distances[c]! < distances[at]! || Number.isNaN(distances[at]!)) at = c;
  return at;
}
