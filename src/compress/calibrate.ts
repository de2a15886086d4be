import { ProtolineError } from "../core/index.ts";
import type { Graph } from "../graph/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { openSession, type SessionOptions, Tensor } from "../runtime/index.ts";
import { count, emptyHistogram, type Histogram, type Range, type RangeRule } from "./histogram.ts";
import { entropy } from "./range-entropy.ts";
import { minMax } from "./range-minmax.ts";
import { percentile } from "./range-percentile.ts";

export const calibrationMethods = ["minmax", "percentile", "entropy"] as const;
export type CalibrationMethod = (typeof calibrationMethods)[number];

const rules: Readonly<Record<CalibrationMethod, RangeRule>> = {
  minmax: minMax,
  percentile: percentile(),
  entropy,
};

/** Pictures ready for the encoder. */
export interface Inputs {
  /** One array `[channels × height × width]` a picture. */
  readonly pictures: readonly Float32Array[];
  /** `[channels, height, width]` */
  readonly shape: readonly number[];
}

export interface CalibrateOptions extends SessionOptions {
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** What values of a graph came to over the calibration pictures, from which every method takes its ranges. */
export interface Seen {
  ranges(method: CalibrationMethod): ReadonlyMap<string, Range>;
  /** The mean of each channel (axis 1), over pictures and places. */
  readonly means: ReadonlyMap<string, Float64Array>;
}

/**
 * Runs a float graph over pictures and counts what the named values come to. One picture a run, twice: the first time
 * for least and greatest, the second for the histograms.
 *
 * @param graph with one input, images `[N, C, H, W]`.
 * @throws FOLDER_EMPTY where there is no picture, NOT_FINITE where a value is not finite.
 */
export async function calibrate(
  graph: Graph,
  values: readonly string[],
  { pictures, shape }: Inputs,
  { onProgress, signal, ...session }: CalibrateOptions = {},
): Promise<Seen> {
  if (pictures.length === 0)
    throw new ProtolineError("FOLDER_EMPTY", {
      expected: "pictures to calibrate with, some dozens of what the line shows",
      got: "none",
      todo: "Name a folder that holds pictures.",
    });
  const input = graph.inputs[0]!.name;
  const wanted = values.filter((name) => name !== input);
  const runner = await openSession(
    writeModel(
      modelOf({
        ...graph,
        outputs: wanted.map((name) => ({ name, dtype: "float32", shape: null })),
      }),
    ),
    session,
  );
  const total = 2 * pictures.length;
  let done = 0;
  const pass = async (
    see: (name: string, data: Float32Array, dims: readonly number[]) => void,
  ): Promise<void> => {
    for (const picture of pictures) {
      signal?.throwIfAborted();
      const results = await runner.run({ [input]: new Tensor("float32", picture, [1, ...shape]) });
      if (values.includes(input)) see(input, picture, [1, ...shape]);
      for (const name of wanted) {
        see(name, results[name]!.data as Float32Array, results[name]!.dims);
        results[name]!.dispose();
      }
      onProgress?.(++done, total);
    }
  };
  try {
    const ends = new Map(values.map((name) => [name, { low: 0, high: 0, first: true }]));
    const means = new Map<string, Float64Array>();
    await pass((name, data, dims) => {
      addMeans(means, name, data, dims[1] ?? 1, pictures.length);
      const end = ends.get(name)!;
      if (end.first) Object.assign(end, { low: data[0], high: data[0], first: false });
      for (const value of data) {
        if (value < end.low) end.low = value;
        else if (value > end.high) end.high = value;
        // NaN is neither.
        else if (!(value >= end.low)) throw notFinite(name, value);
      }
      if (!Number.isFinite(end.low) || !Number.isFinite(end.high)) throw notFinite(name, end.high);
    });
    const histograms = new Map<string, Histogram>();
    for (const [name, { low, high }] of ends) histograms.set(name, emptyHistogram(low, high));
    await pass((name, data) => count(histograms.get(name)!, data));
    return {
      means,
      ranges: (method) => new Map([...histograms].map(([name, seen]) => [name, rules[method](seen)])),
    };
  } finally {
    await runner.close();
  }
}

function addMeans(
  means: Map<string, Float64Array>,
  name: string,
  data: Float32Array,
  channels: number,
  pictures: number,
): void {
  const sums = means.get(name) ?? new Float64Array(channels);
  means.set(name, sums);
  const area = data.length / channels;
  for (let c = 0; c < channels; c++) {
    let sum = 0;
    for (let i = c * area; i < (c + 1) * area; i++) sum += data[i]!;
    sums[c]! += sum / area / pictures;
  }
}

function notFinite(name: string, value: number): ProtolineError {
  return new ProtolineError("NOT_FINITE", {
    expected: "finite numbers inside the model",
    got: `${value} at ${name}`,
    todo: "Check the model and its preprocessing on these pictures.",
  });
}
