import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findDataset, loadDataset, type PixelSet } from "../src/data/index.ts";
import { type TransductiveName, transductiveNames } from "../src/fewshot/index.ts";
import { encoderOf } from "../src/models/index.ts";
import {
  embedPixels,
  evaluate,
  exportBundle,
  parseTrainConfig,
  readCheckpoint,
  type TrainConfig,
  testEpisodes,
  train,
  withBaseMean,
} from "../src/train/index.ts";
import { publish } from "./results.ts";

/**
 * Every method on the same footing: Conv-4 on CIFAR-FS, trained from the same seed for as many steps of as many pictures,
 * asked over the same episodes of the test classes. `methods.ts --data FOLDER`; a second call goes on where the first one
 * was stopped. `--known` trains nothing and publishes what has been measured so far, from where a later call goes on too.
 */
const { values } = parseArgs({
  options: {
    data: { type: "string", default: "../shared/datasets" },
    runs: { type: "string", default: "runs/methods" },
    steps: { type: "string", default: "2000" },
    episodes: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    known: { type: "boolean", default: false },
  },
});
const [steps, episodes, seed] = [Number(values.steps), Number(values.episodes), Number(values.seed)];
const shots = [1, 5] as const;
const [way, query] = [5, 15];

interface Row {
  readonly name: string;
  readonly method: TrainConfig["method"];
  /** Name of the row whose weights it starts from; it then trains for half as many steps more, at a tenth of the rate. */
  readonly initial?: string;
}

const trained: readonly Row[] = [
  { name: "ProtoNet, squared Euclidean", method: { kind: "protonet" } },
  { name: "ProtoNet, squared Euclidean, learned scale", method: { kind: "protonet", scale: 4 / 256 } },
  { name: "ProtoNet, cosine", method: { kind: "protonet", metric: "cosine" } },
  { name: "ProtoNet, Mahalanobis", method: { kind: "protonet", metric: "mahalanobis" } },
  { name: "Matching Networks", method: { kind: "matching" } },
  { name: "R2D2 (ridge)", method: { kind: "ridge" } },
  { name: "MAML, 2 steps", method: { kind: "maml", steps: 2, rate: 0.1 } },
  { name: "First-order MAML, 2 steps", method: { kind: "maml", steps: 2, rate: 0.1, firstOrder: true } },
  { name: "Baseline", method: { kind: "classifier", answer: "fineTune" } },
  { name: "Baseline++", method: { kind: "classifier", head: "cosine", answer: "fineTune" } },
  { name: "Classifier, nearest mean by cosine", method: { kind: "classifier" } },
  {
    name: "Meta-Baseline",
    method: { kind: "protonet", metric: "cosine" },
    initial: "Classifier, nearest mean by cosine",
  },
];
/** What SimpleShot and the transductive methods take their embeddings from. */
const plain = trained.find(({ name }) => name === "Classifier, nearest mean by cosine")!;

const named = (row: Row): boolean => row.name.includes(values.only);
const slug = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
/** Baseline and the classifier are one training, answered in two ways: what decides a run is in its name. */
const runOf = ({ name, method }: Row, shot: number): string =>
  method.kind === "classifier" ? `classifier-${method.head ?? "linear"}` : `${slug(name)}-${shot}s`;

function configOf(row: Row, shot: number): TrainConfig {
  const { method, initial } = row;
  const classifier = method.kind === "classifier";
  return parseTrainConfig({
    name: runOf(row, shot),
    data: {
      dataset: "cifar-fs",
      train: "train",
      validation: null,
      size: 32,
      channels: "rgb",
      mean: [129.3, 124.1, 112.4],
      std: [68.2, 65.4, 70.4],
    },
    backbone: { kind: "conv4" },
    // How a classifier answers episodes has no part in its training.
    method: classifier ? { kind: "classifier", head: method.head ?? "linear" } : method,
    ...(classifier ? { batch: 100 } : { episode: { way, shot, query } }),
    episodes: initial === undefined ? steps : Math.ceil(steps / 2),
    augment: { crop: { padding: 4 }, flip: { axis: "horizontal" } },
    optimizer: { kind: "adam", weightDecay: 0.0005 },
    rate: initial === undefined ? 0.001 : 0.0001,
    schedule: { kind: "cosine", least: 0.01 },
    seed,
    threads: 1,
  });
}

const load = (split: "train" | "test"): Promise<PixelSet> =>
  loadDataset("cifar-fs", { root: values.data, split });
const [trainSet, testSet] = [await load("train"), await load("test")];

/** Trains a row, or reads what an earlier call trained. */
async function weightsOf(row: Row, shot: number) {
  const config = configOf(row, shot);
  const out = join(values.runs, config.name);
  const found = await readCheckpoint<{ step: number; config: TrainConfig }>(join(out, "last.ckpt"));
  if (found?.note.step === config.episodes) return { config, weights: found.states };
  const initial = trained.find(({ name }) => name === row.initial);
  const started = performance.now();
  const { weights } = await train({
    config,
    train: trainSet,
    ...(initial && { initial: (await weightsOf(initial, shot)).weights }),
    out,
    resume: existsSync(join(out, "last.ckpt")),
  });
  console.error(`${config.name}: ${((performance.now() - started) / 60_000).toFixed(1)} min`);
  return { config, weights };
}

interface Cell {
  readonly mean: number;
  readonly ci95: number;
}

/** What was published with the same settings. */
const published: { steps: number; episodes: number; seed: number; cells: Record<string, (Cell | null)[]> } =
  await readFile(new URL("../docs/results/methods.json", import.meta.url), "utf8").then(
    (text) => {
      const { seed, data } = JSON.parse(text);
      return { ...data, seed };
    },
    () => ({ steps: 0, episodes: 0, seed: 0, cells: {} }),
  );
const comparable = published.steps === steps && published.episodes === episodes && published.seed === seed;

/** Asks for the figures of a row, or reads those of an earlier call. */
async function measured(name: string, shot: number, ask: () => Promise<Cell>): Promise<Cell | null> {
  const before = comparable && published.cells[name]?.[shots.indexOf(shot as 1 | 5)];
  if (before) return before;
  const file = join(values.runs, `${slug(name)}-${shot}s-${episodes}.json`);
  if (existsSync(file)) return JSON.parse(await readFile(file, "utf8")) as Cell;
  if (values.known) return null;
  const { mean, ci95 } = await ask();
  console.error(`${name}, ${shot} shot: ${(100 * mean).toFixed(2)} ± ${(100 * ci95).toFixed(2)}`);
  await writeFile(file, JSON.stringify({ mean, ci95 }));
  return { mean, ci95 };
}

const cells = new Map<string, (Cell | null)[]>();
for (const row of trained.filter(named))
  for (const shot of shots) {
    const cell = await measured(row.name, shot, async () => {
      const { config, weights } = await weightsOf(row, shot);
      const asked = { way, shot, query, episodes, seed: seed + 1, threads: 1 };
      const { accuracy, ci95 } = await testEpisodes(
        { ...config, method: row.method },
        weights,
        testSet,
        asked,
      );
      return { mean: accuracy, ci95 };
    });
    cells.set(row.name, [...(cells.get(row.name) ?? []), cell]);
  }

/** The classifier as a bundle, which has the mean of the training pictures, and the test pictures through it. */
async function embedded() {
  const { config, weights } = await weightsOf(plain, 1);
  const { interpolation, invert, license, citation } = findDataset("cifar-fs");
  const bare = exportBundle({
    config,
    weights,
    pixels: { interpolation, invert },
    provenance: { origin: "scripts/methods.ts", license, trainedOn: citation },
  });
  const bundle = await withBaseMean(bare, trainSet, invert);
  const encoder = await encoderOf(bundle);
  const dataset = await embedPixels(testSet, encoder, { invert });
  await encoder.close();
  const { decision, priors } = bundle.manifest;
  return { dataset, decision, priors: { ...priors, baseMean: Float32Array.from(priors.baseMean!) } };
}

/** α-TIM takes seconds an episode. */
const episodesOf = (name: TransductiveName | null): number =>
  name === "alpha-tim" ? Math.ceil(episodes / 10) : episodes;
const onEmbeddings: readonly { readonly name: string; readonly transductive: TransductiveName | null }[] = [
  { name: "SimpleShot CL2N", transductive: null },
  ...transductiveNames.map((name) => ({ name: `Transductive: ${name}`, transductive: name })),
];
const wanted = onEmbeddings.filter(({ name }) => name.includes(values.only));
if (wanted.length > 0) {
  const task = values.known ? null : await embedded();
  for (const { name, transductive } of wanted)
    for (const shot of shots) {
      const cell = await measured(name, shot, async () => {
        const { results } = await evaluate({
          ...task!,
          way,
          shots: [shot],
          queries: query,
          episodes: episodesOf(transductive),
          seed: seed + 1,
          ...(transductive && { transductive }),
        });
        return results[0]!;
      });
      cells.set(name, [...(cells.get(name) ?? []), cell]);
    }
}

if (values.only === "") {
  const figure = (cell: Cell | null): string =>
    cell ? `${(100 * cell.mean).toFixed(1)} ± ${(100 * cell.ci95).toFixed(1)}` : "not yet run";
  const line = (name: string): string[] => [name, ...cells.get(name)!.map(figure)];
  const columns = ["method", ...shots.map((shot) => `${shot} shot`)];
  await publish({
    name: "methods",
    title: "Every method on CIFAR-FS, on the same footing",
    about: [
      `Accuracy (%) on the 20 test classes, 5-way, 15 queries a class, mean ± 1.96·s/√n over ${episodes} episodes. Conv-4 from the same seed, ${steps} steps of 80 (1 shot) or 100 pictures (5 shots, classifiers), Adam at 0.001 falling as a cosine, crop and flip: a short training for all, far from what each reaches in the end, so this table compares how the methods start and shows that each learns. What long trainings reach is in evaluate-cifar-fs.md.`,
      "Episodic methods train 5-way with the shot that they are tested with. Classifiers train once, on batches of all 64 classes. Meta-Baseline goes on from the classifier for half as many steps.",
    ],
    tables: [
      { columns, rows: trained.map(({ name }) => line(name)) },
      {
        title: "On the classifier's embeddings",
        columns,
        rows: onEmbeddings.map(({ name }) => line(name)),
        notes: [
          `Transductive methods see all queries of an episode at once, as many of each class, which a production line never has: their figures do not compare with the others (see transductive.md). α-TIM over ${episodesOf("alpha-tim")} episodes.`,
        ],
      },
    ],
    seed,
    data: { steps, episodes, cells: Object.fromEntries(cells) },
  });
}
