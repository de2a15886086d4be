import { setImmediate } from "node:timers/promises";
import { type Embeddings, ProtolineError, row, stack } from "../core/index.ts";
import {
  type Episode,
  type EpisodeClass,
  type EpisodePlan,
  type EpisodeSet,
  episodeClasses,
  planEpisodes,
} from "../data/index.ts";
import {
  type DecisionPriors,
  type DecisionSpec,
  defaultPriors,
  fitDecision,
  type TransductiveName,
  transduce,
  type ViewKind,
} from "../fewshot/index.ts";
import type { EmbeddedDataset } from "./embed.ts";
import { type Answer, type Asked, type Measures, newTally } from "./tally.ts";
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
  /**
   * In place of `way` and `shots`: tasks whose known classes have just these numbers of support pictures, as 40 and 2. One row
   * of results. Not with `unbalanced`.
   */
  readonly sizes?: readonly number[];
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
  /**
   * The photograph, part or serial number of a picture: those of one are kept on one side of an episode, and left out of the
   * support together where the decision calibrates itself. Default: none.
   */
  readonly groups?: (origin: string) => string;
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/** Measured over all episodes of one shot, or of the sizes. */
export interface EvaluationRow extends Measures {
  readonly way: number;
  /** The largest of `sizes`, where these were asked for. */
  readonly shot: number;
  /** Support pictures of each known class. */
  readonly sizes?: readonly number[];
  readonly queries: number;
  readonly episodes: number;
  /** Classes whose groups could not be kept on one side: too few, or too large. Empty without `groups`. */
  readonly notApart: readonly string[];
}

export interface Evaluation {
  readonly results: readonly EvaluationRow[];
  /** Classes that took no part, as they have fewer than `picturesNeeded` pictures. */
  readonly leftOut: readonly { readonly label: string; readonly pictures: number }[];
  /** The largest shot, or the smallest of the sizes, and the queries. */
  readonly picturesNeeded: number;
}

/**
 * Episodes as Snell et al. 2017 (arXiv:1703.05175) evaluate: draw `way` classes, fit the decision on `shot` pictures of
 * each, ask it about `queries` others of each. With `openSet`, that many further classes are asked about too, and must
 * be told from the known ones by the decision's distances, never by its confidence.
 *
 * Classes with too few pictures for the largest shot (or the smallest size) and the queries are left out of all rows. Episode
 * `i` depends on seed, shot and `i` alone. Throws EPISODE_IMPOSSIBLE where too few classes are left, or INVALID_ARGUMENT,
 * before the first episode, and what {@link fitDecision} throws.
 */
export async function evaluate({
  dataset,
  decision,
  priors = defaultPriors,
  way,
  shots,
  sizes,
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
  if (shots?.length === 0) throw invalid("at least one number of shots", "none");
  if (sizes && (way !== undefined || shots !== undefined || unbalanced))
    throw invalid("no way, no shots and no unbalanced queries beside sizes", sizes.join(":"));
  if (sizes && sizes.length < 2) throw invalid("at least two sizes", sizes.join(":") || "none");

  const labels = dataset.classes.flatMap(({ label, origins }) => origins.map(() => label));
  const photographs = groups && dataset.classes.flatMap(({ origins }) => origins.map(groups));
  const supportViews = viewReader(dataset, decision.views.support);
  const queryViews = viewReader(dataset, decision.views.query);
  const { classes, plans, leftOut, picturesNeeded } = planAll(episodeClasses(labels, photographs), {
    ...(sizes ? { sizes } : { way: way ?? 5, shots: shots ?? [1, 5, 10] }),
    queries,
    openSet,
    seed,
    unbalanced,
  });

  const ask = ({ supportSet, querySet, unknownSet }: Episode): Asked => {
    const views = supportSet.rows.map(supportViews);
    const fitted = fitDecision(
      {
        embeddings: stack(views.flat()),
        labels: views.flatMap((rows, i) => rows.map(() => supportSet.labels[i]!)),
        pictures: views.flatMap((rows, i) => rows.map(() => i)),
        ...(photographs && {
          groups: views.flatMap((rows, i) => rows.map(() => photographs[supportSet.rows[i]!]!)),
        }),
      },
      decision,
      priors,
    );
    const answer = (set: EpisodeSet): Answer[] =>
      set.rows.map((picture, i) => {
        const decided = fitted.decide(stack(queryViews(picture)), { topK: 1 });
        const { label, confidence } = decided.candidates[0]!;
        return {
          truth: set.labels[i]!,
          label,
          correct: label === set.labels[i],
          confidence,
          novelty: decided.limit.distance,
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
  for (const { plan, ...about } of plans) {
    const tally = newTally(classes.map(({ label }) => label));
    for (let i = 0; i < episodes; i++) {
      tally.add(ask(plan.episode(i)));
      onProgress?.({ done: ++done, total: episodes * plans.length });
      // Seconds of arithmetic: others get their turn in between.
      await setImmediate();
    }
    results.push({ ...about, queries, episodes, ...tally.measures(), notApart: notApart(plan) });
  }
  return { results, leftOut, picturesNeeded };
}

interface Planned extends Pick<EvaluationRow, "way" | "shot" | "sizes"> {
  readonly plan: EpisodePlan;
}

/** The classes that have pictures enough for every row, and the plan of each row. */
function planAll(
  all: readonly EpisodeClass[],
  asked: (
    | { readonly sizes: readonly number[] }
    | { readonly way: number; readonly shots: readonly number[] }
  ) & {
    readonly queries: number;
    readonly openSet: number;
    readonly seed: number;
    readonly unbalanced: boolean;
  },
): Omit<Evaluation, "results"> & {
  readonly classes: readonly EpisodeClass[];
  readonly plans: readonly Planned[];
} {
  const { queries: query, openSet: open, seed, unbalanced } = asked;
  const picturesNeeded = query + ("sizes" in asked ? Math.min(...asked.sizes) : Math.max(...asked.shots));
  const large = all.filter(({ rows }) => rows.length >= picturesNeeded);
  const way = "sizes" in asked ? asked.sizes.length : asked.way;
  // Where those do not suffice, the plan shall say so of all of them.
  const classes = large.length >= way + open ? large : all;
  const plans =
    "sizes" in asked
      ? [
          {
            way,
            shot: Math.max(...asked.sizes),
            sizes: asked.sizes,
            plan: planEpisodes(classes, { sizes: asked.sizes, query, open }, seed),
          },
        ]
      : asked.shots.map((shot) => ({
          way,
          shot,
          plan: (unbalanced ? planUnbalanced : planEpisodes)(classes, { way, shot, query, open }, seed),
        }));
  const leftOut = all
    .filter((one) => !classes.includes(one))
    .map(({ label, rows }) => ({ label, pictures: rows.length }));
  return { classes, plans, leftOut, picturesNeeded };
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
