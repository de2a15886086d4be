/**
 * What `tune` predicts for new pictures, by leaving each picture of a gallery out, against what is then measured on
 * pictures that the gallery never had: many galleries of 5 classes and 10 pictures each.
 */
import { createRng, row, stack, take } from "../src/core/index.ts";
import { episodeClasses, planEpisodes } from "../src/data/index.ts";
import { fitDecision, meanAndInterval, tune } from "../src/fewshot/index.ts";
import { formatHead, formatTransform } from "../src/train/index.ts";
import { datasets, load } from "./datasets.ts";
import { options, percent, publish } from "./results.ts";

const { episodes: galleries, seed, only } = options({ episodes: 200 });
const spec = { way: 5, shot: 10, query: 15 };
const goal = 3;

const rows: string[][] = [];
const data: unknown[] = [];
for (const [set, name] of [
  ...datasets.map((set) => [set, set] as const),
  ["coins", "coins, crops at random"] as const,
]) {
  if (only !== undefined && only !== set) continue;
  const dataset = await load(set, "mobilenet-v1");
  const pictures = stack(
    dataset.classes.flatMap(({ embeddings, origins }) => origins.map((_, i) => row(embeddings, i))),
  );
  const labels = dataset.classes.flatMap(({ label, origins }) => origins.map(() => label));
  const { priors } = dataset;
  const groups = name === set ? dataset.groups : undefined;
  const photographs = groups && dataset.classes.flatMap(({ origins }) => origins.map(groups));
  const plan = planEpisodes(episodeClasses(labels, photographs), spec, seed);

  const differences: number[] = [];
  const predictions: number[] = [];
  const measures: number[] = [];
  const choices: Record<string, number> = {};
  let changed = 0;
  for (let i = 0; i < galleries; i++) {
    const { supportSet, querySet } = plan.episode(i);
    const support = { embeddings: take(pictures, supportSet.rows), labels: supportSet.labels };
    const { chosen, report } = tune(support, {}, priors, createRng(seed).fork(i));
    const fitted = fitDecision(support, chosen, priors);
    const choice = `${formatTransform(chosen.transform)} ${formatHead(chosen.head)}`;
    choices[choice] = (choices[choice] ?? 0) + 1;
    const right = querySet.rows.filter(
      (picture, q) => fitted.decide(take(pictures, [picture])).candidates[0]!.label === querySet.labels[q],
    ).length;
    const predicted = report.predicted.head.accuracy;
    const measured = right / querySet.rows.length;
    predictions.push(predicted);
    measures.push(measured);
    differences.push(100 * (predicted - measured));
    if (report.changed.head) changed++;
  }
  const { mean, ci95 } = meanAndInterval(differences);
  const deviation = Math.sqrt(differences.reduce((s, d) => s + (d - mean) ** 2, 0) / (galleries - 1));
  data.push({ dataset: name, galleries, choices, difference: mean, ci95, deviation, changed });
  rows.push([
    name,
    percent(meanAndInterval(predictions).mean),
    percent(meanAndInterval(measures).mean),
    `${mean > 0 ? "+" : ""}${mean.toFixed(2)} ± ${ci95.toFixed(2)}`,
    deviation.toFixed(1),
    `${changed} of ${galleries}`,
    Math.abs(mean) <= goal ? "yes" : "no",
  ]);
  process.stderr.write(`${rows.at(-1)!.join(" | ")}\n`);
}

if (only === undefined)
  await publish({
    name: "tune-honesty",
    title: "What tune predicts, and what is then measured",
    about: [
      `${galleries} galleries a data set, each of ${spec.way} classes with ${spec.shot} pictures, MobileNetV1. \`tune\` chooses on the gallery's own pictures and predicts the accuracy of its choice by leave-one-out; the chosen decision is then asked about ${spec.query} further pictures of each class. The goal is a mean difference within ${goal} points.`,
      `One gallery's prediction rests on ${spec.way * spec.shot} pictures, and its check on ${spec.way * spec.query}: the deviation over galleries shows how far a single prediction may be off.`,
      "Coins: in the first line all crops of a photograph are in the gallery, or all among the queries; but the gallery itself holds several crops of one photograph, and leave-one-out takes out one of them while the others stay, so it promises too much. Where crops are drawn at random, gallery and queries are alike. The same goes for any gallery with several frames of one part.",
    ],
    tables: [
      {
        columns: [
          "data",
          "predicted %",
          "measured %",
          "predicted − measured, points",
          "deviation over galleries",
          "head changed",
          `within ${goal}`,
        ],
        rows,
      },
    ],
    seed,
    data,
  });
