import type { ConnectionOptions, Job } from "bullmq";
import { isProtolineError, ProtolineError } from "../core/index.ts";
import type { Executor, Piece, Work } from "./types.ts";

export interface QueueOptions {
  /** `redis://HOST:PORT`; credentials and database as usual. */
  readonly url: string;
  /** Before the names of all keys. Default `protoline-jobs`. */
  readonly prefix?: string;
}

/** Pieces that wait in the queue or are under way, at most: what bounds its memory. */
const outstanding = 256;
/** How long a result waits in the queue for who asked. */
const keepSeconds = 24 * 3600;
const name = "pieces";

/**
 * Gives pieces to workers through a BullMQ queue. A piece has its id there too: asked for twice, by this process or
 * another, it is done once. One that fails is tried three times.
 *
 * @throws QUEUE_UNAVAILABLE where no Redis answers.
 */
export async function queueExecutor(options: QueueOptions): Promise<Executor> {
  const { Queue, QueueEvents } = await import("bullmq");
  const { prefix, connection } = await reach(options);
  const queue = new Queue<Piece, unknown>(name, { prefix, connection });
  const events = new QueueEvents(name, { prefix, connection });
  // A connection that breaks comes back by itself; what waits goes on waiting.
  queue.on("error", () => undefined);
  events.on("error", () => undefined);
  await events.waitUntilReady();
  return {
    width: outstanding,
    async execute(piece) {
      const before = await queue.getJob(piece.id);
      if (before && (await before.isFailed())) await before.remove();
      const job = await queue.add(piece.kind, piece, {
        jobId: piece.id,
        attempts: 3,
        backoff: { type: "exponential", delay: 500 },
        removeOnComplete: { age: keepSeconds },
        removeOnFail: { age: keepSeconds },
      });
      const result: unknown = await job.waitUntilFinished(events);
      await job.remove().catch(() => undefined);
      return result;
    },
    async close() {
      await events.close();
      await queue.close();
    },
  };
}

export interface WorkerOptions extends QueueOptions {
  readonly work: Work;
  readonly onPiece?: (piece: Piece, error: Error | null) => void;
  /**
   * Milliseconds after which a worker that gives no sign of life is taken for dead, and its piece given to another; a
   * worker that lives gives one every half of it. Default 30,000.
   */
  readonly silenceMs?: number;
}

export interface QueueWorker {
  close(): Promise<void>;
}

/**
 * Does pieces of the queue, one at a time, until it is closed; then the piece under way is finished.
 *
 * @throws QUEUE_UNAVAILABLE where no Redis answers.
 */
export async function startWorker(options: WorkerOptions): Promise<QueueWorker> {
  const { work, onPiece, silenceMs = 30_000 } = options;
  const { Worker } = await import("bullmq");
  const { prefix, connection } = await reach(options);
  const worker = new Worker<Piece, unknown>(
    name,
    async ({ data }: Job<Piece, unknown>) => {
      try {
        const result = await work(data);
        onPiece?.(data, null);
        return result;
      } catch (error) {
        onPiece?.(data, error as Error);
        throw error;
      }
    },
    {
      prefix,
      connection,
      concurrency: 1,
      lockDuration: silenceMs,
      stalledInterval: silenceMs / 2,
      maxStalledCount: 3,
    },
  );
  worker.on("error", () => undefined);
  await worker.waitUntilReady();
  return { close: () => worker.close() };
}

/** One question first: BullMQ itself would wait for its Redis without a word and without an end. */
async function reach({ url, prefix = "protoline-jobs" }: QueueOptions) {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const unavailable = (got: string, cause?: unknown): ProtolineError =>
    new ProtolineError("QUEUE_UNAVAILABLE", {
      expected: "a Redis at redis://HOST:PORT",
      got,
      todo: "Start Redis, or correct the address; without --queue this process does the work itself.",
      ...(cause !== undefined && { cause }),
    });
  if (parsed?.protocol !== "redis:" && parsed?.protocol !== "rediss:") throw unavailable("another address");
  const connection: ConnectionOptions = { url, maxRetriesPerRequest: null };
  const { Redis } = await import("ioredis");
  const probe = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null });
  probe.on("error", () => undefined);
  try {
    await probe.connect();
    await probe.ping();
  } catch (error) {
    if (isProtolineError(error)) throw error;
    throw unavailable(`${parsed.host}: ${(error as Error).message}`, error);
  } finally {
    probe.disconnect();
  }
  return { prefix, connection };
}
