import { ProtolineError } from "../core/index.ts";

export interface BatcherOptions {
  /** Pictures that are embedded by one call, at most. Default 8. */
  readonly maxBatch?: number;
  /** Milliseconds that a picture waits for others although a worker is free. Default 0: none waits for nothing. */
  readonly maxLatencyMs?: number;
  /** Pictures that may wait, at most. Default 1024. */
  readonly maxWaiting?: number;
}

export interface BatcherState {
  /** Pictures that wait. */
  readonly waiting: number;
  readonly batches: number;
  /** Pictures in them. */
  readonly embedded: number;
  readonly refused: number;
}

export interface Batcher<Item, Result> {
  /**
   * One result an item, in order; an error of one item stands in its place. `waited` is milliseconds until the last of them
   * was taken up.
   *
   * @throws OVERLOADED where too many wait; the reason of `signal`, and what waits is not embedded then; what a whole batch
   * failed with.
   */
  submit(
    items: readonly Item[],
    signal?: AbortSignal,
  ): Promise<{ readonly results: readonly Result[]; readonly waited: number }>;
  state(): BatcherState;
  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void>;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly since: number;
  readonly taken: (waited: number) => void;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers pictures into batches, of which `lanes` are under way at a time, in the order in which they come.
 *
 * @param run works on a batch: one result an item, in order.
 */
export function createBatcher<Item, Result>(
  lanes: number,
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  { maxBatch = 8, maxLatencyMs = 0, maxWaiting = 1024 }: BatcherOptions = {},
): Batcher<Item, Result> {
  type Entry = Waiting<Item, Result>;
  const queue: Entry[] = [];
  let free = lanes;
  let timer: NodeJS.Timeout | undefined;
  const counts = { batches: 0, embedded: 0, refused: 0 };
  let onIdle: (() => void)[] = [];

  function pump(): void {
    clearTimeout(timer);
    timer = undefined;
    while (free > 0) {
      const oldest = queue[0];
      if (!oldest) break;
      const wait = oldest.since + maxLatencyMs - performance.now();
      if (queue.length < maxBatch && wait > 0) {
        timer = setTimeout(pump, wait);
        break;
      }
      void work(queue.splice(0, maxBatch)).finally(pump);
    }
    if (queue.length === 0 && free === lanes) {
      for (const resolve of onIdle) resolve();
      onIdle = [];
    }
  }

  async function work(batch: readonly Entry[]): Promise<void> {
    free--;
    const started = performance.now();
    for (const { taken, since } of batch) taken(started - since);
    try {
      const results = await run(batch.map(({ item }) => item));
      counts.batches++;
      counts.embedded += batch.length;
      for (const [i, { resolve }] of batch.entries()) resolve(results[i]!);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      free++;
    }
  }

  /** A call larger than the queue is let in where nothing else waits: it could never be answered else. */
  function refuse(items: number): void {
    const waiting = queue.length;
    if (waiting === 0 || waiting + items <= maxWaiting) return;
    counts.refused += items;
    throw new ProtolineError("OVERLOADED", {
      expected: `at most ${maxWaiting} pictures that wait`,
      got: `${items} more beside ${waiting}`,
      todo: "Send them again a little later; more workers, or another server, take more.",
    });
  }

  return {
    async submit(items, signal) {
      signal?.throwIfAborted();
      refuse(items.length);
      const since = performance.now();
      let waited = 0;
      const taken = (ms: number): void => {
        waited = Math.max(waited, ms);
      };
      const mine: Entry[] = [];
      const promised = items.map(
        (item) =>
          new Promise<Result>((resolve, reject) => {
            mine.push({ item, since, taken, resolve, reject });
          }),
      );
      queue.push(...mine);
      const leave = (): void => {
        for (const one of mine) {
          const at = queue.indexOf(one);
          if (at >= 0) queue.splice(at, 1);
          one.reject(signal!.reason);
        }
        pump();
      };
      signal?.addEventListener("abort", leave, { once: true });
      pump();
      try {
        return { results: await Promise.all(promised), waited };
      } finally {
        signal?.removeEventListener("abort", leave);
      }
    },
    state: () => ({ waiting: queue.length, ...counts }),
    idle: () =>
      new Promise((resolve) => {
        onIdle.push(resolve);
        pump();
      }),
  };
}
