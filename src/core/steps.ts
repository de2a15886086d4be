/** Work that may be put aside wherever it yields, every few hundred microseconds at best. */
export type Steps<T> = Generator<void, T, void>;

/** Does all of it at once. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Lets whatever waits for this thread have its turn. */
const turn: () => Promise<void> =
  typeof setImmediate === "function"
    ? () => new Promise((resolve) => setImmediate(resolve))
    : () =>
        new Promise((resolve) => {
          // A timeout of a page is clamped to 4 ms; a message is not.
          const { port1, port2 } = new MessageChannel();
          const done = (): void => {
            port1.close();
            resolve();
          };
          port1.addEventListener("message", done, { once: true });
          port1.start();
          port2.postMessage(null);
        });

/** To be awaited in a long loop: lets others have their turn whenever `ms` milliseconds have gone by. Default 2. */
export function createPace(ms = 2): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < ms) return;
    await turn();
    since = performance.now();
  };
}

/** Does it `ms` milliseconds at a time, and what else waits for this thread in between. Default 1. */
export async function inSlices<T>(steps: Steps<T>, ms = 1): Promise<T> {
  for (;;) {
    const end = performance.now() + ms;
    do {
      const step = steps.next();
      if (step.done) return step.value;
    } while (performance.now() < end);
    await turn();
  }
}
