import { availableParallelism } from "node:os";
import { ProtolineError, stack } from "../core/index.ts";
import { type ModelSources, modelSources } from "../models/index.ts";
import type { Encoder, PictureEmbedding } from "../models/types.ts";
import type { SessionOptions } from "../runtime/index.ts";
import { type BatcherOptions, type BatcherState, createBatcher } from "./batcher.ts";
import type { WorkerSetup } from "./messages.ts";
import { currentRequest } from "./request.ts";
import type { Item } from "./run-batch.ts";
import { type EmbeddingWorker, startWorker } from "./workers.ts";

export interface PoolOptions extends SessionOptions, BatcherOptions {
  /** Threads that embed frames, each with a session of its own. Default: one for each core but one, at least 1. */
  readonly workers?: number;
  readonly sources?: ModelSources;
}

/** An encoder whose work is done by worker threads, in batches. */
export interface EncoderPool extends Encoder {
  readonly embedEncoded: NonNullable<Encoder["embedEncoded"]>;
  readonly workers: number;
  state(): BatcherState;
}

/** One batch is embedded while the next is decoded. */
const batchesPerWorker = 2;

/** Times that workers are replaced: a model that kills each of them is at fault itself. */
const mostReplacements = 10;

/**
 * Opens a model in worker threads, so that the calling thread stays free while pictures are decoded, resampled and embedded:
 * ONNX Runtime computes on the thread that asks. One picture at a time is a frame, several are work in bulk, unless `embeddingFor`
 * says otherwise. Work in bulk has one more worker, of low priority (on Linux), so that an enrollment never stands before a frame:
 * what is under way cannot be stopped. It takes one picture after another. A worker that dies fails its batch and is replaced.
 *
 * @param model name or path, as `openEncoder` takes it. `threads` of a session are 1 by default.
 * @throws what `openEncoder` throws; INVALID_ARGUMENT for a number of workers that is none of 1 to 256.
 */
export async function openPool(model: string, options: PoolOptions = {}): Promise<EncoderPool> {
  const { sources = modelSources(process.env), threads = 1, provider, fallback } = options;
  const count = options.workers ?? Math.max(1, availableParallelism() - 1);
  if (!Number.isInteger(count) || count < 1 || count > 256)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a whole number of workers from 1 to 256",
      got: String(count),
      todo: "Leave the number out for one worker for each core but one.",
    });
  const setup = { model, sources, session: { threads, provider, fallback } };
  /** Those of frames, then that of work in bulk. */
  const setups: WorkerSetup[] = [
    ...Array.from({ length: count }, () => ({ ...setup, priority: "normal" as const })),
    { ...setup, priority: "low" },
  ];
  const lanes: EmbeddingWorker[] = [];
  let closing = false;
  let replaced = 0;

  const settled = await Promise.allSettled(setups.map(startWorker));
  const started = settled.flatMap((it) => (it.status === "fulfilled" ? [it.value] : []));
  const failed = settled.find((it) => it.status === "rejected");
  if (failed) {
    await Promise.all(started.map(({ worker }) => worker.close()));
    throw failed.reason;
  }
  const keep = (lane: number, worker: EmbeddingWorker): void => {
    lanes[lane] = worker;
    void worker.ended.then(async () => {
      while (!closing && replaced++ < mostReplacements) {
        const next = await startWorker(setups[lane]!).catch(() => null);
        if (!next) continue;
        if (closing) await next.worker.close();
        else keep(lane, next.worker);
        return;
      }
    });
  };
  for (const [lane, { worker }] of started.entries()) keep(lane, worker);

  const frames = createBatcher<Item, PictureEmbedding | ProtolineError>(
    count * batchesPerWorker,
    (items) =>
      lanes
        .slice(0, count)
        .reduce((a, b) => (b.load < a.load ? b : a))
        .embed(items),
    options,
  );
  // One picture a batch: the threads that decode are everybody's.
  const bulk = createBatcher<Item, PictureEmbedding | ProtolineError>(
    batchesPerWorker,
    (items) => lanes[count]!.embed(items),
    { ...options, maxBatch: 1, maxLatencyMs: 0 },
  );
  const submit = async (items: readonly Item[]): Promise<readonly (PictureEmbedding | ProtolineError)[]> => {
    const request = currentRequest();
    const priority = request?.priority ?? (items.length === 1 ? "frame" : "bulk");
    const batcher = priority === "frame" ? frames : bulk;
    const { waited, results } = await batcher.submit(items, request?.signal);
    if (request) request.waited += waited;
    return results;
  };
  const { manifest, modelHash } = started[0]!;
  return {
    manifest,
    modelHash,
    embeddingDim: manifest.embeddingDim,
    workers: count,
    async embed(inputs) {
      if (inputs.length === 0) return { data: new Float32Array(0), n: 0, dim: manifest.embeddingDim };
      const rows = (await submit(inputs)).map((it) => {
        if (it instanceof ProtolineError) throw it;
        return it.embeddings.data;
      });
      return stack(rows, manifest.embeddingDim);
    },
    embedEncoded: submit,
    state: () => {
      const [a, b] = [frames.state(), bulk.state()];
      return {
        waiting: a.waiting + b.waiting,
        batches: a.batches + b.batches,
        embedded: a.embedded + b.embedded,
        refused: a.refused + b.refused,
      };
    },
    async close() {
      await Promise.all([frames.idle(), bulk.idle()]);
      closing = true;
      await Promise.all(lanes.map((worker) => worker.close()));
    },
  };
}
