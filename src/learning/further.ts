import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProtolineError } from "../core/index.ts";
import { type BatchAugmentation, episodeClasses, type PixelSet } from "../data/index.ts";
import type { Bundle } from "../models/index.ts";
import { exportBundle, importedModel, parseTrainConfig, type TrainConfig, train } from "../train/index.ts";

/** How an encoder is trained further. Plain data: it may go to another process. */
export interface FurtherOptions {
  /** Episodes, a step of the optimizer each. Default 60. */
  readonly steps?: number;
  /** Equal seeds draw equal episodes. Default 1. */
  readonly seed?: number;
  /** Share of the layers, counted from the picture, that stay as they are, 0 to 1. Default 0.6. */
  readonly freeze?: number;
  /** Learning rate of the last layer; each layer before it has 0.9 of the next one's. Default 2e-5. */
  readonly rate?: number;
  /** Whether parts may be shown turned and mirrored. Default false: a part may be the mirror image of another. */
  readonly turned?: boolean;
}

export interface FurtherProgress {
  /** Steps done, of how many. */
  readonly done: number;
  readonly of: number;
  /** Mean of the last steps. */
  readonly loss: number;
}

export const defaultSteps = 60;

/** Classes in an episode, and support and query pictures of each, at most. */
const mostWay = 5;
const mostShot = 3;
const mostQuery = 4;

/**
 * Trains an encoder further on episodes of these pictures: prototypical networks by the cosine, with normalisation keeping its
 * statistics, since some dozen pictures are too few for new ones. Everything of the bundle but its weights stays.
 *
 * @param set pictures of at least two classes of three each, of the size that the bundle takes.
 * @throws MODEL_UNSUPPORTED for a model that cannot be trained; EPISODE_IMPOSSIBLE; TRAINING_DIVERGED; the reason of `signal`.
 */
export async function trainFurther(
  bundle: Bundle,
  set: PixelSet,
  options: FurtherOptions = {},
  onProgress?: (progress: FurtherProgress) => void,
  signal?: AbortSignal,
): Promise<Bundle> {
  const config = configOf(bundle, set, options);
  const imported = importedModel(bundle);
  const out = await mkdtemp(join(tmpdir(), "protoline-further-"));
  let loss = Number.NaN;
  try {
    const { weights } = await train({
      ...{ config, train: set, imported, out },
      ...(signal && { signal }),
      onProgress: (state) => {
        // A mean that forgets: one episode says little.
        loss = Number.isNaN(loss) ? state.loss : 0.9 * loss + 0.1 * state.loss;
        onProgress?.({ done: state.step, of: state.total, loss });
      },
    });
    signal?.throwIfAborted();
    const { manifest } = bundle;
    const { model, manifest: made } = exportBundle({
      ...{ config, imported, weights, provenance: manifest.provenance },
      pixels: { interpolation: manifest.preprocess.interpolation, invert: false },
    });
    const { input, output, pooling } = made;
    return { model, manifest: { ...manifest, model: made.model, input, output, pooling } };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

function configOf({ manifest }: Bundle, set: PixelSet, options: FurtherOptions): TrainConfig {
  const { steps = defaultSteps, seed = 1, freeze = 0.6, rate = 2e-5, turned = false } = options;
  const { name, preprocess } = manifest;
  const [height, width] = preprocess.size;
  if (height !== width)
    throw new ProtolineError("MODEL_UNSUPPORTED", {
      expected: "a model of square pictures, which alone can be trained here",
      got: `${name}, of ${height} x ${width} pixels`,
      todo: "Learn without the encoder, or take another model.",
    });
  const classes = episodeClasses(set.labels);
  const smallest = Math.min(...classes.map(({ rows }) => rows.length));
  const shot = Math.min(mostShot, Math.max(1, Math.floor(smallest / 2)));
  const augment: BatchAugmentation = {
    resizedCrop: { area: [0.7, 1], aspect: [0.9, 1.1] },
    color: { brightness: 0.15, contrast: 0.15 },
    ...(turned && { flip: { axis: "horizontal" }, quarterTurns: true }),
  };
  return parseTrainConfig({
    name,
    data: {
      dataset: "gallery",
      validation: null,
      size: height,
      channels: preprocess.channels === "gray" ? "gray" : "rgb",
      mean: preprocess.mean,
      std: preprocess.std,
      standardize: preprocess.standardize,
    },
    backbone: { kind: "imported", model: name, freeze, decay: 0.9 },
    method: { kind: "protonet", metric: "cosine", scale: 10 },
    episode: { way: Math.min(mostWay, classes.length), shot, query: Math.min(mostQuery, smallest - shot) },
    augment,
    episodes: steps,
    optimizer: { kind: "adamw", weightDecay: 0.01 },
    rate,
    schedule: { kind: "cosine", least: 0.01, warmUp: Math.min(10, Math.floor(steps / 10)) },
    checkpointEvery: steps,
    seed,
    threads: 1,
  });
}
