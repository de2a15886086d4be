import { row, sha256 } from "../core/index.ts";
import type { PixelSet, Preprocess } from "../data/index.ts";
import { type DecisionSpec, defaultDecision, defaultPriors } from "../fewshot/index.ts";
import type { Tensor } from "../graph/index.ts";
import { type Bundle, encoderOf, type Provenance } from "../models/index.ts";
import type { ImportedModel } from "../nn/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import type { TrainConfig } from "./config.ts";
import { embedPixels } from "./embed-pixels.ts";
import { encoderGraph } from "./step.ts";

export interface ExportOptions {
  readonly config: TrainConfig;
  /** What the backbone `imported` stands for. */
  readonly imported?: ImportedModel;
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
export function exportBundle({ config, imported, weights, pixels, provenance }: ExportOptions): Bundle {
  const { data, name } = config;
  const graph = encoderGraph({ ...config, ...(imported && { imported }) }, weights, pixels.invert);
  const model = writeModel(modelOf(graph));
  const embeddingDim = Number(graph.outputs[0]!.shape![1]);
  return {
    model,
    manifest: {
      format: 1,
      name,
      version: "1",
      model: { sha256: sha256(model), bytes: model.length },
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
        standardize: data.standardize,
      },
      decision: decisionOf(config, weights),
      priors: { ...defaultPriors, baseMean: null },
      provenance,
    },
  };
}

const raw = { power: null, normalize: false, center: "none" } as const;

/**
 * The decision that answers as the method did in training, or nearly: `mahalanobis` has a covariance of each class there, and
 * one for all classes here. A gallery may be tuned to another.
 */
function decisionOf({ backbone, method }: TrainConfig, weights: ReadonlyMap<string, Tensor>): DecisionSpec {
  const of = (head: DecisionSpec["head"], transform: DecisionSpec["transform"] = raw): DecisionSpec => ({
    ...defaultDecision,
    transform,
    head,
  });
  // Its embedding is made of parts of one length; a power would spoil that.
  if (method.kind === "distill" && backbone.kind === "compact")
    return of({ kind: "gaussian" }, { ...raw, normalize: true });
  switch (method.kind) {
    case "protonet":
      return method.metric === "mahalanobis"
        ? of({ kind: "gaussian" })
        : of({ kind: "prototype", metric: method.metric ?? "squaredEuclidean" });
    case "matching":
      return of({ kind: "prototype", metric: "cosine" });
    case "ridge": {
      const lambda = Math.exp(Number(weights.get("logLambda")!.data[0]));
      return of({ kind: "ridge", lambda });
    }
    case "distill":
      // What its teacher was learned in: square roots at length 1. The mean, which was taken off there, is nothing to this head.
      return of({ kind: "gaussian" }, { power: 0.5, normalize: true, center: "none" });
    case "classifier":
      // SimpleShot (Wang et al. 2019, arXiv:1911.04623): centred by the mean of the training pictures, of length 1.
      return of(
        { kind: "prototype", metric: "squaredEuclidean" },
        { power: null, normalize: true, center: "base" },
      );
    case "maml":
      // Its weights are meant to be adapted; as an encoder they are what they are.
      return defaultDecision;
  }
}

/** Pictures that the mean of the training set is taken over, at most. */
const enough = 2000;

/** The bundle with the mean of the training pictures' embeddings of length 1, which `center: "base"` subtracts. */
export async function withBaseMean(bundle: Bundle, set: PixelSet, invert: boolean): Promise<Bundle> {
  const n = set.labels.length;
  const count = Math.min(n, enough);
  const rows = Array.from({ length: count }, (_, i) => Math.floor((i * n) / count));
  const image = set.channels * set.height * set.width;
  const pixels = new Uint8Array(count * image);
  rows.forEach((at, i) => {
    pixels.set(set.pixels.subarray(at * image, (at + 1) * image), i * image);
  });
  const encoder = await encoderOf(bundle);
  try {
    const part = { ...set, pixels, labels: rows.map(() => "all"), groups: undefined };
    const { embeddings } = (await embedPixels(part, encoder, { invert })).classes[0]!;
    const mean = new Float64Array(embeddings.dim);
    for (let i = 0; i < embeddings.n; i++) {
      const vector = row(embeddings, i);
      const length = Math.hypot(...vector) || 1;
      for (let d = 0; d < mean.length; d++) mean[d]! += vector[d]! / length / embeddings.n;
    }
    const { manifest } = bundle;
    return { ...bundle, manifest: { ...manifest, priors: { ...manifest.priors, baseMean: [...mean] } } };
  } finally {
    await encoder.close();
  }
}
