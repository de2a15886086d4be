/**
 * Transductive methods beside the default decision, with as many queries of each class and with unequally many: what they
 * gain when their assumption holds, and what they lose when it does not. `--episodes N` for a quick look; `--only X-SDD`
 * for one set (then nothing is written).
 */
import {
  type DecisionSpec,
  defaultDecision,
  type TransductiveName,
  transductiveNames,
} from "../src/fewshot/index.ts";
import { type EvaluationRow, evaluate, parseHead, parseTransform } from "../src/train/index.ts";
import { type Loaded, load } from "./datasets.ts";
import { options, percent, publish } from "./results.ts";

const model = "mobilenet-v1";
const shots = [1, 5];
const { episodes, seed, only } = options({ episodes: 300 });
/** α-TIM takes a second and more for each. */
const few = Math.ceil(episodes / 10);
/** Enough for any share of 75 queries, and embedded in minutes. */
const cifarImages = 100;

const plain: DecisionSpec = {
  ...defaultDecision,
  transform: parseTransform("l2"),
  head: parseHead("prototype"),
};
const log: unknown[] = [];

async function measure(
  dataset: Loaded,
  decision: DecisionSpec,
  transductive: TransductiveName | null,
  unbalanced: boolean,
  episodes: number,
): Promise<readonly EvaluationRow[]> {
  const { results } = await evaluate({
    dataset,
    priors: dataset.priors,
    decision,
    shots,
    episodes,
    seed,
    unbalanced,
    ...(transductive !== null && { transductive }),
  });
  for (const { shot, queries, episodes, mean, ci95, ece } of results)
    log.push({
      dataset: dataset.name,
      method: transductive ?? (decision === plain ? "l2, prototype" : "the default decision"),
      unbalanced,
      ...{ shot, queries, episodes, mean, ci95, ece },
    });
  return results;
}

async function rowOf(
  dataset: Loaded,
  name: string,
  decision: DecisionSpec,
  transductive: TransductiveName | null,
  count = episodes,
): Promise<string[]> {
  const balanced = await measure(dataset, decision, transductive, false, count);
  const unbalanced = await measure(dataset, decision, transductive, true, count);
  const row = [
    name,
    ...shots.flatMap((_, s) => {
      const [equal, unequal] = [balanced[s]!, unbalanced[s]!];
      const change = percent(unequal.mean - equal.mean);
      return [
        ...[equal, unequal].map(({ mean, ci95 }) => `${percent(mean)} ± ${percent(ci95)}`),
        change.startsWith("-") ? change : `+${change}`,
      ];
    }),
    String(count),
  ];
  process.stderr.write(`${dataset.name} | ${row.join(" | ")}\n`);
  return row;
}

const tables = [];
for (const set of ["X-SDD", "CIFAR-FS test"] as const) {
  if (only !== undefined && only !== set) continue;
  const dataset = await load(set, model, [], cifarImages);
  const rows = [
    await rowOf(dataset, "inductive: l2, prototype", plain, null),
    await rowOf(dataset, "inductive: the default decision", defaultDecision, null),
  ];
  for (const name of transductiveNames.filter((name) => name !== "alpha-tim"))
    rows.push(await rowOf(dataset, name, plain, name));
  // The inductive ones once more on as few episodes, to compare with.
  rows.push(await rowOf(dataset, "alpha-tim", plain, "alpha-tim", few));
  rows.push(await rowOf(dataset, "inductive: l2, prototype", plain, null, few));
  rows.push(await rowOf(dataset, "inductive: the default decision", defaultDecision, null, few));
  tables.push({
    title: set,
    columns: [
      "method",
      ...shots.flatMap((shot) => [`${shot} shot${shot > 1 ? "s" : ""}, balanced`, "unbalanced", "change"]),
      "episodes",
    ],
    rows,
  });
}
if (only === undefined)
  await publish({
    name: "transductive",
    title: "Transductive methods, balanced and unbalanced",
    about: [
      `MobileNetV1, 5-way, 75 queries an episode, accuracy in percent; ± is 1.96·s/√n over episodes. Balanced: 15 queries of each class. Unbalanced: 75 in shares drawn from a Dirichlet distribution with α = 2 (Veilleux et al. 2021, arXiv:2110.03690). Change: from balanced to unbalanced, in points. Rows with equal numbers of episodes have the same episodes; the last three rows have the first ${few}, as α-TIM takes a second for each.`,
      "The methods are BD-CSPN, LaplacianShot, α-TIM and PT-MAP with the settings of their authors, none of them tuned here. They answer all queries of an episode at once and are not to be compared with a decision that answers one frame: no frame of a line comes with 74 others that are to be answered at the same time. They are available in evaluations alone.",
      `CIFAR-FS: the first ${cifarImages} pictures of each test class.`,
    ],
    tables,
    seed,
    data: log,
  });
