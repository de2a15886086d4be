import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { encoderOf, readBundle } from "../src/models/index.ts";
import { embedSplit, evaluate } from "../src/train/index.ts";
import { publish } from "./results.ts";

export interface TrainedBundles {
  /** Of the script and its results. */
  readonly name: string;
  readonly title: string;
  readonly dataset: string;
  /** What is said of the test classes. */
  readonly split: string;
  readonly ways: readonly number[];
  /** Heading of the column, and the accuracy in per cent by `way/shot`. */
  readonly published: { readonly title: string; readonly figures: Readonly<Record<string, number>> };
}

/**
 * Asks trained bundles about the test classes of a data set, at every way and 1 and 5 shots, and keeps the table:
 * `SCRIPT --data FOLDER BUNDLE…`. The config of the run that a bundle lies in is kept with the results.
 */
export async function evaluateBundles({
  name,
  title,
  dataset,
  split,
  ways,
  published,
}: TrainedBundles): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      data: { type: "string", default: "data" },
      episodes: { type: "string", default: "1000" },
      seed: { type: "string", default: "1" },
    },
  });
  const [episodes, seed] = [Number(values.episodes), Number(values.seed)];
  const percent = (share: number): string => (100 * share).toFixed(2);
  const rows: string[][] = [];
  const data: unknown[] = [];
  for (const path of positionals) {
    const bundle = await readBundle(path);
    const { decision, model, ...manifest } = bundle.manifest;
    const encoder = await encoderOf(bundle);
    const embedded = await embedSplit(dataset, encoder, { root: values.data, split: "test" });
    await encoder.close();
    for (const way of ways) {
      const { results } = await evaluate({
        dataset: embedded,
        decision,
        way,
        shots: [1, 5],
        queries: 15,
        episodes,
        seed,
      });
      for (const { shot, mean, ci95 } of results) {
        const expected = published.figures[`${way}/${shot}`]!.toFixed(1);
        rows.push([manifest.name, `${way}`, `${shot}`, `${percent(mean)} ± ${percent(ci95)}`, expected]);
        data.push({
          bundle: manifest.name,
          sha256: model.sha256,
          way,
          shot,
          queries: 15,
          episodes,
          mean,
          ci95,
        });
        console.error(rows.at(-1)!.join("  "));
      }
    }
  }

  const configs = await Promise.all(
    positionals.map((path) => readFile(join(path, "..", "config.json"), "utf8").catch(() => null)),
  );
  await publish({
    name,
    title,
    about: [
      `Accuracy (%) on ${split}, mean ± 1.96·s/√n over ${episodes} episodes of 15 queries a class, through the bundle and its decision as it is served.`,
    ],
    tables: [{ columns: ["bundle", "way", "shot", "accuracy", published.title], rows }],
    seed,
    data: { results: data, configs: configs.flatMap((text) => (text === null ? [] : [JSON.parse(text)])) },
  });
}
