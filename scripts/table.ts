/**
 * Transforms × heads on three data sets, views, and the open set: what the default decision is chosen from.
 * `--episodes N` for a quick look; `--only X-SDD` for one set (then nothing is written).
 */
import { type DecisionSpec, defaultDecision, type ViewKind } from "../src/fewshot/index.ts";
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
const noViews: DecisionSpec["views"] = { support: [], query: [] };
const eightViews: DecisionSpec["views"] = { support: dihedral, query: [] };
/** Eight rows a picture make a fit about fifty times as dear. */
const few = Math.ceil(0.1 * episodes);
const many = Math.ceil(0.4 * episodes);

/** Transform and head. A centre changes nothing for the others: a Gaussian has it in its means, a ridge head in its intercept. */
const cellNames = [
  ["l2", "gaussian"],
  ["power", "gaussian"],
  ["l2", "ridge:0.1"],
  ["power", "ridge:0.1"],
  ["l2", "prototype"],
  ["power", "prototype"],
  ["center", "prototype"],
  ["power+center", "prototype"],
] as const;

const decisionOf = (views: DecisionSpec["views"], transform: string, head: string): DecisionSpec => ({
  ...defaultDecision,
  views,
  transform: parseTransform(transform),
  head: parseHead(head),
});

/** Equal names, equal decisions. */
const nameOf = ({ views, transform, head }: DecisionSpec): string => JSON.stringify([views, transform, head]);
const isDefault = (decision: DecisionSpec): boolean => nameOf(decision) === nameOf(defaultDecision);

interface Cell {
  readonly decision: DecisionSpec;
  readonly episodes: number;
}

// The two that are compared most have all episodes; and once more as few as the views have, to compare with those.
const first = [defaultDecision, decisionOf(noViews, "l2", "prototype")];
const cells: readonly Cell[] = [
  ...first.map((decision) => ({ decision, episodes })),
  ...cellNames
    .map(([transform, head]) => ({ decision: decisionOf(noViews, transform, head), episodes: many }))
    .filter(({ decision }) => first.every((other) => nameOf(other) !== nameOf(decision))),
  ...(["gaussian", "ridge:0.1"] as const).map((head) => ({
    decision: decisionOf(eightViews, "power", head),
    episodes: few,
  })),
  ...["gaussian", "ridge:0.1"].map((head) => ({
    decision: decisionOf(noViews, "power", head),
    episodes: few,
  })),
];
const fewCells: readonly Cell[] = cells.filter(
  ({ decision, episodes: count }) => decision.views.support.length === 0 && count > few,
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
    const row = [
      decision.views.support.length > 0 ? "8 of support" : "none",
      formatTransform(decision.transform),
      formatHead(decision.head),
      ...results.map(accuracy),
      percent(results.at(-1)!.falseReject),
      results.at(-1)!.ece.toFixed(3),
      String(episodes),
    ];
    rows.push(isDefault(decision) ? row.map((cell) => `**${cell}**`) : row);
    const s = ((performance.now() - started) / 1000).toFixed(0);
    process.stderr.write(`${dataset.name} | ${row.join(" | ")} | ${s} s\n`);
  }
  return rows;
}

async function openSet(dataset: Loaded): Promise<string[][]> {
  const rows: string[][] = [];
  for (const [transform, head] of cellNames) {
    const decision = decisionOf(noViews, transform, head);
    const { results } = await evaluate({
      dataset,
      priors: dataset.priors,
      decision,
      way: 4,
      openSet: 3,
      episodes: Math.ceil(0.5 * episodes),
      seed,
    });
    log.push(
      ...results.map(({ confusion, notApart, perClass, reliability, distribution, ...row }) => ({
        dataset: dataset.name,
        decision,
        ...row,
      })),
    );
    for (const { shot, mean, auroc, fpr95, oscr, falseReject, caught, episodes } of results) {
      const row = [
        transform,
        head,
        String(shot),
        ...[mean, auroc!, fpr95!, oscr!, falseReject, caught!].map(percent),
        String(episodes),
      ];
      rows.push(isDefault(decision) ? row.map((cell) => `**${cell}**`) : row);
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
        "head",
        "shots",
        "accuracy",
        "AUROC",
        "FPR95",
        "OSCR",
        "false reject",
        "caught",
        "episodes",
      ],
      rows: await openSet(dataset),
      notes: [
        `15 queries of each of the 7 classes, all in percent. The stated false-reject rate is ${percent(defaultDecision.openSet.falseRejectRate)}; caught: queries of unknown classes called unknown. At one shot no gallery can calibrate it, and the encoder's prior is used, if it has one. Of the ridge head, unknown is decided by the cosine to the prototypes.`,
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
      "8 of support: each picture of the support and its seven further rotations and mirrorings, one embedding each. Rows of one data set with equal numbers of episodes have the same episodes.",
    ],
    tables,
    seed,
    data: log,
  });
}
