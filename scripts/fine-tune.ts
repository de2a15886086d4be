import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { episodeClasses, loadDataset, type PixelSet } from "../src/data/index.ts";
import { type Bundle, encoderOf, findBundle } from "../src/models/index.ts";
import {
  embedPixels,
  evaluate,
  exportBundle,
  parseTrainConfig,
  readImported,
  type TrainConfig,
  train,
} from "../src/train/index.ts";
import { percent, publish } from "./results.ts";

/**
 * Backbones from outside, trained further on some classes of X-SDD and asked about the others:
 * `fine-tune.ts --data ../shared/datasets/x-sdd/images --mirror ../shared/models`.
 */
const { values } = parseArgs({
  options: {
    data: { type: "string", default: "../shared/datasets/x-sdd/images" },
    mirror: { type: "string", default: "../shared/models" },
    models: { type: "string", default: "mobilenet-v1,mobilenet-v2,mobilenet-v3-small" },
    steps: { type: "string", default: "60" },
    episodes: { type: "string", default: "1000" },
    freeze: { type: "string", default: "0.6" },
    rate: { type: "string", default: "0.00002" },
    folds: { type: "string", default: "3" },
    seed: { type: "string", default: "1" },
    threads: { type: "string", default: "1" },
  },
});
const [steps, episodes, freeze, rate, seed, threads] = [
  values.steps,
  values.episodes,
  values.freeze,
  values.rate,
  values.seed,
  values.threads,
].map(Number) as [number, number, number, number, number, number];
const sources = { cache: join(tmpdir(), "protoline-no-cache"), mirror: values.mirror };

const whole = await loadDataset("folder", {
  root: values.data,
  split: "all",
  size: 224,
  cacheDir: "node_modules/.cache/protoline-results/pixels",
});
const labels = episodeClasses(whole.labels).map(({ label }) => label);
const part = (wanted: readonly string[]): PixelSet => {
  const image = 3 * 224 * 224;
  const rows = whole.labels.flatMap((label, i) => (wanted.includes(label) ? [i] : []));
  const pixels = new Uint8Array(rows.length * image);
  rows.forEach((row, i) => {
    pixels.set(whole.pixels.subarray(row * image, (row + 1) * image), i * image);
  });
  return { ...whole, pixels, labels: rows.map((row) => whole.labels[row]!) };
};
/** Every class is held out at least once: three of seven, three times. */
const folds = [0, 2, 4]
  .slice(0, Number(values.folds))
  .map((from) => [0, 1, 2].map((i) => labels[(from + i) % labels.length]!));

async function accuracy(bundle: Bundle, set: PixelSet) {
  const encoder = await encoderOf(bundle, { threads });
  const dataset = await embedPixels(set, encoder);
  await encoder.close();
  // The decision that a new gallery has, for both.
  const { results } = await evaluate({
    dataset,
    decision: bundle.manifest.decision,
    way: 3,
    shots: [1, 5],
    episodes,
    seed,
  });
  return results.map(({ mean, ci95 }) => ({ mean, ci95 }));
}

const methods = {
  episodes: {
    method: { kind: "protonet", metric: "cosine", scale: 10 },
    episode: { way: 4, shot: 3, query: 4 },
  },
  classifier: { method: { kind: "classifier" }, batch: 28, labelSmoothing: 0.1 },
} as const;

const rows: string[][] = [];
const data: unknown[] = [];
/** After every row, so that a run that is stopped leaves what it has. */
const told = (): Promise<void> =>
  publish({
    name: "fine-tune",
    title: "Backbones from outside, trained further",
    about: [
      `X-SDD, three of its seven classes held out at a time: ${steps} steps on the other four (the first ${100 * freeze} % of the layers frozen, each layer's rate 0.9 of the next one's), then ${episodes} episodes of the three, 3-way, 15 queries a class, with the default decision. Accuracy in percent, before → after; ± is 1.96·s/√n of the latter. \`episodes\`: prototypical networks by cosine, 4-way 3-shot. \`classifier\`: cross-entropy on the four classes.`,
    ],
    tables: [{ columns: ["backbone", "trained by", "held out", "1 shot", "5 shots"], rows }],
    seed,
    data,
  });

for (const name of values.models.split(",")) {
  const plain = await findBundle(name, sources);
  const { preprocess, decision } = plain.manifest;
  for (const heldOut of folds) {
    const base = part(labels.filter((label) => !heldOut.includes(label)));
    const test = part(heldOut);
    const before = await accuracy(plain, test);
    for (const [kind, how] of Object.entries(methods)) {
      const config: TrainConfig = parseTrainConfig({
        name: `fine-tune-${name}`,
        data: {
          dataset: "folder",
          train: "all",
          validation: null,
          size: 224,
          channels: "rgb",
          mean: preprocess.mean,
          std: preprocess.std,
        },
        backbone: { kind: "imported", model: name, freeze, decay: 0.9 },
        ...how,
        episodes: steps,
        augment: { flip: { axis: "horizontal" }, quarterTurns: true },
        optimizer: { kind: "adamw", weightDecay: 0.01 },
        rate,
        schedule: { kind: "cosine", least: 0.01, warmUp: 10 },
        seed,
        threads,
      });
      const imported = await readImported(config, sources);
      const out = await mkdtemp(join(tmpdir(), "protoline-fine-tune-"));
      const started = performance.now();
      const { weights } = await train({ config, train: base, ...(imported && { imported }), out });
      const seconds = (performance.now() - started) / 1000;
      await rm(out, { recursive: true });
      const bundle = exportBundle({
        config,
        ...(imported && { imported }),
        weights,
        pixels: { interpolation: "bilinear", invert: false },
        provenance: plain.manifest.provenance,
      });
      const tuned = { ...bundle, manifest: { ...bundle.manifest, decision } };
      const after = await accuracy(tuned, test);
      const cells = after.map(
        ({ mean, ci95 }, i) => `${percent(before[i]!.mean)} → ${percent(mean)} ± ${percent(ci95)}`,
      );
      rows.push([name, kind, heldOut.map((label) => label.slice(0, 24)).join(", "), ...cells]);
      data.push({ name, kind, heldOut, config, before, after, seconds });
      console.error(rows.at(-1)!.join(" | "), `${seconds.toFixed(0)} s`);
      await told();
    }
  }
}
