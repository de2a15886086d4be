import { setImmediate } from "node:timers/promises";
import { type Embeddings, ProtolineError, row, stack } from "../core/index.ts";
import {
  type Episode,
  type EpisodePlan,
  type EpisodeSet,
  episodeClasses,
  planEpisodes,
} from "../data/index.ts";
import {
  aupr,
  auroc,
  type DecisionPriors,
  type DecisionSpec,
  defaultPriors,
  ece,
  fitDecision,
  fpr95,
  meanAndInterval,
  oscr,
  type ReliabilityBin,
  reliability,
  type TransductiveName,
  transduce,
  type ViewKind,
} from "../fewshot/index.ts";
import type { EmbeddedDataset } from "./embed.ts";
import { planUnbalanced } from "./unbalanced.ts";

export interface EvaluateOptions {
  readonly dataset: EmbeddedDataset;
  readonly decision: DecisionSpec;
  /** Default: those of no bundle, {@link defaultPriors}. */
  readonly priors?: DecisionPriors;
  /** Known classes an episode. Default 5. */
  readonly way?: number;
  /** Support pictures a class; one row of results each. Default 1, 5, 10. */
  readonly shots?: readonly number[];
  /** Query pictures a class. Default 15. */
  readonly queries?: number;
  /** Default 1000. */
  readonly episodes?: number;
  /** Any integer; equal seeds give equal episodes. Default 1. */
  readonly seed?: number;
  /** Unknown classes an episode beside the known. Default 0. */
  readonly openSet?: number;
  /**
   * Answers all queries of an episode at once, in place of the decision: label and confidence are its own, and whether a
   * query is unknown stays the decision's to say. It sees pictures as they are, without views. Its figures are not to be
   * compared with those of a decision, which sees one query at a time. Not with `openSet`. Default: none.
   */
  readonly transductive?: TransductiveName;
  /**
   * Query pictures of the classes in shares from a Dirichlet distribution with α = 2 (Veilleux et al. 2021,
   * arXiv:2110.03690), way × `queries` of them as ever; not with `openSet`. Default false: `queries` of each class.
   */
  readonly unbalanced?: boolean;
  /** The photograph, part or serial number of a picture: those of one are kept on one side of an episode. Default: none. */
  readonly groups?: (origin: string) => string;
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/** Measured over all episodes of one shot. Shares are fractions of 1. */
export interface EvaluationRow {
  readonly way: number;
  readonly shot: number;
  readonly queries: number;
  readonly episodes: number;
  /** Closed-set accuracy, the mean over episodes: the nearest class is right, whether or not it is called unknown. */
  readonly mean: number;
  /** 1.96·s/√episodes, s the deviation over episodes. */
  readonly ci95: number;
  /** Expected calibration error of the best candidate's confidence, 15 bins, over all queries. */
  readonly ece: number;
  /** The bins of `ece` that are not empty. */
  readonly reliability: readonly ReliabilityBin[];
  /** The accuracies that episodes came to, from the lowest up, and how many came to each. */
  readonly distribution: readonly { readonly accuracy: number; readonly episodes: number }[];
  /** Known queries called unknown, over all queries; the decision's `openSet.falseRejectRate` is what was asked. */
  readonly falseRejectRate: number;
  /**
   * Known against unknown by the open-set distance to the nearest class, a mean over episodes; with `openSet` alone.
   * Thresholds have no part in it.
   */
  readonly auroc?: number;
  readonly aupr?: number;
  readonly fpr95?: number;
  readonly oscr?: number;
  readonly perClass: readonly {
    readonly label: string;
    readonly queries: number;
    /** `null` for a class that no episode asked about. */
    readonly accuracy: number | null;
  }[];
  /** Queries `[true class][answered class]`, classes as in `perClass`. */
  readonly confusion: readonly (readonly number[])[];
  /** Classes whose groups could not be kept on one side: too few, or too large. Empty without `groups`. */
  readonly notApart: readonly string[];
  /** Queries whose group was among the support's, of any class, over all queries: what `groups` left together. */
  readonly sharedGroups: number;
}

export interface Evaluation {
  readonly results: readonly EvaluationRow[];
}

/**
 * Episodes as Snell et al. 2017 (arXiv:1703.05175) evaluate: draw `way` classes, fit the decision on `shot` pictures of
 * each, ask it about `queries` others of each. With `openSet`, that many further classes are asked about too, and must
 * be told from the known ones by the decision's open-set distance, never by its confidence.
 *
 * Episode `i` depends on seed, shot and `i` alone. Throws EPISODE_IMPOSSIBLE or INVALID_ARGUMENT before the first
 * episode, and what {@link fitDecision} throws.
 */
export async function evaluate({
  dataset,
  decision,
  priors = defaultPriors,
  way = 5,
  shots = [1, 5, 10],
  queries = 15,
  episodes = 1000,
  seed = 1,
  openSet = 0,
  transductive,
  unbalanced = false,
  groups,
  onProgress,
}: EvaluateOptions): Promise<Evaluation> {
  if (!Number.isInteger(episodes) || episodes < 1)
    throw invalid("a whole number of episodes, at least 1", String(episodes));
  if (!Number.isInteger(seed)) throw invalid("a whole number as seed", String(seed));
  if (openSet > 0 && (transductive !== undefined || unbalanced))
    throw invalid("no unknown classes beside a transductive method or unbalanced queries", String(openSet));
  if (shots.length === 0) throw invalid("at least one number of shots", "none");

  const labels = dataset.classes.flatMap(({ label, origins }) => origins.map(() => label));
  const photographs = groups && dataset.classes.flatMap(({ origins }) => origins.map(groups));
  const classes = episodeClasses(labels, photographs);
  const supportViews = viewReader(dataset, decision.views.support);
  const queryViews = viewReader(dataset, decision.views.query);
  const plan = unbalanced ? planUnbalanced : planEpisodes;
  const plans = shots.map((shot) => plan(classes, { way, shot, query: queries, open: openSet }, seed));

  const ask = ({ supportSet, querySet, unknownSet }: Episode): Asked => {
    const views = supportSet.rows.map(supportViews);
    const fitted = fitDecision(
      {
        embeddings: stack(views.flat()),
        labels: views.flatMap((rows, i) => rows.map(() => supportSet.labels[i]!)),
        groups: views.flatMap((rows, i) => rows.map(() => i)),
      },
      decision,
      priors,
    );
    const answer = (set: EpisodeSet): Answer[] =>
      set.rows.map((picture, i) => {
        const decided = fitted.decide(stack(queryViews(picture)));
        const { label, confidence } = decided.candidates[0]!;
        return {
          truth: set.labels[i]!,
          label,
          correct: label === set.labels[i],
          confidence,
          novelty: Math.min(...decided.candidates.map(({ distance }) => distance)),
          unknown: decided.kind === "unknown",
        };
      });
    const known = answer(querySet);
    const shown = new Set(photographs && supportSet.rows.map((picture) => photographs[picture]!));
    const shared = querySet.rows.filter((picture) => photographs && shown.has(photographs[picture]!)).length;
    return {
      known: transductive === undefined ? known : together(transductive, known, supportSet, querySet),
      unknown: answer(unknownSet),
      shared,
    };
  };

  /** The answers with label and confidence by a transductive method. */
  const together = (
    name: TransductiveName,
    answers: readonly Answer[],
    support: EpisodeSet,
    asked: EpisodeSet,
  ): Answer[] => {
    const labels = [...new Set(support.labels)];
    const scores = transduce(name, {
      support: stack(support.rows.map((picture) => supportViews(picture)[0]!)),
      labels: support.labels.map((label) => labels.indexOf(label)),
      way: labels.length,
      queries: stack(asked.rows.map((picture) => queryViews(picture)[0]!)),
    });
    return answers.map((one, i) => {
      const confidence = Math.max(...scores[i]!);
      const label = labels[scores[i]!.indexOf(confidence)]!;
      return { ...one, label, confidence, correct: label === one.truth };
    });
  };

  const results: EvaluationRow[] = [];
  let done = 0;
  for (const [s, plan] of plans.entries()) {
    const tally = newTally(classes.map(({ label }) => label));
    for (let i = 0; i < episodes; i++) {
      tally.add(ask(plan.episode(i)));
      onProgress?.({ done: ++done, total: episodes * plans.length });
      // Seconds of arithmetic: others get their turn in between.
      await setImmediate();
    }
    results.push({ way, shot: shots[s]!, queries, episodes, ...tally.measures(), notApart: notApart(plan) });
  }
  return { results };
}

interface Answer {
  readonly truth: string;
  readonly label: string;
  readonly correct: boolean;
  readonly confidence: number;
  readonly novelty: number;
  readonly unknown: boolean;
}

/** The answers of one episode. */
interface Asked {
  readonly known: readonly Answer[];
  readonly unknown: readonly Answer[];
  /** Known queries whose group the support showed. */
  readonly shared: number;
}

function newTally(labels: readonly string[]) {
  const index = new Map(labels.map((label, c) => [label, c]));
  const confusion = labels.map(() => labels.map(() => 0));
  const answers: Answer[] = [];
  const accuracies: number[] = [];
  let sharedGroups = 0;
  const open = { auroc: [] as number[], aupr: [] as number[], fpr95: [] as number[], oscr: [] as number[] };
  return {
    add({ known, unknown, shared }: Asked): void {
      answers.push(...known);
      sharedGroups += shared;
      accuracies.push(share(known, ({ correct }) => correct));
      for (const { truth, label } of known) confusion[index.get(truth)!]![index.get(label)!]!++;
      if (unknown.length === 0) return;
      const inside = known.map(({ novelty }) => novelty);
      const outside = unknown.map(({ novelty }) => novelty);
      open.auroc.push(auroc(inside, outside));
      open.aupr.push(aupr(inside, outside));
      open.fpr95.push(fpr95(inside, outside));
      open.oscr.push(oscr(known, outside));
    },
    measures() {
      const { mean, ci95 } = meanAndInterval(accuracies);
      return {
        mean,
        ci95,
        ece: ece(answers),
        reliability: reliability(answers),
        distribution: distributionOf(accuracies),
        sharedGroups: sharedGroups / answers.length,
        falseRejectRate: share(answers, ({ unknown }) => unknown),
        ...(open.auroc.length > 0 && {
          auroc: meanAndInterval(open.auroc).mean,
          aupr: meanAndInterval(open.aupr).mean,
          fpr95: meanAndInterval(open.fpr95).mean,
          oscr: meanAndInterval(open.oscr).mean,
        }),
        perClass: labels.map((label, c) => {
          const asked = confusion[c]!.reduce((sum, count) => sum + count, 0);
          return { label, queries: asked, accuracy: asked > 0 ? confusion[c]![c]! / asked : null };
        }),
        confusion,
      };
    },
  };
}

const share = <T>(items: readonly T[], holds: (item: T) => boolean): number =>
  items.filter(holds).length / items.length;

function distributionOf(accuracies: readonly number[]): EvaluationRow["distribution"] {
  const counts = new Map<number, number>();
  for (const accuracy of accuracies) counts.set(accuracy, (counts.get(accuracy) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a - b).map(([accuracy, episodes]) => ({ accuracy, episodes }));
}

const notApart = ({ classes }: EpisodePlan): string[] =>
  classes.filter(({ apart }) => !apart).map(({ label }) => label);

/** The rows of a picture (numbered through all classes): as it is, then the views of these kinds. */
function viewReader(
  { classes, views }: EmbeddedDataset,
  kinds: readonly ViewKind[],
): (picture: number) => Float32Array[] {
  const missing = kinds.find((kind) => !views.includes(kind));
  if (missing !== undefined)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `embeddings of the views "${missing}", which the decision asks for`,
      got: views.join(", "),
      todo: "Embed the data set with these views, or choose a decision without them.",
    });
  const wanted = views.flatMap((view, v) => (view === "original" || kinds.includes(view) ? [v] : []));
  const places: { readonly embeddings: Embeddings; readonly first: number }[] = classes.flatMap(
    ({ embeddings, origins }) => origins.map((_, i) => ({ embeddings, first: i * views.length })),
  );
  return (picture) => {
    const { embeddings, first } = places[picture]!;
    return wanted.map((v) => row(embeddings, first + v));
  };
}

function invalid(expected: string, got: string): ProtolineError {
  return new ProtolineError("INVALID_ARGUMENT", { expected, got, todo: "Correct the evaluation." });
}
