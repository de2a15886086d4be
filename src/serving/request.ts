import { AsyncLocalStorage } from "node:async_hooks";

/** On whose behalf pictures are embedded: how they are queued, until when they are wanted, and how long they waited. */
export interface EmbedRequest {
  /** `frame`: someone waits for the answer of one picture. `bulk`: gives way to frames. */
  readonly priority: "frame" | "bulk";
  /** Aborted when nobody wants the answer any more; what waits then is not embedded. */
  readonly signal?: AbortSignal;
  /** Milliseconds for which its pictures waited for a worker, all calls together; written by the pool. */
  waited: number;
}

const storage = new AsyncLocalStorage<EmbedRequest>();

/** Runs `work`, and all that it starts, as part of `request`: a recognizer between the two need not know of it. */
export function embeddingFor<T>(request: EmbedRequest, work: () => T): T {
  return storage.run(request, work);
}

export const currentRequest = (): EmbedRequest | undefined => storage.getStore();
