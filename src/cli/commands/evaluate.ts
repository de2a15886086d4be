import { join } from "node:path";
import { type Command, Option } from "commander";
import { quote } from "../../core/index.ts";
import type { DatasetSplit } from "../../data/index.ts";
import type { DecisionSpec, TransductiveName, ViewKind } from "../../fewshot/index.ts";
import type { Encoder } from "../../models/index.ts";
import type { EmbedResult, Evaluation, EvaluationRow } from "../../train/index.ts";
import { action, type Context, examples } from "../context.ts";
import { type EvaluationData, findEvaluationData, leftOutText } from "../evaluation-data.ts";
import { partlyDone } from "../exit.ts";
import {
  integer,
  integerList,
  parsePattern,
  parseSizes,
  parseViews,
  positiveInteger,
  share,
} from "../parse.ts";
import { chooseModel, openModel, sources } from "../resources.ts";
import { oneLine, type Paint, percent, plural, seconds, table } from "../text.ts";

interface EvaluateFlags {
  readonly split?: DatasetSplit;
  readonly data?: string;
  readonly way: number;
  readonly shot: readonly number[];
  readonly sizes?: readonly number[];
  readonly queries: number;
  readonly episodes: number;
  readonly seed: number;
  readonly openSet?: number;
  readonly transform?: string;
  readonly head?: string;
  readonly falseReject?: number;
  readonly views?: readonly ViewKind[];
  readonly frameViews?: readonly ViewKind[];
  readonly apart?: RegExp;
  readonly transductive?: TransductiveName;
  readonly unbalanced?: boolean;
  /** False with --no-cache. */
  readonly cache: boolean;
}

const jsonText = [
  "Classes with too few pictures for the tasks are left out, with a warning.",
  "",
  "--json prints one object; its results hold a row for each shot (or one for --sizes, with sizes): way, shot, episodes, and",
  "in fractions of 1 mean and ci95, balanced (each class of a task counts alike), balancedCi95 and worst (a task's hardest",
  "class), ece, falseReject (known pictures called unknown), with --open-set caught (unknown pictures called unknown), auroc,",
  "fpr95, oscr; falseReject and caught each with Ci95 and Spread (standard deviation over tasks) behind the name. leftOut has",
  "label and pictures of each class that took no part. The interval is 1.96·s/√episodes.",
].join("\n");

export function evaluate(program: Command): void {
  program
    .command("evaluate")
    .description(
      "measure a model and a decision on a data set of your own, by many small tasks drawn from it",
    )
    .argument("<data>", "a folder that holds a folder for each class, or the name of a data set (data list)")
    .addOption(
      new Option(
        "--split <name>",
        "its pictures in that list alone (default: all; test of a data set by name)",
      ).choices(["train", "val", "trainval", "test", "all"]),
    )
    .option("--data <folder>", "where data sets lie, each in a folder of its name (default: PROTOLINE_DATA)")
    .option("--way <n>", "classes a task", positiveInteger, 5)
    .addOption(
      new Option("--shot <list>", "pictures shown of each class, one row of results each")
        .argParser(integerList)
        .default([1, 5, 10], "1,5,10"),
    )
    .addOption(
      new Option(
        "--sizes <list>",
        "in place of --way and --shot: tasks of classes that are shown in so many pictures each, as 40:2",
      )
        .argParser(parseSizes)
        .conflicts(["way", "shot", "unbalanced"]),
    )
    .option("--queries <n>", "further pictures of each class that are asked about", positiveInteger, 15)
    .option("--episodes <n>", "tasks", positiveInteger, 1000)
    .option("--seed <n>", "equal seeds give equal tasks", integer, 1)
    .option(
      "--open-set <n>",
      "classes a task that are asked about and never shown: can it say unknown?",
      positiveInteger,
    )
    .option("--transform <name>", "none, l2, power, center, power+center, … (default: the model's own)")
    .option(
      "--head <name>",
      "gaussian, prototype, prototype:METRIC, ridge, ridge:LAMBDA (default: the model's own)",
    )
    .option("--false-reject <share>", "known pictures that may be called unknown, as 0.05", share)
    .option(
      "--views <list>",
      "further views of each shown picture: dihedral,crop,color,cutout or none",
      parseViews,
    )
    .option("--frame-views <list>", "the same of each asked picture, at that many times the cost", parseViews)
    .option(
      "--apart <pattern>",
      "pictures whose paths match alike are never shown and asked in one task",
      parsePattern,
    )
    .addOption(
      new Option(
        "--transductive <name>",
        "answer all pictures of a task at once: for comparison with papers alone",
      ).choices(["bd-cspn", "laplacian-shot", "alpha-tim", "pt-map"] satisfies TransductiveName[]),
    )
    .option("--unbalanced", "ask about unequally many pictures of each class (Dirichlet, α = 2)")
    .option("--no-cache", "keep no embeddings for the next evaluation")
    .addHelpText(
      "after",
      `${examples(
        ["protoline evaluate data/", "accuracy at 1, 5 and 10 pictures a class"],
        ["protoline evaluate data/ --open-set 3 --shot 10", "and how well unknown parts are told"],
        ["protoline evaluate data/ --sizes 40:2", "an old class beside a new one: balanced accuracy"],
        [
          "protoline evaluate data/ --head prototype --transform l2 --json",
          "the plain baseline, for a script",
        ],
        [
          "protoline evaluate omniglot --model runs/omniglot-conv4-60w1s/bundle",
          "classes that the training never saw",
        ],
        ['protoline evaluate data/ --apart "IMG_\\d+"', "crops of one photograph stay on one side"],
      )}\n\n${jsonText}`,
    )
    .action(action<[string], EvaluateFlags>(run));
}

async function run(context: Context, [path]: [string], flags: EvaluateFlags): Promise<number> {
  const train = await import("../../train/index.ts");
  // Names first: a slip in them shall not cost the minutes of embedding.
  const transform = flags.transform === undefined ? undefined : train.parseTransform(flags.transform);
  const head = flags.head === undefined ? undefined : train.parseHead(flags.head);
  if (flags.transductive) context.warn(transductiveWarning(flags.transductive));
  const data = await findEvaluationData(path, flags.split, flags.data);
  const { empty, skipped } = data.kind === "pictures" ? data : { empty: [], skipped: [] };
  for (const { path: file, reason } of skipped) context.note(`skipped ${quote(file, 200)}: ${reason}`);
  for (const label of empty)
    context.warn(`class ${quote(label)} has no images and is left out [CLASS_EMPTY]`);

  const { model, why } = await chooseModel(context);
  if (!context.model) context.note(`model ${quote(model)}: ${why}`);
  const encoder = await openModel(context, model);
  try {
    const decision = decisionOf(encoder, flags, transform, head);
    const dataset = await embed(context, encoder, data, decision, flags.cache);
    for (const { origin, code, message } of dataset.rejected)
      context.warn(`${quote(origin, 200)} is left out: ${message} [${code}]`);
    const started = performance.now();
    const progress = await context.progress(
      "episodes",
      flags.episodes * (flags.sizes ? 1 : flags.shot.length),
    );
    const { priors } = encoder.manifest;
    const measured = await train
      .evaluate({
        dataset,
        decision,
        priors: { ...priors, baseMean: priors.baseMean ? Float32Array.from(priors.baseMean) : null },
        ...(flags.sizes ? { sizes: flags.sizes } : { way: flags.way, shots: flags.shot }),
        queries: flags.queries,
        episodes: flags.episodes,
        seed: flags.seed,
        openSet: flags.openSet ?? 0,
        unbalanced: flags.unbalanced ?? false,
        ...(flags.transductive && { transductive: flags.transductive }),
        ...(flags.apart && { groups: groupBy(flags.apart) }),
        onProgress: ({ done }) => progress.update(done),
      })
      .finally(() => progress.stop());
    const warning = leftOutText(measured);
    if (warning !== null) context.warn(warning);
    const shown = { ...flags, split: data.split };
    report(context, path, encoder, decision, dataset, measured, shown, performance.now() - started);
    return dataset.rejected.length + empty.length > 0 ? partlyDone : 0;
  } finally {
    await encoder.close();
  }
}

const transductiveWarning = (name: TransductiveName): string =>
  [
    `${name} is transductive: it sees all pictures that a task asks about at once`,
    ...(name === "alpha-tim" ? [] : [" and assumes that classes are as frequent as each other among them"]),
    ". Its accuracy must not be compared with a decision's, which sees one frame at a time. It is never available in",
    " recognition or serving.",
  ].join("");

function decisionOf(
  { manifest: { decision } }: Encoder,
  flags: EvaluateFlags,
  transform: DecisionSpec["transform"] | undefined,
  head: DecisionSpec["head"] | undefined,
): DecisionSpec {
  return {
    ...decision,
    transform: transform ?? decision.transform,
    head: head ?? decision.head,
    openSet: { falseRejectRate: flags.falseReject ?? decision.openSet.falseRejectRate },
    views: {
      support: flags.views ?? decision.views.support,
      query: flags.frameViews ?? decision.views.query,
    },
  };
}

async function embed(
  context: Context,
  encoder: Encoder,
  data: EvaluationData,
  { views }: DecisionSpec,
  cache: boolean,
): Promise<EmbedResult> {
  const { embedDataset, embedSplit } = await import("../../train/index.ts");
  if (data.kind === "set") {
    const { name, root, split } = data;
    const progress = await context.progress(`${name} ${split}`, 1);
    const embedded = await embedSplit(name, encoder, {
      root,
      split,
      ...(cache && { cacheDir: join((await sources()).cache, "pixels") }),
      onProgress: (stage, done, all) => progress.update(done, stage, all),
    }).finally(() => progress.stop());
    return { ...embedded, rejected: [] };
  }
  const { classes } = data;
  const total = classes.reduce((sum, { images }) => sum + images.length, 0);
  const progress = await context.progress("embed", total);
  return embedDataset(classes, encoder, {
    views: [...new Set([...views.support, ...views.query])],
    ...(cache && { cacheDir: join((await sources()).cache, "embeddings") }),
    onProgress: ({ done, cached }) => progress.update(done, cached > 0 ? `(${cached} known already)` : ""),
  }).finally(() => progress.stop());
}

const groupBy =
  (pattern: RegExp) =>
  (origin: string): string => {
    const match = pattern.exec(origin);
    // A picture that does not match is a group of its own.
    return match ? (match[1] ?? match[0]) : origin;
  };

/** Classes with the lowest accuracy that are worth a look. */
const hardest = 3;

function report(
  { json, print, note, paint }: Context,
  path: string,
  encoder: Encoder,
  decision: DecisionSpec,
  { classes, rejected }: EmbedResult,
  { results, leftOut, picturesNeeded }: Evaluation,
  { openSet, seed, split, transductive, unbalanced }: EvaluateFlags,
  ms: number,
): void {
  const { name } = encoder.manifest;
  const pictures = classes.reduce((sum, { origins }) => sum + origins.length, 0);
  if (json) {
    const { modelHash } = encoder;
    const about = { data: path, classes: classes.length, pictures, model: name, modelHash, decision, seed };
    const unusual = {
      ...(split && { split }),
      ...(transductive && { transductive }),
      ...(unbalanced && { unbalanced }),
    };
    print(JSON.stringify({ ...about, ...unusual, results, leftOut, picturesNeeded, rejected, ms }));
    return;
  }
  print(resultsTable(results, openSet !== undefined, paint));
  const last = results.at(-1);
  const asked = (last?.perClass ?? []).filter(
    (row): row is typeof row & { accuracy: number } => row.accuracy !== null,
  );
  const worst = asked.sort((a, b) => a.accuracy - b.accuracy).slice(0, hardest);
  print(
    `hardest at ${last?.sizes?.join(":") ?? plural(last?.shot ?? 0, "shot")}: ${worst.map(({ label, accuracy }) => `${oneLine(label)} ${percent(accuracy)}`).join(", ")}`,
  );
  const mixed = new Set(results.flatMap(({ notApart }) => notApart));
  if (mixed.size > 0)
    note(`not kept apart, as their groups are too few or too large: ${[...mixed].map(oneLine).join(", ")}`);
  note(
    `${plural(pictures, "picture")} of ${plural(classes.length, "class", "classes")}, model ${name}, stated false rejects ${percent(decision.openSet.falseRejectRate)}, ${seconds(ms)}`,
  );
}

const exact = (share: number): string => percent(share, 2);
const rough = (share: number | undefined): string => percent(share ?? Number.NaN);

function resultsTable(results: readonly EvaluationRow[], open: boolean, paint: Paint): string {
  const sized = results.some(({ sizes }) => sizes !== undefined);
  return table(
    [
      ...(sized ? ["sizes", "tasks", "balanced", "±", "worst"] : ["way", "shot", "tasks", "accuracy", "±"]),
      "called unknown",
      ...(open ? ["caught", "AUROC", "FPR95", "OSCR"] : []),
    ],
    results.map((row) => [
      ...(row.sizes
        ? [row.sizes.join(":"), row.episodes, exact(row.balanced), exact(row.balancedCi95), rough(row.worst)]
        : [row.way, row.shot, row.episodes, exact(row.mean), exact(row.ci95)]),
      rough(row.falseReject),
      ...(open ? [row.caught, row.auroc, row.fpr95, row.oscr].map(rough) : []),
    ]),
    paint,
  );
}
