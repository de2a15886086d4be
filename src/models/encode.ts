import { type Embeddings, ProtolineError, sha256 } from "../core/index.ts";
import { canonicalJson } from "./canonical.ts";
import type { Encoder, Manifest } from "./types.ts";

/**
 * Pictures of one run. The runtime computes on the JavaScript thread, and others get their turn between runs, so this
 * bounds both memory and how long one caller holds up the next.
 */
const maxBatch = 4;

/** What a model gives for one batch: `[N, C]` or `[N, C, H, W]`. */
export interface ModelOutput {
  readonly data: unknown;
  readonly dims: readonly number[];
  readonly type: string;
  dispose(): void;
}

/** An open model, whichever ONNX Runtime runs it. */
export interface OpenModel {
  readonly inputs: readonly { readonly shape: readonly (number | string)[] }[];
  /** Runs pictures `[n, channels, height, width]`, and gives the output that the manifest names. */
  run(data: Float32Array, shape: readonly number[]): Promise<ModelOutput>;
  close(): Promise<void>;
}

/** The encoder that manifest and open model make. Closes the model when it is closed. */
export function encoderOver(manifest: Manifest, open: OpenModel): Encoder {
  const { size, channels } = manifest.preprocess;
  const shape = [channels === "gray" ? 1 : 3, ...size];
  const length = shape.reduce((product, n) => product * n, 1);
  const dim = manifest.embeddingDim;
  const underWay = new Set<Promise<unknown>>();
  // Many models are exported for a batch of one.
  const batch = open.inputs.some(({ shape }) => shape[0] === 1) ? 1 : maxBatch;

  async function run(inputs: readonly Float32Array[]): Promise<Embeddings> {
    const result = new Float32Array(inputs.length * dim);
    for (let start = 0; start < inputs.length; start += batch) {
      const chunk = inputs.slice(start, start + batch);
      chunk.forEach((input, i) => {
        checkInput(input, start + i, length, shape);
      });
      // A frame alone, the usual case of a line, is not copied.
      const data = chunk.length === 1 ? chunk[0]! : joined(chunk, length);
      const output = await open.run(data, [chunk.length, ...shape]);
      pool(output, manifest, chunk.length, result.subarray(start * dim, (start + chunk.length) * dim));
      output.dispose();
    }
    checkFinite(result, manifest);
    return { data: result, n: inputs.length, dim };
  }

  return {
    manifest,
    embeddingDim: dim,
    modelHash: modelHash(manifest),
    async embed(inputs) {
      const running = run(inputs);
      underWay.add(running);
      try {
        return await running;
      } finally {
        underWay.delete(running);
      }
    },
    async close() {
      await Promise.allSettled(underWay);
      await open.close();
    },
  };
}

function joined(inputs: readonly Float32Array[], length: number): Float32Array {
  const data = new Float32Array(inputs.length * length);
  inputs.forEach((input, i) => {
    data.set(input, i * length);
  });
  return data;
}

/** SHA-256, hex, over the model file's own hash and everything else that shapes an embedding. */
export function modelHash({ model, preprocess, pooling, output }: Manifest): string {
  return sha256(canonicalJson({ model: model.sha256, preprocess, pooling, output }));
}

/** Writes the embeddings of an output `[N, C]` or `[N, C, H, W]` to `into`, `[n × dim]`. */
export function pool(
  output: Pick<ModelOutput, "data" | "dims" | "type">,
  { pooling, embeddingDim, name }: Pick<Manifest, "pooling" | "embeddingDim" | "name">,
  n: number,
  into: Float32Array,
): void {
  const { data, dims } = output;
  const [rows = 0, channels = 0, ...spatial] = dims;
  const area = spatial.reduce((product, side) => product * side, 1);
  const per = pooling === "meanStd" ? 2 * channels : channels;
  if (
    !(data instanceof Float32Array) ||
    rows !== n ||
    ![0, 2].includes(spatial.length) ||
    per !== embeddingDim ||
    (pooling === "none" && area !== 1)
  )
    throw new ProtolineError("BUNDLE_INVALID", {
      expected: `an output of ${n} × ${embeddingDim} after pooling "${pooling}"`,
      got: `${output.type} [${dims.join(", ")}] from ${name}`,
      todo: "Import the model again so that its manifest fits the file.",
    });
  if (pooling === "none") {
    into.set(data);
    return;
  }
  for (let i = 0; i < n; i++)
    for (let c = 0; c < channels; c++) {
      const plane = data.subarray((i * channels + c) * area, (i * channels + c + 1) * area);
      let sum = 0;
      for (const value of plane) sum += value;
      const mean = sum / area;
      into[i * per + c] = mean;
      if (pooling === "meanStd") {
        let squares = 0;
        for (const value of plane) squares += (value - mean) ** 2;
        into[i * per + channels + c] = Math.sqrt(squares / area);
      }
    }
}

function checkInput(input: Float32Array, index: number, length: number, shape: readonly number[]): void {
  if (input.length !== length)
    throw new ProtolineError("DIMENSION_MISMATCH", {
      expected: `${length} numbers a picture (${shape.join(" × ")})`,
      got: `${input.length} for picture ${index}`,
      todo: "Prepare pictures with the preprocessing of this encoder's manifest.",
    });
}

function checkFinite(data: Float32Array, { name, embeddingDim }: Manifest): void {
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new ProtolineError("NOT_FINITE", {
      expected: "finite numbers in every embedding",
      got: `${data[bad]} for picture ${Math.floor(bad / embeddingDim)} from ${name}`,
      todo: "Check the picture's preprocessing, and the model on another execution provider.",
    });
}
