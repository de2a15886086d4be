import { createHash } from "node:crypto";
import type { Preprocess } from "../data/index.ts";
import { type DecisionSpec, defaultDecision, defaultPriors } from "../fewshot/index.ts";
import type { Tensor } from "../graph/index.ts";
import type { Bundle, Provenance } from "../models/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import type { TrainConfig } from "./config.ts";
import { encoderGraph } from "./step.ts";

export interface ExportOptions {
  readonly config: TrainConfig;
  /** Parameters and statistics, as {@link TrainResult.weights}. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** How the data set made its pictures into pixels. */
  readonly pixels: {
    readonly interpolation: Preprocess["interpolation"];
    /** The set holds 255 − value; the bundle takes pictures as they come, and its graph turns them. */
    readonly invert: boolean;
  };
  readonly provenance: Provenance;
}

/** The trained encoder as a bundle that enrolls and recognizes with the decision that it was trained for. */
export function exportBundle({ config, weights, pixels, provenance }: ExportOptions): Bundle {
  const { data, name } = config;
  const graph = encoderGraph(config, weights, pixels.invert);
  const model = writeModel(modelOf(graph));
  const embeddingDim = Number(graph.outputs[0]!.shape![1]);
  return {
    model,
    manifest: {
      format: 1,
      name,
      version: "1",
      model: { sha256: createHash("sha256").update(model).digest("hex"), bytes: model.length },
      input: "images",
      output: "embedding",
      embeddingDim,
      pooling: "none",
      preprocess: {
        size: [data.size, data.size],
        fit: "stretch",
        interpolation: pixels.interpolation,
        padding: 0,
        channels: data.channels,
        // (255 − p − mean)/std = −(p − (255 − mean))/std
        mean: pixels.invert ? data.mean.map((mean) => 255 - mean) : data.mean,
        std: data.std,
        standardize: "none",
      },
      decision: decisionOf(config),
      priors: { ...defaultPriors, baseMean: null },
      provenance,
    },
  };
}

function decisionOf({ method }: TrainConfig): DecisionSpec {
  const metric = method.kind === "protonet" && method.metric === "cosine" ? "cosine" : "squaredEuclidean";
  return {
    ...defaultDecision,
    transform: { power: null, normalize: false, center: "none" },
    head: { kind: "prototype", metric },
  };
}
