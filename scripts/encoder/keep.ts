import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { float16Weights, rebundle } from "../../src/compress/index.ts";
import { writeBundle } from "../../src/models/index.ts";
import { readModel } from "../../src/onnx/index.ts";
import { runBundle } from "./run-bundle.ts";

/**
 * Keeps what a sitting of the encoder's training came to, in `trained/encoder`: `tsx scripts/encoder/keep.ts RUN NUMBER`.
 * The bundle in half precision, which the package ships as `compact` and from which the next sitting goes on, the config,
 * and every 20th line of the log.
 */
const [run, number] = process.argv.slice(2) as [string, string];
const folder = "trained/encoder";
await mkdir(folder, { recursive: true });
const found = await runBundle(run);
if (!found) throw new Error(`no checkpoint in ${run}`);
const { bundle: whole, step } = found;
// Not halveBundle, which folds the normalisation away: the next sitting trains it further.
const bundle = rebundle(whole, float16Weights(readModel(whole.model).graph), "fp16", "weights in float16");
const { provenance } = whole.manifest;
const manifest = {
  ...bundle.manifest,
  name: "compact",
  version: number,
  provenance: {
    ...provenance,
    origin: `protoline, scripts/encoder, sitting ${number}, step ${step}; weights in float16`,
  },
};
await writeBundle({ ...bundle, manifest }, join(folder, "encoder.onnx"));
await copyFile(join(run, "config.json"), join(folder, `config-${number}.json`));
const lines = (await readFile(join(run, "log.jsonl"), "utf8")).trim().split("\n");
await writeFile(join(folder, `log-${number}.jsonl`), `${lines.filter((_, i) => i % 20 === 19).join("\n")}\n`);
