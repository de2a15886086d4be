/**
 * What `tune` predicts by leaving pictures and classes of a gallery out, against what is then measured on pictures and classes
 * that the gallery never had: many galleries of 4 classes and 10 pictures each, and 3 classes never shown.
 */
import { createRng, row, stack, take } from "../src/core/index.ts";
import { episodeClasses, planEpisodes } from "../src/data/index.ts";
import { fitDecision, meanAndInterval, tune } from "../src/fewshot/index.ts";
import { formatHead, formatTransform } from "../src/train/index.ts";
import { type DatasetName, datasets, load } from "./datasets.ts";
import { options, percent, publish } from "./results.ts";

const { episodes: galleries, seed, only } = options({ episodes: 150 });
const spec = { way: 4, shot: 10, query: 15, open: 3 };
const goal = 3;
const kinds = ["named right", "known called unknown", "never shown, caught"] as const;

interface Case {
  readonly set: DatasetName;
  readonly name: string;
  /** Photographs are kept on one side of gallery and queries. */
  readonly apart: boolean;
  /** The gallery knows which pictures are of one photograph. */
  readonly told: boolean;
}
const cases: readonly Case[] = [
  ...datasets
    .filter((set) => set !== "coins")
    .map((set): Case => ({ set, name: set, apart: false, told: false })),
  { set: "coins", name: "coins, photographs apart and told as groups", apart: true, told: true },
  { set: "coins", name: "coins, photographs apart, no groups", apart: true, told: false },
  { set: "coins", name: "coins, crops at random", apart: false, told: false },
];

const rows: string[][] = [];
const data: unknown[] = [];
for (const { set, name, apart, told } of cases) {
  if (only !== undefined && only !== set) continue;
  const dataset = await load(set, "mobilenet-v1");
  const pictures = stack(
    dataset.classes.flatMap(({ embeddings, origins }) => origins.map((_, i) => row(embeddings, i))),
  );
  const labels = dataset.classes.flatMap(({ label, origins }) => origins.map(() => label));
  const { priors, decision: current } = dataset;
  const { groups } = dataset;
  const photographs = groups && dataset.classes.flatMap(({ origins }) => origins.map(groups));
  const plan = planEpisodes(episodeClasses(labels, apart ? photographs : undefined), spec, seed);

  const predicted: number[][] = kinds.map(() => []);
  const measured: number[][] = kinds.map(() => []);
  const choices: Record<string, number> = {};
  let changed = 0;
  for (let i = 0; i < galleries; i++) {
    const { supportSet, querySet, unknownSet } = plan.episode(i);
    const support = {
      embeddings: take(pictures, supportSet.rows),
      labels: supportSet.labels,
      ...(told && { groups: supportSet.rows.map((picture) => photographs![picture]!) }),
    };
    const { chosen, report } = tune(support, { current }, priors, createRng(seed).fork(i));
    const fitted = fitDecision(support, chosen, priors);
    const choice = `${formatTransform(chosen.transform)} ${formatHead(chosen.head)}`;
    choices[choice] = (choices[choice] ?? 0) + 1;
    if (report.changed.head) changed++;
    const ask = (asked: readonly number[]) =>
      asked.map((picture) => fitted.decide(take(pictures, [picture])));
    const known = ask(querySet.rows);
    const share = <T>(all: readonly T[], holds: (one: T, i: number) => boolean): number =>
      all.filter(holds).length / all.length;
    const { head, open } = report.predicted;
    const at = open.rates.find(({ stated }) => stated === chosen.openSet.falseRejectRate)!;
    [head!.right, at.falseReject, at.caught!].forEach(({ hits, of }, k) => {
      predicted[k]!.push((100 * hits) / of);
    });
    [
      share(known, ({ candidates }, q) => candidates[0]!.label === querySet.labels[q]),
      share(known, ({ kind }) => kind === "unknown"),
      share(ask(unknownSet.rows), ({ kind }) => kind === "unknown"),
    ].forEach((value, k) => {
      measured[k]!.push(100 * value);
    });
  }
  kinds.forEach((kind, k) => {
    const differences = predicted[k]!.map((p, i) => p - measured[k]![i]!);
    const { mean, ci95 } = meanAndInterval(differences);
    const deviation = Math.sqrt(differences.reduce((s, d) => s + (d - mean) ** 2, 0) / (galleries - 1));
    data.push({ dataset: name, kind, galleries, choices, difference: mean, ci95, deviation, changed });
    rows.push([
      name,
      kind,
      meanAndInterval(predicted[k]!).mean.toFixed(1),
      meanAndInterval(measured[k]!).mean.toFixed(1),
      `${mean > 0 ? "+" : ""}${mean.toFixed(2)} ± ${ci95.toFixed(2)}`,
      deviation.toFixed(1),
      k === 0 ? `${changed} of ${galleries}` : "",
      Math.abs(mean) <= goal ? "yes" : "no",
    ]);
    process.stderr.write(`${rows.at(-1)!.join(" | ")}\n`);
  });
}

if (only === undefined)
  await publish({
    name: "tune-honesty",
    title: "What tune predicts, and what is then measured",
    about: [
      `${galleries} galleries a row, each of ${spec.way} classes with ${spec.shot} pictures, MobileNetV1, a stated false-reject rate of ${percent(0.05)} %. \`tune\` predicts by leaving out each picture (named right, called unknown) and each class (caught); the decision is then asked about ${spec.query} further pictures of each class and of ${spec.open} classes never shown. The goal is a mean difference within ${goal} points.`,
      "A class left out leaves three behind, where the whole gallery has four: fewer classes leave more room for strangers, so that a little more is promised of strangers than comes. One gallery's prediction rests on few pictures and its check on few more: the deviation over galleries shows how far a single prediction may be off.",
      "Coins: a photograph shows several. In the first coins row gallery and queries share no photograph and the gallery is told which pictures are of one (groups), which it then leaves out together; in the second it is not told, and promises too much; in the third crops are drawn at random.",
    ],
    tables: [
      {
        columns: [
          "data",
          "what",
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
