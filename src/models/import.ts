import { ProtolineError, quote, sha256 } from "../core/index.ts";
import type { Preprocess } from "../data/types.ts";
import { type DecisionSpec, defaultDecision, defaultPriors } from "../fewshot/index.ts";
import { openSession, type Session, type SessionOptions, Tensor, type TensorInfo } from "../runtime/index.ts";
import { readModelFile } from "./bundle.ts";
import { type Bundle, splitManifest } from "./bundle-bytes.ts";
import { encoderOf } from "./encoder.ts";
import { parseManifest } from "./manifest.ts";
import type { Manifest } from "./types.ts";

export interface ImportOptions extends SessionOptions {
  /** Lower-case letters, digits and dashes. */
  readonly name: string;
  /** Default `1`. */
  readonly version?: string;
  /** Name of the output that is the embedding. Needed only where several would do. */
  readonly output?: string;
  /** Default: `none` for an output `[N, D]`, `mean` for one with a height and width. */
  readonly pooling?: Manifest["pooling"];
  /**
   * What the model was trained with. Size and channels come from the model where it fixes them. Default otherwise:
   * stretched, bilinear; RGB with ImageNet's mean and deviation, or grey as 0 … 1.
   */
  readonly preprocess?: Partial<Preprocess>;
  /** Default {@link defaultDecision}. */
  readonly decision?: DecisionSpec;
  readonly license?: string;
  readonly origin?: string;
  readonly trainedOn?: string;
}

/**
 * Makes a bundle of any ONNX image encoder: finds its image input and its embedding, and runs it on two pictures.
 * Refuses what is no encoder: other inputs, a layout other than `[N, C, H, W]`, several outputs to choose from,
 * numbers that are not finite, or the same embedding for different pictures.
 *
 * Throws MODEL_NOT_FOUND, MODEL_BROKEN, MODEL_UNSUPPORTED, BUNDLE_INVALID, NOT_FINITE.
 */
export async function importModel(path: string, options: ImportOptions): Promise<Bundle> {
  const { name, version = "1", provider, threads, fallback } = options;
  const session = await openSession(path, { provider, threads, fallback });
  try {
    const { model } = splitManifest(await readModelFile(path), path);
    const input = imageInput(session, path);
    const preprocess = preprocessOf(input, options.preprocess ?? {}, path);
    const output = await embeddingOutput(session, input, preprocess, options.output, path);
    const spatial = output.dims.slice(2).some((side) => side !== 1);
    const pooling = options.pooling ?? (spatial ? "mean" : "none");
    const bundle: Bundle = {
      model,
      manifest: parseManifest({
        format: 1,
        name,
        version,
        model: { sha256: sha256(model), bytes: model.length },
        input: input.name,
        output: output.name,
        embeddingDim: output.dims[1]! * (pooling === "meanStd" ? 2 : 1),
        pooling,
        preprocess,
        decision: options.decision ?? defaultDecision,
        priors: defaultPriors,
        provenance: {
          origin: options.origin ?? "imported",
          license: options.license ?? "unknown",
          trainedOn: options.trainedOn ?? "unknown",
        },
      }),
    };
    await tryOut(bundle, { provider, threads, fallback });
    return bundle;
  } finally {
    await session.close();
  }
}

function unsupported(expected: string, got: string, todo: string): ProtolineError {
  return new ProtolineError("MODEL_UNSUPPORTED", { expected, got, todo });
}

const shown = ({ name, type, shape }: TensorInfo): string => `${quote(name)} ${type} [${shape.join(", ")}]`;

function imageInput({ inputs }: Session, path: string): TensorInfo {
  const [input, ...others] = inputs;
  if (!input || others.length > 0)
    throw unsupported(
      "a model with one input, the image",
      `${inputs.length} inputs (${inputs.map(shown).join("; ")}) in ${quote(path)}`,
      "Export the image encoder alone.",
    );
  const [batch, channels, , last] = input.shape;
  const isImage = input.type === "float32" && input.shape.length === 4;
  if (isImage && (last === 3 || last === 1) && channels !== 3 && channels !== 1)
    throw unsupported(
      "an image laid out as [N, C, H, W]",
      `${shown(input)}, which is [N, H, W, C]`,
      "Export the model with channels first.",
    );
  if (!isImage || (typeof channels === "number" && channels !== 1 && channels !== 3))
    throw unsupported(
      "a float32 image input [N, C, H, W] with 1 or 3 channels",
      shown(input),
      "Export the model with such an input.",
    );
  if (typeof batch === "number" && batch !== 1)
    throw unsupported(
      "a free batch axis, or a batch of 1",
      `a batch fixed at ${batch} in ${shown(input)}`,
      "Export the model with a free first axis.",
    );
  return input;
}

function preprocessOf(input: TensorInfo, wanted: Partial<Preprocess>, path: string): Preprocess {
  const [, depth, height, width] = input.shape;
  const sides = [height, width].map((side, i) => (typeof side === "number" ? side : wanted.size?.[i]));
  const [h, w] = sides;
  if (h === undefined || w === undefined)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "the size of the input, since the model leaves it open",
      got: `${shown(input)} in ${quote(path)} and no size`,
      todo: "Give the height and width that the model was trained with.",
    });
  const channels = wanted.channels ?? (depth === 1 ? "gray" : "rgb");
  const fits = typeof depth !== "number" || (channels === "gray") === (depth === 1);
  const sizeFits = !wanted.size || (wanted.size[0] === h && wanted.size[1] === w);
  if (!fits || !sizeFits)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `preprocessing that fits ${shown(input)}`,
      got: `${channels} ${wanted.size?.join(" x ") ?? ""}`.trim(),
      todo: "Leave out what the model fixes itself.",
    });
  const gray = channels === "gray";
  return {
    size: [h, w],
    channels,
    fit: wanted.fit ?? "stretch",
    interpolation: wanted.interpolation ?? "bilinear",
    padding: wanted.padding ?? 0,
    mean:
      wanted.mean ??
      (gray ? [0] : channels === "bgr" ? [103.53, 116.28, 123.675] : [123.675, 116.28, 103.53]),
    std:
      wanted.std ?? (gray ? [255] : channels === "bgr" ? [57.375, 57.12, 58.395] : [58.395, 57.12, 57.375]),
    standardize: wanted.standardize ?? "none",
  };
}

/** The embedding's name and its sizes, from a run: declared shapes are often open or wrong. */
async function embeddingOutput(
  session: Session,
  input: TensorInfo,
  preprocess: Preprocess,
  wanted: string | undefined,
  path: string,
): Promise<{ readonly name: string; readonly dims: readonly number[] }> {
  const shape = [1, preprocess.channels === "gray" ? 1 : 3, ...preprocess.size];
  const data = new Float32Array(shape.reduce((product, side) => product * side, 1));
  const results = await session.run({ [input.name]: new Tensor("float32", data, shape) });
  const list = Object.entries(results).map(([name, { type, dims }]) => ({ name, type, dims }));
  const asText = list.map(({ name, type, dims }) => `${quote(name)} ${type} [${dims.join(", ")}]`).join("; ");
  const fitting = list.filter(
    ({ type, dims }) =>
      type === "float32" && dims[0] === 1 && (dims.length === 2 || dims.length === 4) && dims[1]! > 1,
  );
  const chosen = wanted === undefined ? fitting : fitting.filter(({ name }) => name === wanted);
  if (chosen.length === 1) return chosen[0]!;
  if (wanted === undefined && fitting.length > 1)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "the name of the output that is the embedding",
      got: `several that could be in ${quote(path)}: ${asText}`,
      todo: "Name one of them.",
    });
  throw unsupported(
    wanted === undefined
      ? "an output [N, D] or [N, D, H, W] of float32"
      : `an output ${quote(wanted)} [N, D] or [N, D, H, W] of float32`,
    `${asText || "none"} in ${quote(path)}`,
    "Export the model with its embedding as an output, or name another output.",
  );
}

/** An encoder gives finite, different embeddings for different pictures. */
async function tryOut(bundle: Bundle, options: SessionOptions): Promise<void> {
  const { preprocess, name } = bundle.manifest;
  const encoder = await encoderOf(bundle, options);
  try {
    const [height, width] = preprocess.size;
    const area = height * width;
    /** A grey picture as preprocessing would hand it over; `wave` is 0 … 1. */
    const picture = (wave: (x: number, y: number) => number): Float32Array =>
      Float32Array.from({ length: preprocess.mean.length * area }, (_, i) => {
        const channel = Math.floor(i / area);
        const pixel = 255 * wave(i % width, Math.floor((i % area) / width));
        return (pixel - preprocess.mean[channel]!) / preprocess.std[channel]!;
      });
    const { data, dim } = await encoder.embed([
      picture((x, y) => 0.5 + 0.5 * Math.sin(x / 3) * Math.cos(y / 5)),
      picture((x, y) => ((x >> 3) + (y >> 3)) % 2),
    ]);
    const first = data.subarray(0, dim);
    const second = data.subarray(dim);
    if (first.every((value, i) => value === second[i]))
      throw unsupported(
        "different embeddings for different pictures",
        `the same numbers for both from ${quote(name)}`,
        "Check that the output is the embedding and that the preprocessing is the model's own.",
      );
  } finally {
    await encoder.close();
  }
}
