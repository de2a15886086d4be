import { ProtolineError } from "../core/index.ts";
import type { Bundle } from "../models/index.ts";
import type { SessionOptions } from "../runtime/index.ts";
import type { Affine } from "./affine.ts";
import { type CalibrationMethod, calibrate, type Inputs } from "./calibrate.ts";
import { channelsOf } from "./channels.ts";
import { cut } from "./cut.ts";
import { type FineTuneOptions, fineTune } from "./fine-tune.ts";
import { float16Weights } from "./float16.ts";
import { gradientImportance } from "./gradient-importance.ts";
import { normImportance } from "./importance.ts";
import { planOf } from "./plan.ts";
import { prepare } from "./prepare.ts";
import { choose, type PrunedLayer } from "./prune.ts";
import { quantize, quantizedValues } from "./quantize.ts";
import { rebundle } from "./rebundle.ts";
import { makeUpFor, mixedValues, momentsOf } from "./reconstruct.ts";
import { type NodeSensitivity, sensitivity } from "./sensitivity.ts";

/** What is under way, for a progress bar. */
export type OnStage = (stage: string, done: number, total: number) => void;

interface Common extends SessionOptions {
  readonly onProgress?: OnStage;
  readonly signal?: AbortSignal;
}

export interface QuantizeBundleOptions extends Common {
  /** How the ranges of activations are chosen. Default `percentile`. */
  readonly method?: CalibrationMethod;
  readonly activations?: Affine["dtype"];
  readonly weightBits?: 7 | 8;
  /** Nodes that stay in floating point, by name or by first output. */
  readonly keepFloat?: readonly string[];
  /**
   * So many of the nodes that lose most stay in floating point too; they are found by trying each one on eight pictures.
   * Default: one in sixteen, as the first layers of a small network may cost more than all others together.
   */
  readonly keepWorst?: number;
}

export interface QuantizedBundle {
  readonly bundle: Bundle;
  /** Nodes with weights that are quantised, of all that could be. */
  readonly quantized: number;
  readonly quantizable: number;
  /** Nodes that stay in floating point, by first output or as they were named. */
  readonly floating: readonly string[];
  /** Where `keepWorst` is not 0: what each node loses by itself, the costliest first. */
  readonly sensitivity?: readonly NodeSensitivity[];
}

/**
 * A bundle in INT8, calibrated on pictures like those of the line. Same input, same embedding, float32 outside.
 *
 * @throws what {@link prepare}, {@link calibrate} and {@link quantize} throw.
 */
export async function quantizeBundle(
  bundle: Bundle,
  inputs: Inputs,
  options: QuantizeBundleOptions = {},
): Promise<QuantizedBundle> {
  const { method = "percentile", activations, weightBits, keepFloat = [], onProgress } = options;
  const { signal, provider, threads, fallback } = options;
  const session = { provider, threads, fallback, signal };
  const graph = prepare(bundle);
  checkNames(keepFloat, new Set(graph.nodes.flatMap(({ name, outputs }) => [name, outputs[0]!])));
  const seen = await calibrate(graph, quantizedValues(graph), inputs, {
    ...session,
    onProgress: (done, total) => onProgress?.("calibrate", done, total),
  });
  const weighted = (names: readonly string[]): number =>
    [...planOf(graph, names).values()].filter((part) => part === "weights").length;
  const { keepWorst = Math.floor(weighted([]) / 16) } = options;
  const settings = { ranges: seen.ranges(method), means: seen.means, activations, weightBits };
  const few = { ...inputs, pictures: inputs.pictures.slice(0, 8) };
  const losses =
    keepWorst > 0
      ? await sensitivity(graph, few, settings, {
          ...session,
          onProgress: (done, total) => onProgress?.("try each node", done, total),
        })
      : undefined;
  const worst = (losses ?? []).slice(0, keepWorst).map(({ node }) => node);
  const kept = [...keepFloat, ...worst];
  return {
    bundle: rebundle(
      bundle,
      quantize(graph, { ...settings, keepFloat: kept }),
      "int8",
      `quantised to INT8 (${method})`,
    ),
    quantized: weighted(kept),
    quantizable: weighted([]),
    floating: kept,
    ...(losses && { sensitivity: losses }),
  };
}

function checkNames(names: readonly string[], known: ReadonlySet<string>): void {
  const strange = names.find((name) => !known.has(name));
  if (strange === undefined) return;
  throw new ProtolineError("INVALID_ARGUMENT", {
    expected: "names of nodes, or of what they make",
    got: `"${strange}"`,
    todo: "Look the names up in the model, or let the worst nodes be found.",
  });
}

/** A bundle with its weights in half precision: half the size, the same speed. @throws what {@link prepare} throws. */
export const halveBundle = (bundle: Bundle): Bundle =>
  rebundle(bundle, float16Weights(prepare(bundle)), "fp16", "weights in float16");

export interface PruneBundleOptions extends Common {
  /** Of the channels that can go, above 0 and below 1. */
  readonly share: number;
  /** What is left of a width is a multiple of this. Default 8. */
  readonly multiple?: number;
  /** What tells which channels matter: the size of their weights, or the gradient. Default `gradient`. */
  readonly importance?: "norm" | "gradient";
  /** Whether every width loses the same share. Default: `global` by the gradient, `even` by the norm. */
  readonly spread?: "even" | "global";
  /** Whether kept channels take over what they can of the lost ones'. Default true. */
  readonly makeUp?: boolean;
  /** `null`: no fine-tuning. */
  readonly fineTune?: Pick<FineTuneOptions, "steps" | "batch" | "rate"> | null;
  /** Default 1. */
  readonly seed?: number;
}

export interface PrunedBundle {
  readonly bundle: Bundle;
  readonly layers: readonly PrunedLayer[];
  /** What `share` came to. */
  readonly share: number;
  /** The loss of the fine-tuning at its first and its last step. */
  readonly losses: readonly [number, number] | null;
}

/** Pictures that gradients are taken of: their mean settles early. */
const gradientPictures = 32;

/**
 * A bundle with fewer channels and the same embedding: chooses, makes up, cuts and fine-tunes towards the embeddings of
 * the whole. Pictures need no labels.
 *
 * @throws what {@link prepare}, {@link choose} and {@link fineTune} throw.
 */
export async function pruneBundle(
  bundle: Bundle,
  inputs: Inputs,
  options: PruneBundleOptions,
): Promise<PrunedBundle> {
  const { importance = "gradient", makeUp = true, seed = 1, onProgress, signal } = options;
  const { provider, threads, fallback } = options;
  const session = { provider, threads, fallback, signal };
  const graph = prepare(bundle);
  const channels = channelsOf(graph);
  // Before the minutes of gradients: is the share one?
  const settings = {
    ...options,
    spread: options.spread ?? (importance === "gradient" ? "global" : "even"),
  } as const;
  choose(channels, new Map(), settings);
  const counted = (stage: string, total: number) => {
    let done = 0;
    return () => onProgress?.(stage, ++done, total);
  };
  const few = { ...inputs, pictures: inputs.pictures.slice(0, gradientPictures) };
  const matters =
    importance === "norm"
      ? normImportance(graph, channels)
      : await gradientImportance(graph, channels, few, {
          ...session,
          seed,
          onPicture: counted("weigh channels", few.pictures.length),
        });
  const choice = choose(channels, matters, settings);
  const gone = (root: number): boolean => choice.gone.has(root);
  let prepared = graph;
  if (makeUp) {
    const names = [...mixedValues(graph, channels).keys()];
    const onPicture = counted("make up", inputs.pictures.length);
    const moments = await momentsOf(graph, names, inputs, { ...session, onPicture });
    prepared = makeUpFor(graph, channels, moments, gone);
  }
  const pruned = cut(prepared, channels, gone);
  const losses: number[] = [];
  const tuned =
    options.fineTune === null
      ? pruned
      : await fineTune(graph, pruned, inputs, {
          ...options.fineTune,
          ...session,
          seed,
          onProgress: ({ step, steps, loss }) => {
            losses.push(loss);
            onProgress?.(`fine-tune, loss ${loss.toFixed(4)}`, step, steps);
          },
        });
  const percent = Math.round(100 * choice.share);
  return {
    bundle: rebundle(bundle, tuned, `pruned${percent}`, `pruned by ${percent} % of its channels`),
    layers: choice.layers,
    share: choice.share,
    losses: losses.length > 0 ? [losses[0]!, losses.at(-1)!] : null,
  };
}
