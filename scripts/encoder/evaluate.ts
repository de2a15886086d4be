import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type DecisionSpec, defaultDecision } from "../../src/fewshot/index.ts";
import { writeBundle } from "../../src/models/index.ts";
import {
  type EvaluationRow,
  evaluate,
  formatHead,
  formatTransform,
  parseHead,
  parseTransform,
} from "../../src/train/index.ts";
import { type DatasetName, load } from "../datasets.ts";
import { runBundle } from "./run-bundle.ts";

/**
 * Measures the default encoder, or one on its way, on what it was never trained on: `tsx scripts/encoder/evaluate.ts
 * RUN|BUNDLE`. A run's last checkpoint is taken. Prints one line of JSON a measurement; `--curve FILE` appends the row
 * of the run's step to a file.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    episodes: { type: "string", default: "300" },
    seed: { type: "string", default: "1" },
    curve: { type: "string" },
    only: { type: "string", default: "" },
  },
});
const source = positionals[0]!;
const [episodes, seed] = [Number(values.episodes), Number(values.seed)];
const scratch = await mkdtemp(join(tmpdir(), "protoline-encoder-"));

/** The bundle to measure, and how far its run had come. */
async function subject(): Promise<{
  readonly path: string;
  readonly step?: number;
  readonly views?: number;
}> {
  const run = await runBundle(source);
  if (!run) return { path: source };
  const path = join(scratch, "bundle");
  await writeBundle(run.bundle, path);
  return { path, step: run.step, views: run.views };
}

const decisions = ["gaussian", "ridge:0.1"].flatMap((head) =>
  ["power", "l2"].map(
    (transform): DecisionSpec => ({
      ...defaultDecision,
      transform: parseTransform(transform),
      head: parseHead(head),
    }),
  ),
);
const percent = (share: number): number => Math.round(1000 * share) / 10;

try {
  const { path, ...progress } = await subject();
  const row: Record<string, unknown> = { ...progress };
  for (const name of ["X-SDD", "coins", "CIFAR-FS test"] satisfies DatasetName[]) {
    if (!name.includes(values.only)) continue;
    const dataset = await load(name, path, [], 100);
    const common = {
      dataset,
      priors: dataset.priors,
      episodes,
      seed,
      ...(dataset.groups && { groups: dataset.groups }),
    };
    const scores = ({ results }: { results: readonly EvaluationRow[] }): Record<string, number> =>
      Object.fromEntries(results.map(({ shot, mean }) => [`${shot}`, percent(mean)]));
    for (const spec of decisions) {
      const label = `${formatTransform(spec.transform)} ${formatHead(spec.head)}`;
      row[`${name}, ${label}`] = scores(await evaluate({ ...common, decision: spec }));
      if (name === "X-SDD") {
        const { results } = await evaluate({ ...common, decision: spec, way: 4, openSet: 3, shots: [5] });
        row[`${name}, AUROC, ${label}`] = percent(results[0]!.auroc!);
      }
    }
  }
  console.log(JSON.stringify(row));
  if (values.curve !== undefined) await appendFile(values.curve, `${JSON.stringify(row)}\n`);
} finally {
  await rm(scratch, { recursive: true, force: true });
}
