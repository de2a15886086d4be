import { Worker } from "node:worker_threads";
import { ProtolineError, quote } from "../core/index.ts";
import type { Manifest, PictureEmbedding } from "../models/types.ts";
import { type BatchMessage, restored, type WorkerReply, type WorkerSetup } from "./messages.ts";
import type { Item } from "./run-batch.ts";

/** A thread that embeds. */
export interface EmbeddingWorker {
  /** One entry an item, in order: what is wrong with one never touches another. @throws INTERNAL where the worker died. */
  embed(items: readonly Item[]): Promise<readonly (PictureEmbedding | ProtolineError)[]>;
  /** Batches under way; infinite when the thread has ended. */
  readonly load: number;
  /** Resolves when the thread has ended, by itself or by `close`. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

/** Starts a worker and waits until its model is open. @throws what `openEncoder` throws. */
export async function startWorker(
  setup: WorkerSetup,
): Promise<{ readonly worker: EmbeddingWorker; readonly manifest: Manifest; readonly modelHash: string }> {
  const thread = spawn(setup);
  const waiting = new Map<
    number,
    {
      resolve: (results: readonly (PictureEmbedding | ProtolineError)[]) => void;
      reject: (error: Error) => void;
    }
  >();
  const opened = await ready(thread, setup.model);
  let next = 0;
  let alive = true;
  thread.on("message", (reply: WorkerReply) => {
    if (reply.kind !== "done") return;
    const asked = waiting.get(reply.id);
    waiting.delete(reply.id);
    asked?.resolve(reply.results.map((it) => ("error" in it ? restored(it.error) : it)));
  });
  // Its death is told by `exit`; without a listener it would be this thread's too.
  thread.on("error", () => undefined);
  const ended = new Promise<void>((resolve) =>
    thread.once("exit", (code) => {
      alive = false;
      for (const { reject } of waiting.values()) reject(died(code));
      waiting.clear();
      resolve();
    }),
  );
  return {
    ...opened,
    worker: {
      ended,
      get load() {
        return alive ? waiting.size : Number.POSITIVE_INFINITY;
      },
      embed: (items) =>
        new Promise((resolve, reject) => {
          if (!alive) {
            reject(died(null));
            return;
          }
          const id = next++;
          waiting.set(id, { resolve, reject });
          thread.postMessage({ id, items: items.map(own) } satisfies BatchMessage);
        }),
      close: async () => {
        await thread.terminate();
        await ended;
      },
    },
  };
}

/** What is copied to the other thread: of a view its own part, not all that lies around it. */
const own = (item: Item): Item => {
  if (item instanceof Float32Array) return item.byteLength === item.buffer.byteLength ? item : item.slice();
  const { bytes } = item;
  // A buffer's `slice` would be a view again.
  return bytes.byteLength === bytes.buffer.byteLength ? item : { ...item, bytes: new Uint8Array(bytes) };
};

/** From the package a worker runs what was built; from the sources it needs their loader, which Node has none of. */
function spawn(workerData: WorkerSetup): Worker {
  const here = import.meta.url;
  if (!here.endsWith(".ts")) return new Worker(new URL("./worker.js", here), { workerData });
  const entry = JSON.stringify(new URL("./worker.ts", here).href);
  return new Worker(
    `import("tsx/esm/api").then(({ register }) => { register(); return import(${entry}); })`,
    { eval: true, workerData },
  );
}

function ready(
  thread: Worker,
  model: string,
): Promise<{ readonly manifest: Manifest; readonly modelHash: string }> {
  return new Promise((resolve, reject) => {
    const ended = (error: unknown): void =>
      reject(
        new ProtolineError("INTERNAL", {
          expected: `a worker that opens model ${quote(model)}`,
          got: error instanceof Error ? error.message : `one that ended with code ${String(error)}`,
          todo: "Check the memory of this machine, and report it if it persists.",
          cause: error,
        }),
      );
    thread.once("error", ended);
    thread.once("exit", ended);
    thread.once("message", (reply: WorkerReply) => {
      thread.off("error", ended);
      thread.off("exit", ended);
      if (reply.kind === "ready") resolve({ manifest: reply.manifest, modelHash: reply.modelHash });
      else {
        void thread.terminate();
        reject(reply.kind === "failed" ? restored(reply.error) : new Error(reply.kind));
      }
    });
  });
}

const died = (code: number | null): ProtolineError =>
  new ProtolineError("INTERNAL", {
    expected: "a worker that lives until it has answered",
    got: code === null ? "none that runs" : `one that ended with code ${code}`,
    todo: "Send the picture again; the log and the memory of the machine tell more.",
  });
