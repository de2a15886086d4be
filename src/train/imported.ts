import { ProtolineError } from "../core/index.ts";
import { widenWeights } from "../graph/index.ts";
import { type Bundle, findBundle, type ModelSources } from "../models/index.ts";
import type { ImportedModel } from "../nn/index.ts";
import { readModel, upgrade } from "../onnx/index.ts";
import type { TrainConfig } from "./config.ts";

/**
 * The model that a config's backbone `imported` names; `undefined` for the others.
 *
 * @throws MODEL_NOT_FOUND and the like; CONFIG_INVALID where the config's pictures are not those that the model was made
 *   for; MODEL_UNSUPPORTED for a model that embeds by mean and deviation.
 */
export async function readImported(
  config: TrainConfig,
  sources?: ModelSources,
): Promise<ImportedModel | undefined> {
  if (config.backbone.kind !== "imported") return undefined;
  const bundle: Bundle = await findBundle(config.backbone.model, sources);
  checkPictures(config, bundle);
  return importedModel(bundle);
}

/** A bundle's graph as a backbone. @throws MODEL_UNSUPPORTED for a model that embeds by mean and deviation. */
export function importedModel({ manifest, model }: Bundle): ImportedModel {
  if (manifest.pooling === "meanStd")
    throw new ProtolineError("MODEL_UNSUPPORTED", {
      expected: "a model whose embedding is its output, or the mean over space of it",
      got: "mean and deviation",
      todo: "Import the model with another pooling.",
    });
  return {
    graph: widenWeights(upgrade(readModel(model)).graph),
    input: manifest.input,
    output: manifest.output,
  };
}

function checkPictures({ data }: TrainConfig, { manifest: { name, preprocess } }: Bundle): void {
  const wanted = {
    size: preprocess.size.join(" x "),
    channels: preprocess.channels,
    mean: preprocess.mean,
    std: preprocess.std,
    standardize: preprocess.standardize,
  };
  const given = { ...data, size: `${data.size} x ${data.size}` };
  for (const [field, value] of Object.entries(wanted)) {
    const own = given[field as keyof typeof wanted];
    if (JSON.stringify(own) === JSON.stringify(value)) continue;
    throw new ProtolineError("CONFIG_INVALID", {
      expected: `${JSON.stringify(value)} in field "data.${field}", which the model ${name} was made for`,
      got: JSON.stringify(own),
      todo: "Correct the field in the config file; `protoline models info` prints what a model was made for.",
    });
  }
}
