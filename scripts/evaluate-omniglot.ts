import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { encoderOf, readBundle } from "../src/models/index.ts";
import { embedSplit, evaluate } from "../src/train/index.ts";
import { publish } from "./results.ts";

/**
 * Prototypical networks on the test classes of Omniglot (Vinyals split), as Snell et al. 2017 evaluate:
 * `evaluate-omniglot.ts --data FOLDER BUNDLE…`. Each bundle is asked at every way and shot; the table is kept.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string", default: "data" },
    episodes: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    cache: { type: "string" },
  },
});
const [episodes, seed] = [Number(values.episodes), Number(values.seed)];

const paper: Readonly<Record<string, number>> = { "5/1": 98.8, "5/5": 99.7, "20/1": 96, "20/5": 98.9 };
const percent = (share: number): string => (100 * share).toFixed(2);
const rows: string[][] = [];
let classes = 0;
const data: unknown[] = [];
for (const path of positionals) {
  const bundle = await readBundle(path);
  const { name, decision, model } = bundle.manifest;
  const encoder = await encoderOf(bundle);
  const options = {
    root: values.data,
    split: "test",
    ...(values.cache && { cacheDir: values.cache }),
  } as const;
  const dataset = await embedSplit("omniglot", encoder, options);
  await encoder.close();
  classes = dataset.classes.length;
  for (const way of [5, 20]) {
    const { results } = await evaluate({
      dataset,
      decision,
      way,
      shots: [1, 5],
      queries: 15,
      episodes,
      seed,
    });
    for (const { shot, mean, ci95 } of results) {
      const published = paper[`${way}/${shot}`]!.toFixed(1);
      rows.push([name, String(way), String(shot), `${percent(mean)} ± ${percent(ci95)}`, published]);
      data.push({ bundle: name, sha256: model.sha256, way, shot, queries: 15, episodes, mean, ci95 });
      console.error(rows.at(-1)!.join("  "));
    }
  }
}

const configs = await Promise.all(
  positionals.map((path) => readFile(join(path, "..", "config.json"), "utf8").catch(() => null)),
);
await publish({
  name: "evaluate-omniglot",
  title: "Omniglot: prototypical networks, Conv-4",
  about: [
    `Accuracy (%) on the ${classes} test classes of the Vinyals split (rotations are classes), mean ± 1.96·s/√n over ${episodes} episodes of 15 queries a class, through the bundle and its decision as it is served. "Paper" is Snell et al. 2017.`,
  ],
  tables: [{ columns: ["bundle", "way", "shot", "accuracy", "paper"], rows }],
  seed,
  data: { results: data, configs: configs.flatMap((text) => (text === null ? [] : [JSON.parse(text)])) },
});
