/**
 * How distances of known pictures are spread with an encoder: what a bundle tells a gallery before it has pictures of its own
 * (`priors.limits`). Over X-SDD and coins, or, with `--data FOLDER`, folders of classes of one's own:
 * `npx tsx scripts/priors.ts --model mobilenet-v1`. `--write FILE` puts them, with the default decision, into a bundle of one file.
 */
import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { createRng, type Rng, row, stack, take } from "../src/core/index.ts";
import { defaultDecision, defaultPriors, fitDecision } from "../src/fewshot/index.ts";
import { parseBundle, withManifest } from "../src/models/bundle-bytes.ts";
import { datasets, load } from "./datasets.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "compact" },
    write: { type: "string" },
    tasks: { type: "string", default: "100" },
  },
});
const tasks = Number(values.tasks);
const [way, shots, queries] = [5, 8, 15];

/** Deviation of the log distances within classes. */
function deviationOf(logs: readonly (readonly number[])[]): number {
  let squares = 0;
  for (const xs of logs) {
    const mean = xs.reduce((sum, x) => sum + x, 0) / xs.length;
    for (const x of xs) squares += (x - mean) ** 2;
  }
  return Math.sqrt(squares / (logs.flat().length - logs.length));
}

const rates = [0.2, 0.1, 0.05, 0.02, 0.01];

/** The distances that these shares of all exceed. */
function quantilesOf(logs: readonly (readonly number[])[]): number[] {
  const sorted = logs.flat().sort((a, b) => a - b);
  return rates.map((rate) => Math.exp(sorted[Math.ceil((1 - rate) * sorted.length) - 1]!));
}

/** One list of log distances a class of every task. */
function drawn(
  classes: readonly { readonly embeddings: ReturnType<typeof stack> }[],
  shot: number,
  decision: typeof defaultDecision,
  rng: Rng,
): number[][] {
  return Array.from({ length: tasks }, (_, t) => {
    const one = rng.fork(t);
    const known = one.sample(classes.length, Math.min(way, classes.length - 1)).map((c) => classes[c]!);
    const picked = known.map(({ embeddings }) => {
      const rows = one.sample(embeddings.n, shot + queries);
      return { shown: take(embeddings, rows.slice(0, shot)), asked: take(embeddings, rows.slice(shot)) };
    });
    const rows = picked.flatMap(({ shown }) => Array.from({ length: shot }, (_, i) => row(shown, i)));
    const labels = picked.flatMap((_, c) => Array.from({ length: shot }, () => c));
    const fitted = fitDecision({ embeddings: stack(rows), labels }, decision, defaultPriors);
    return picked.map(({ asked }) =>
      Array.from({ length: queries }, (_, i) => {
        const { limit } = fitted.decide(stack([row(asked, i)]));
        return Math.log(Math.max(limit.distance, 1e-3));
      }),
    );
  }).flat();
}

const found: { deviation: number; oneShot: number[] }[] = [];
let decision = defaultDecision;
for (const name of datasets.filter((one) => one !== "CIFAR-FS test")) {
  const dataset = await load(name, values.model);
  decision = { ...defaultDecision, transform: dataset.decision.transform };
  const classes = dataset.classes.filter(({ origins }) => origins.length >= shots + queries);
  const rng = createRng(1);
  const deviation = deviationOf(drawn(classes, shots, decision, rng.fork(1)));
  const oneShot = quantilesOf(drawn(classes, 1, decision, rng.fork(2)));
  console.log(name, values.model, { deviation, oneShot });
  found.push({ deviation, oneShot });
}
const mean = (of: (one: (typeof found)[number]) => number): number =>
  Number((found.reduce((sum, one) => sum + of(one), 0) / found.length).toFixed(3));
const limits = {
  deviation: mean((one) => one.deviation),
  oneShot: rates.map((rate, r) => ({ rate, threshold: mean((one) => one.oneShot[r]!) })),
};
console.log(JSON.stringify({ model: values.model, limits }));
if (values.write) {
  const { model, manifest } = parseBundle(await readFile(values.write), values.write);
  const next = { ...manifest, decision, priors: { ...manifest.priors, limits } };
  await writeFile(values.write, withManifest(model, JSON.stringify(next)));
  console.log(`${values.write}: decision and priors written`);
}
