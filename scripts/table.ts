/**
 * Views × transforms × heads on three data sets: the table that the default decision is chosen from, and the open set.
 * `--episodes N` for a quick look; `--only X-SDD` for one set (then nothing is written).
 */
import { type DecisionSpec, defaultDecision, type OpenSetSpec, type ViewKind } from "../src/fewshot/index.ts";
import {
  type EvaluationRow,
  evaluate,
  formatHead,
  formatTransform,
  parseHead,
  parseTransform,
} from "../src/train/index.ts";
import { cifarImagesWithViews, datasets, type Loaded, load } from "./datasets.ts";
import { options, percent, publish } from "./results.ts";

const model = "mobilenet-v1";
const { episodes, seed, only } = options({ episodes: 1000 });

const dihedral: readonly ViewKind[] = ["dihedral"];
const viewChoices = [
  { name: "none", views: { support: [], query: [] }, episodes: Math.ceil(0.4 * episodes) },
  // Eight rows a picture make a fit about fifty times as dear.
  { name: "8 of support", views: { support: dihedral, query: [] }, episodes: Math.ceil(0.1 * episodes) },
  {
    name: "8 of support and query",
    views: { support: dihedral, query: dihedral },
    episodes: Math.ceil(0.1 * episodes),
  },
] as const;

/** Transform and head. A ridge head's intercept is free, so that a centre would change nothing there. */
const cellsWithoutViews = [
  ["l2", "prototype"],
  ["center", "prototype"],
  ["power", "prototype"],
  ["power+center", "prototype"],
  ["l2", "ridge:0.1"],
  ["power:0.7", "ridge:0.1"],
  ["power", "ridge:0.1"],
  ["power", "ridge:1"],
] as const;
const cellsWithViews = [
  ["l2", "prototype"],
  ["l2", "ridge:0.1"],
  ["power", "ridge:0.1"],
] as const;

const decisionOf = (views: DecisionSpec["views"], transform: string, head: string): DecisionSpec => ({
  ...defaultDecision,
  views,
  transform: parseTransform(transform),
  head: parseHead(head),
});

/** Equal names, equal decisions. */
const nameOf = ({ views, transform, head }: DecisionSpec): string =>
  JSON.stringify([views, head.kind === "ridge" ? { ...transform, center: "none" } : transform, head]);
const isDefault = (decision: DecisionSpec): boolean => nameOf(decision) === nameOf(defaultDecision);

interface Cell {
  readonly decision: DecisionSpec;
  readonly episodes: number;
}

// The two that are compared most have all episodes; and once more as few as the views have, to compare with those.
const plain = decisionOf({ support: [], query: [] }, "l2", "prototype");
const first = [defaultDecision, plain];
const cells: readonly Cell[] = [
  ...first.map((decision) => ({ decision, episodes })),
  ...viewChoices
    .flatMap(({ views, episodes }) =>
      (views.support.length > 0 ? cellsWithViews : cellsWithoutViews).map(([transform, head]) => ({
        decision: decisionOf(views, transform, head),
        episodes,
      })),
    )
    .filter(({ decision }) => first.every((other) => nameOf(other) !== nameOf(decision))),
  ...first.map((decision) => ({ decision, episodes: viewChoices[1].episodes })),
];
const fewCells: readonly Cell[] = cells.filter(
  ({ decision: { transform, head, views } }) =>
    head.kind === "ridge" &&
    head.lambda === 0.1 &&
    transform.power !== 0.7 &&
    (views.support.length === 0 || views.query.length > 0),
);

const log: unknown[] = [];
const accuracy = ({ mean, ci95 }: EvaluationRow): string => `${percent(mean)} ± ${percent(ci95)}`;

async function accuracies(dataset: Loaded, cells: readonly Cell[]): Promise<string[][]> {
  const rows: string[][] = [];
  for (const { decision, episodes } of cells) {
    const started = performance.now();
    const { results } = await evaluate({
      dataset,
      priors: dataset.priors,
      decision,
      episodes,
      seed,
      ...(dataset.groups && { groups: dataset.groups }),
    });
    const shared = Math.max(...results.map(({ sharedGroups }) => sharedGroups));
    if (shared > 0) throw new Error(`${dataset.name}: ${percent(shared)} % of queries share a group`);
    log.push(
      ...results.map(({ confusion, notApart, perClass, reliability, distribution, ...row }) => ({
        dataset: dataset.name,
        photographsApart: dataset.groups !== undefined,
        decision,
        ...row,
      })),
    );
    const view = viewChoices.find(({ views }) => nameOf({ ...decision, views }) === nameOf(decision));
    const row = [
      view?.name ?? JSON.stringify(decision.views),
      formatTransform(decision.transform),
      formatHead(decision.head),
      ...results.map(accuracy),
      percent(results.at(-1)!.falseRejectRate),
      results.at(-1)!.ece.toFixed(3),
      String(episodes),
    ];
    rows.push(isDefault(decision) ? row.map((cell) => `**${cell}**`) : row);
    const s = ((performance.now() - started) / 1000).toFixed(0);
    process.stderr.write(`${dataset.name} | ${row.join(" | ")} | ${s} s\n`);
  }
  return rows;
}

/** Transform, open-set score, and the share of all episodes: Mahalanobis inverts a covariance in each. */
const openCells: readonly (readonly [string, OpenSetSpec["score"], number])[] = [
  ["l2", "cosine", 0.5],
  ["power+center", "cosine", 0.5],
  ["power+center", "centeredCosine", 0.5],
  ["power+center", "ridge", 0.5],
  ["power+center", "mahalanobis", 0.1],
];

async function openSet(dataset: Loaded): Promise<string[][]> {
  const rows: string[][] = [];
  for (const [transform, score, share] of openCells) {
    const decision: DecisionSpec = {
      ...decisionOf({ support: [], query: [] }, transform, "ridge:0.1"),
      openSet: { ...defaultDecision.openSet, score },
    };
    const { results } = await evaluate({
      dataset,
      priors: dataset.priors,
      decision,
      way: 4,
      openSet: 3,
      episodes: Math.ceil(share * episodes),
      seed,
    });
    log.push(
      ...results.map(({ confusion, notApart, perClass, reliability, distribution, ...row }) => ({
        dataset: dataset.name,
        decision,
        ...row,
      })),
    );
    for (const { shot, mean, auroc, aupr, fpr95, oscr, falseRejectRate, episodes } of results) {
      const row = [
        transform,
        score,
        String(shot),
        ...[mean, auroc!, aupr!, fpr95!, oscr!, falseRejectRate].map(percent),
        String(episodes),
      ];
      const chosen = isDefault(decision) && score === defaultDecision.openSet.score;
      rows.push(chosen ? row.map((cell) => `**${cell}**`) : row);
      process.stderr.write(`open set | ${row.join(" | ")}\n`);
    }
  }
  return rows;
}

const columns = [
  "views",
  "transform",
  "head",
  "1 shot",
  "5 shots",
  "10 shots",
  "false reject",
  "ECE",
  "episodes",
];
const tables: { title: string; columns: readonly string[]; rows: string[][]; notes?: string[] }[] = [];
for (const name of datasets) {
  if (only !== undefined && only !== name) continue;
  const dataset = await load(name, model, dihedral);
  const pictures = dataset.classes.reduce((sum, { origins }) => sum + origins.length, 0);
  tables.push({
    title: name,
    columns,
    rows: await accuracies(dataset, cells),
    notes: [
      `${dataset.classes.length} classes, ${pictures} pictures.${
        name === "coins"
          ? " A photograph shows several coins: all crops of one are on one side of an episode, support or query, whatever their classes (no query shared a photograph with the support)."
          : ""
      }${name === "CIFAR-FS test" ? ` The first ${cifarImagesWithViews} pictures of each class, since each is embedded eight times.` : ""}`,
    ],
  });
  if (name === "coins") {
    const { groups: _, ...mixed } = dataset;
    tables.push({
      title: "coins, crops at random",
      columns,
      rows: await accuracies(mixed, fewCells),
      notes: ["The same without regard to photographs, to compare with figures of others."],
    });
  }
  if (name === "X-SDD")
    tables.push({
      title: "X-SDD, open set: 4 known classes, 3 unknown",
      columns: [
        "transform",
        "score",
        "shots",
        "accuracy",
        "AUROC",
        "AUPR",
        "FPR95",
        "OSCR",
        "false reject",
        "episodes",
      ],
      rows: await openSet(dataset),
      notes: [
        `Ridge head (λ 0.1), 15 queries of each of the 7 classes, all in percent. The stated false-reject rate is ${percent(defaultDecision.openSet.falseRejectRate)}; at one shot no gallery can calibrate it, and the backbone's prior threshold is used, if it has one for the score.`,
      ],
    });
  // After each set, so that what was measured is kept if the next one is interrupted.
  if (only === undefined) await write();
}

function write(): Promise<void> {
  return publish({
    name: "table",
    title: "Views, transforms and heads",
    about: [
      "MobileNetV1, 5-way, 15 queries a class, accuracy in percent; ± is 1.96·s/√n over episodes. The default decision is in bold. False reject (at 10 shots): known queries called unknown, in percent; the stated rate is 5. ECE: of the confidence at 10 shots, 15 bins.",
      "Views are the picture and its seven further rotations and mirrorings, one embedding each; of the query, the scores over all eight are averaged. Rows of one data set with equal numbers of episodes have the same episodes.",
    ],
    tables,
    seed,
    data: log,
  });
}
