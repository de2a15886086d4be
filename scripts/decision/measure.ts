import { isProtolineError, row, stack, take } from "../../src/core/index.ts";
import { episodeClasses, planEpisodes } from "../../src/data/index.ts";
import { type DecisionSpec, fitDecision } from "../../src/fewshot/index.ts";
import { type EvaluateOptions, type EvaluationRow, evaluate, parseHead } from "../../src/train/index.ts";
import { type DatasetName, type Loaded, load } from "../datasets.ts";

/** What is measured in a process of its own: one data set through one encoder. */
export interface Job {
  readonly set: DatasetName;
  readonly model: string;
  readonly episodes: number;
  readonly seed: number;
}

export const heads = ["gaussian", "ridge:0.1", "prototype"] as const;
export type Head = (typeof heads)[number];

/** Support pictures of each class. */
export const sizesMeasured: readonly (readonly number[])[] = [
  [40, 2],
  [20, 1],
  [60, 5, 5, 2],
  [130, 5],
];
/** Pictures of a class that is alone in its gallery, and those of each class that it is asked about. */
export const aloneMeasured: readonly number[] = [10, 20, 50];
export const aloneQueries = 30;

type Slim = Omit<EvaluationRow, "reliability" | "distribution" | "perClass" | "confusion">;

interface About {
  /** Name of the data set, and how its pictures were dealt. */
  readonly data: string;
  readonly model: string;
  readonly head: Head;
  readonly decision: DecisionSpec;
}
export interface MeasuredRow extends About {
  readonly table: "sizes" | "equal" | "open";
  readonly row: Slim;
}
/** The data set has too few pictures for it. */
export interface Impossible extends About {
  readonly table: "impossible";
  readonly sizes: readonly number[];
  readonly message: string;
}
export interface Alone extends About {
  readonly table: "alone";
  readonly pictures: number;
  /** `[draws]`, shares of 1: own pictures called unknown, and pictures of the other classes called unknown. */
  readonly falseRejects: readonly number[];
  readonly caught: readonly number[];
  readonly classes: number;
}
export type Entry = MeasuredRow | Impossible | Alone;

/** All of one job, each entry told as soon as it is there. */
export async function measure(
  { set, model, episodes, seed }: Job,
  tell: (entry: Entry) => void,
): Promise<void> {
  const dataset = await load(set, model);
  const { groups: photographs, decision, priors } = dataset;
  const waysToDeal: readonly (readonly [string, EvaluateOptions["groups"]])[] = photographs
    ? [
        [`${set}, photographs apart`, photographs],
        [`${set}, crops at random`, undefined],
      ]
    : [[set, undefined]];
  for (const [w, [data, groups]] of waysToDeal.entries())
    for (const head of heads) {
      const spec = { ...decision, views: { support: [], query: [] }, head: parseHead(head) };
      const about = { data, model, head, decision: spec };
      const common = { dataset, priors, decision: spec, episodes, seed, ...(groups && { groups }) };
      const rows = async (table: MeasuredRow["table"], options: Partial<EvaluateOptions>): Promise<void> => {
        const { results } = await evaluate({ ...common, ...options });
        for (const { reliability, distribution, perClass, confusion, ...row } of results)
          tell({ table, ...about, row });
      };
      await rows("equal", { shots: [1, 5, 10] });
      // Crops at random are for the comparison of equal sizes with figures of others.
      if (w > 0) continue;
      for (const sizes of sizesMeasured)
        await rows("sizes", {
          sizes,
          // Leaving each of so many pictures out takes a second and more.
          episodes: Math.ceil(episodes / (Math.max(...sizes) > 100 ? 4 : 1)),
        }).catch((error: unknown) => {
          if (!isProtolineError(error) || error.code !== "EPISODE_IMPOSSIBLE") throw error;
          tell({ table: "impossible", ...about, sizes, message: error.message });
        });
      // Unknown is decided by the cosine to the prototypes in both.
      if (head === "ridge:0.1") continue;
      await rows("open", { way: 3, shots: [10, 5, 2], openSet: 4 });
      for (const pictures of aloneMeasured)
        tell({
          table: "alone",
          ...about,
          ...alone(dataset, spec, pictures, Math.ceil(episodes / 2), seed, groups),
        });
    }
}

/** Galleries of one class, asked about further pictures of it and about all the other classes. */
function alone(
  { classes: all, priors }: Loaded,
  spec: DecisionSpec,
  pictures: number,
  draws: number,
  seed: number,
  groups: EvaluateOptions["groups"],
): Pick<Alone, "pictures" | "falseRejects" | "caught" | "classes"> {
  const classes = all.filter(({ origins }) => origins.length >= pictures + aloneQueries);
  const embedded = stack(
    classes.flatMap(({ embeddings, origins }) => origins.map((_, i) => row(embeddings, i))),
  );
  const labels = classes.flatMap(({ label, origins }) => origins.map(() => label));
  const photographs = groups && classes.flatMap(({ origins }) => origins.map(groups));
  const asked = { way: 1, shot: pictures, query: aloneQueries, open: classes.length - 1 };
  const plan = planEpisodes(episodeClasses(labels, photographs), asked, seed);
  const falseRejects: number[] = [];
  const caught: number[] = [];
  for (let i = 0; i < draws; i++) {
    const { supportSet, querySet, unknownSet } = plan.episode(i);
    const fitted = fitDecision(
      {
        embeddings: take(embedded, supportSet.rows),
        labels: supportSet.labels,
        ...(photographs && { groups: supportSet.rows.map((at) => photographs[at]!) }),
      },
      spec,
      priors,
    );
    const unknown = (rows: readonly number[]): number =>
      rows.filter((at) => fitted.decide(take(embedded, [at])).kind === "unknown").length / rows.length;
    falseRejects.push(unknown(querySet.rows));
    caught.push(unknown(unknownSet.rows));
  }
  return { pictures, falseRejects, caught, classes: classes.length };
}
