import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { createRng, type Rng, row, stack } from "../src/core/index.ts";
import { groupByFileName, listClasses } from "../src/data/index.ts";
import { auroc, fitDecision, meanAndInterval, novelty } from "../src/fewshot/index.ts";
import { learnEncoder } from "../src/learning/index.ts";
import { type Encoder, openEncoder } from "../src/models/index.ts";
import { isRight, pairedChange } from "../src/monitor/index.ts";
import {
  makeCandidate,
  Recognizer,
  type Solver,
  toSupport,
  tryDecision,
  tuneDecision,
} from "../src/recognizer/index.ts";
import { openStore } from "../src/store/index.ts";
import { percent, publish } from "./results.ts";

/**
 * Does it pay to train a gallery's encoder on its own pictures? Galleries of some classes of X-SDD, the encoder trained on three
 * quarters of their pictures, then both encoders asked about others of these classes and about classes that the gallery does not have.
 * What is done is kept: started again, it goes on. `learn-encoder.ts --models compact --pictures 10 --seeds 3`.
 */
const { values } = parseArgs({
  options: {
    datasets: { type: "string", default: "../shared/datasets" },
    data: { type: "string", default: "x-sdd" },
    mirror: { type: "string", default: "../shared/models" },
    models: { type: "string", default: "compact,mobilenet-v1" },
    /** Of each class that the gallery has. */
    pictures: { type: "string", default: "10,30" },
    steps: { type: "string", default: "60" },
    freeze: { type: "string", default: "0.6" },
    rate: { type: "string", default: "0.00002" },
    seeds: { type: "string", default: "5" },
    known: { type: "string", default: "5" },
    /** Names a file's photograph, all of whose pictures are on one side. */
    groups: { type: "string" },
    /** Of each class that is asked about, at most. */
    asked: { type: "string", default: "40" },
    cache: { type: "string", default: "node_modules/.cache/protoline-results/learn-encoder.json" },
    /** Say what came of it and leave docs/results as it is. */
    try: { type: "boolean", default: false },
    /** Run nothing: a table of all that is kept, of these files too. */
    kept: { type: "string" },
    /** A paragraph more. */
    note: { type: "string" },
  },
});
const [known, asked, seeds] = [Number(values.known), Number(values.asked), Number(values.seeds)];
const learned = join(dirname(values.cache), "learned");
const sources = { cache: join(learned, "none"), mirror: values.mirror, learned };

interface Answers {
  /** Of pictures of the gallery's classes: right, named rightly whatever the threshold says, called unknown. */
  readonly right: readonly boolean[];
  readonly named: readonly boolean[];
  readonly refused: readonly boolean[];
  /** Of pictures of other classes: given a class. */
  readonly accepted: readonly boolean[];
  readonly auroc: number;
}
interface Run {
  readonly before: Answers;
  readonly after: Answers;
  /** Kept back from training and left out of the gallery: what `learn` tells its user. */
  readonly keptBack: { readonly before: number; readonly after: number; readonly of: number };
  /** All pictures of the gallery left out, although most were trained on. */
  readonly flattered: number;
  readonly seconds: number;
  readonly losses: readonly [number, number];
}
interface Setting {
  readonly model: string;
  readonly pictures: number;
  readonly steps: number;
  readonly freeze: number;
  readonly rate: number;
}

const { classes } = await listClasses(join(values.datasets, values.data, "images"));
const pattern = values.groups === undefined ? null : new RegExp(values.groups, "u");
const cached: Record<string, Run> = existsSync(values.cache)
  ? JSON.parse(await readFile(values.cache, "utf8"))
  : {};

/** The side that all pictures of a photograph are on, for all classes; `null` where each stands alone. */
function sidesOf(rng: Rng): (path: string) => "shown" | "asked" | null {
  if (!pattern) return () => null;
  const all = [
    ...new Set(classes.flatMap(({ images }) => images.map((path) => groupByFileName(path, pattern)))),
  ];
  const shown = new Set(rng.sample(all.length, Math.ceil(all.length / 2)).map((i) => all[i]!));
  return (path) => (shown.has(groupByFileName(path, pattern)) ? "shown" : "asked");
}

async function run({ model, pictures, steps, freeze, rate }: Setting, seed: number): Promise<Run> {
  const rng = createRng(seed);
  const drawn = rng.sample(classes.length, classes.length).map((i) => classes[i]!);
  const sides = sidesOf(rng.fork(2000));
  const own = drawn.slice(0, known).map(({ label, images }, c) => {
    const order = rng.fork(c).sample(images.length, images.length);
    const taken = order.map((i) => images[i]!);
    const shown = taken.filter((path) => sides(path) !== "asked").slice(0, pictures);
    const rest = taken.filter((path) => sides(path) !== "shown" && !shown.includes(path));
    return { label, shown, asked: rest.slice(0, asked) };
  });
  const others = drawn.slice(known).flatMap(({ label, images }, c) =>
    rng
      .fork(1000 + c)
      .sample(images.length, Math.min(asked, images.length))
      .map((i) => ({ label, path: images[i]! })),
  );
  const questions = [...own.flatMap(({ label, asked }) => asked.map((path) => ({ label, path }))), ...others];
  const store = await openStore("memory:");
  const encoder = await openEncoder(model, { sources, threads: 1 });
  const recognizer = await Recognizer.open({ store, model: encoder, gallery: "steel" });
  for (const { label, shown } of own) await recognizer.enroll(label, shown);
  const before = await answers(encoder, recognizer);

  const losses: number[] = [];
  const started = performance.now();
  const made = await learnEncoder({
    ...{ store, gallery: "steel", encoder, sources, folder: learned, steps, seed, freeze, rate },
    onProgress: ({ done, of, loss }) => {
      losses.push(loss);
      if (done % 20 === 0)
        console.error(
          `${model} ${pictures} seed ${seed}: ${done} of ${of}, loss ${loss.toFixed(3)}, ${((performance.now() - started) / 1000 / done).toFixed(2)} s a step`,
        );
    },
  });
  const seconds = (performance.now() - started) / 1000;
  const further = await openEncoder(made.path, { threads: 1 });
  const solver: Solver = { tune: async (it) => tuneDecision(it), try: async (it) => tryDecision(it) };
  const { comparison, samples } = await makeCandidate({
    ...{ store, gallery: "steel", current: encoder, encoder: further, solver },
    wanted: { tune: false },
  });
  const support = await samples(recognizer.samples);
  const after = await answers(further, recognizer, support);
  const all = tryDecision({
    ...{ support: toSupport(support, further.embeddingDim), decision: recognizer.decision },
    ...{ priors: recognizer.priors, heldOut: { embeddings: stack([], further.embeddingDim), labels: [] } },
  }).leftOut;
  await recognizer.close();
  await encoder.close();
  await further.close();
  await store.close();
  await rm(made.path, { recursive: true, force: true });
  const { current, candidate } = comparison.leftOut!;
  return {
    ...{ before, after, seconds, losses: [losses[0]!, losses.at(-1)!] },
    keptBack: { before: current.right.hits, after: candidate.right.hits, of: current.right.of },
    flattered: all.filter(isRight).length / all.length,
  };

  async function answers(
    by: Encoder,
    { samples, decision, priors }: Recognizer,
    of = samples,
  ): Promise<Answers> {
    const fitted = fitDecision(toSupport(of, by.embeddingDim), decision, priors);
    const asking = await Recognizer.open({ store: "memory:", model: by, gallery: "asking" });
    const { data, n, dim } = await asking.embed(questions.map(({ path }) => path));
    await asking.close();
    const labels = new Set(fitted.labels);
    const told = questions.map(({ label }, i) => {
      const decided = fitted.decide(stack([row({ data, n, dim }, i)]), { topK: 1 });
      const { kind, candidates } = decided;
      return { kind, nearest: candidates[0]!.label, truth: label, novelty: novelty(decided) };
    });
    const mine = told.filter(({ truth }) => labels.has(truth));
    const strange = told.filter(({ truth }) => !labels.has(truth));
    return {
      right: mine.map(isRight),
      named: mine.map(({ truth, nearest }) => truth === nearest),
      refused: mine.map(({ kind }) => kind === "unknown"),
      accepted: strange.map(({ kind }) => kind === "known"),
      auroc: auroc(
        mine.map(({ novelty }) => novelty),
        strange.map(({ novelty }) => novelty),
      ),
    };
  }
}

const shareOf = (list: readonly boolean[]): number => list.filter(Boolean).length / list.length;
/** Before → after, and the mean change over galleries with 1.96·s/√n. */
function change(runs: readonly Run[], of: (answers: Answers) => number): string {
  const mean = (which: "before" | "after"): number =>
    runs.reduce((sum, run) => sum + of(run[which]), 0) / runs.length;
  const { mean: gain, ci95 } = meanAndInterval(runs.map(({ before, after }) => of(after) - of(before)));
  const spread = runs.length > 1 ? ` ± ${percent(ci95)}` : "";
  return `${percent(mean("before"))} → ${percent(mean("after"))} (${gain < 0 ? "−" : "+"}${percent(Math.abs(gain))}${spread})`;
}

const settings: Setting[] = values.models.split(",").flatMap((model) =>
  values.pictures.split(",").flatMap((pictures) =>
    values.steps.split(",").flatMap((steps) =>
      values.freeze.split(",").flatMap((freeze) =>
        values.rate.split(",").map((rate) => ({
          ...{ model, pictures: Number(pictures), steps: Number(steps) },
          ...{ freeze: Number(freeze), rate: Number(rate) },
        })),
      ),
    ),
  ),
);
/** What was run of each setting, by set and setting. */
const done = new Map<string, Run[]>();
const note = (set: string, setting: Setting, result: Run): void => {
  const key = JSON.stringify([set, setting]);
  done.set(key, [...(done.get(key) ?? []), result]);
};
if (values.kept !== undefined) {
  const all = new Map(Object.entries(cached));
  for (const file of values.kept.split(",").filter((name) => name !== ""))
    for (const entry of Object.entries<Run>(JSON.parse(await readFile(file, "utf8")))) all.set(...entry);
  for (const [key, result] of all) {
    const [setting, , , , set = "x-sdd"] = JSON.parse(key) as [Setting, number, number, number, string?];
    note(set, setting, result);
  }
} else
  for (const setting of settings)
    for (let seed = 1; seed <= seeds; seed++) {
      const set = values.data === "x-sdd" ? [] : [values.data];
      const key = JSON.stringify([setting, seed, known, asked, ...set]);
      cached[key] ??= await run(setting, seed);
      await mkdir(dirname(values.cache), { recursive: true });
      await writeFile(values.cache, JSON.stringify(cached));
      note(values.data, setting, cached[key]);
    }

const rows: string[][] = [];
const data: unknown[] = [];
for (const [key, runs] of done) {
  const [set, setting] = JSON.parse(key) as [string, Setting];
  const pooled = (which: "before" | "after"): boolean[] => runs.flatMap((run) => run[which].right);
  const { lost, gained, pValue } = pairedChange(pooled("before"), pooled("after"));
  const kept = (which: "before" | "after"): number =>
    runs.reduce((sum, { keptBack }) => sum + keptBack[which], 0) /
    runs.reduce((sum, { keptBack }) => sum + keptBack.of, 0);
  const mean = (of: (run: Run) => number): number =>
    runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
  rows.push([
    ...[set, setting.model, String(setting.pictures), String(setting.steps)],
    ...[setting.rate.toFixed(5), String(runs.length)],
    change(runs, ({ right }) => shareOf(right)),
    `${lost} lost, ${gained} gained, p ${pValue < 0.001 ? "< 0.001" : pValue.toFixed(3)}`,
    change(runs, ({ named }) => shareOf(named)),
    change(runs, ({ refused }) => shareOf(refused)),
    change(runs, ({ accepted }) => shareOf(accepted)),
    change(runs, (answers) => answers.auroc),
    `${percent(kept("before"))} → ${percent(kept("after"))}`,
    percent(mean(({ flattered }) => flattered)),
    mean(({ seconds }) => seconds).toFixed(0),
  ]);
  data.push({
    ...{ set, setting, lost, gained, pValue },
    runs: runs.map(({ before, after, ...rest }) => ({
      ...rest,
      before: { right: shareOf(before.right), auroc: before.auroc, accepted: shareOf(before.accepted) },
      after: { right: shareOf(after.right), auroc: after.auroc, accepted: shareOf(after.accepted) },
    })),
  });
  console.error(rows.at(-1)!.join(" | "));
}
if (!values.try)
  await publish({
    name: "learn-encoder",
    title: "A gallery's encoder, trained further on its own pictures",
    about: [
      `Galleries of five of the seven classes of X-SDD, and of six of the eight of the coins (with no photograph on both sides), drawn by seed. The first ${100 * Number(values.freeze)} % of the layers are frozen. The encoder is trained on three quarters of the gallery's pictures by episodes (\`protoline learn --encoder\`), and before and after that the gallery, with the same decision, is asked about up to ${asked} further pictures of each of its classes and ${asked} of each class that it does not have. In percent; in brackets the mean change over galleries, ± 1.96·s/√n; p of the right answers by McNemar's test over all pictures of all galleries. *Kept back*: right answers to the quarter that was not trained on, each left out of the gallery, which is what the command itself reports. *Flattered*: right answers to all pictures of the gallery, each left out, although most were trained on; the command does not report it.`,
      ...(values.note === undefined ? [] : [values.note]),
    ],
    tables: [
      {
        columns: [
          ...["set", "model", "pictures a class", "steps", "rate", "galleries", "right", "right, by picture"],
          ...[
            "nearest class",
            "false rejects",
            "false accepts",
            "AUROC",
            "kept back",
            "flattered",
            "seconds",
          ],
        ],
        rows,
      },
    ],
    seed: 1,
    data,
  });
