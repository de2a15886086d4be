import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { float16Weights, rebundle } from "../../src/compress/index.ts";
import { readBundle, writeBundle } from "../../src/models/index.ts";
import { readModel } from "../../src/onnx/index.ts";

/**
 * Keeps what a sitting of the encoder's training came to, in `trained/encoder`: `tsx scripts/encoder/keep.ts RUN NUMBER`.
 * The bundle in half precision, from which the next sitting goes on, the config, and every 20th line of the log.
 */
const [run, number] = process.argv.slice(2) as [string, string];
const folder = "trained/encoder";
await mkdir(folder, { recursive: true });
// Not halveBundle, which folds the normalisation away: the next sitting trains it further.
const whole = await readBundle(join(run, "bundle"));
const bundle = rebundle(whole, float16Weights(readModel(whole.model).graph), "fp16", "weights in float16");
const { origin } = bundle.manifest.provenance;
const provenance = {
  origin: `${origin}; sitting ${number} of scripts/encoder`,
  license: "Apache-2.0",
  trainedOn:
    "corpus, CIFAR-FS train and val, Omniglot background, drawn parts and surfaces; see the model card",
};
await writeBundle({ ...bundle, manifest: { ...bundle.manifest, provenance } }, join(folder, "encoder.onnx"));
await copyFile(join(run, "config.json"), join(folder, `config-${number}.json`));
const lines = (await readFile(join(run, "log.jsonl"), "utf8")).trim().split("\n");
await writeFile(join(folder, `log-${number}.jsonl`), `${lines.filter((_, i) => i % 20 === 19).join("\n")}\n`);
