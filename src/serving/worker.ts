import { parentPort, workerData } from "node:worker_threads";
import { openEncoder } from "../models/index.ts";
import { giveWay } from "./give-way.ts";
import type { BatchMessage, WorkerReply, WorkerSetup } from "./messages.ts";
import { coded, runBatch } from "./run-batch.ts";

/**
 * One worker of a pool: a session of its own. A batch that comes while another is embedded is decoded meanwhile, by the threads
 * that decode.
 */
const { model, sources, session, priority } = workerData as WorkerSetup;
if (priority === "low") giveWay();

const port = parentPort!;
const reply = (message: WorkerReply, moved: ArrayBuffer[] = []): void => port.postMessage(message, moved);

try {
  const encoder = await openEncoder(model, { ...session, sources });
  // The first call of a session is much slower than those after it; no frame shall pay for that.
  const { channels, size } = encoder.manifest.preprocess;
  await encoder.embed([new Float32Array((channels === "gray" ? 1 : 3) * size[0] * size[1])]);
  port.on("message", ({ id, items }: BatchMessage) => {
    void runBatch(encoder, items).then((results) => {
      const passed = results.map((it) => (it instanceof Error ? { error: it.toJSON() } : it));
      const moved = passed.flatMap((it) => ("error" in it ? [] : [it.embeddings.data.buffer as ArrayBuffer]));
      reply({ kind: "done", id, results: passed }, moved);
    });
  });
  reply({ kind: "ready", manifest: encoder.manifest, modelHash: encoder.modelHash });
} catch (error) {
  reply({ kind: "failed", error: coded(error).toJSON() });
}
