/** A small prototypical network, measured on classes that it never saw: `node train-and-evaluate.js omniglot data`. */
import {
  embedSplit,
  encoderOf,
  evaluate,
  exportBundle,
  findDataset,
  loadDataset,
  parseTrainConfig,
  train,
  writeBundle,
} from "protoline/train";

const [name = "omniglot", root = "data", steps = "200"] = process.argv.slice(2);
const dataset = findDataset(name);
const { channels, size, license, description } = dataset;
const [mean, std] = [128, 64].map((value) => Array(channels).fill(value));
const config = parseTrainConfig({
  name: `${name}-example`,
  data: { dataset: name, size, channels: channels === 1 ? "gray" : "rgb", mean, std },
  backbone: { kind: "conv4" },
  method: { kind: "protonet" },
  episode: { way: 20, shot: 1, query: 5 },
  episodes: Number(steps),
  optimizer: { kind: "adam" },
  rate: 1e-3,
});
const { weights } = await train({
  config,
  train: await loadDataset(name, { root, split: "train" }),
  out: "run",
  onProgress: ({ step, loss }) => step % 50 === 0 && console.log(`step ${step}: loss ${loss.toFixed(3)}`),
});

const provenance = { origin: "an example", license, trainedOn: description };
const bundle = exportBundle({ config, weights, pixels: dataset, provenance });
await writeBundle(bundle, "bundle");

const encoder = await encoderOf(bundle);
const test = await embedSplit(name, encoder, { root, split: "test" });
const { decision } = bundle.manifest;
const { results } = await evaluate({ dataset: test, decision, shots: [1, 5], episodes: 400 });
for (const { way, shot, mean, ci95 } of results)
  console.log(`${way}-way ${shot}-shot: ${(100 * mean).toFixed(1)} ± ${(100 * ci95).toFixed(1)} %`);
await encoder.close();
