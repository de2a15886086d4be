import { Worker } from "node:worker_threads";
import { ProtolineError } from "../../core/index.ts";
import type { Answer, Question, Reply, Task } from "./worker.ts";

/** A thread for what takes long: started when something is asked, one thing after the other. */
export interface Thread {
  /** @param handed buffers of the task that are not needed here any more. */
  ask<T extends Task>(task: T, handed?: readonly ArrayBufferLike[]): Promise<Answer<T["kind"]>>;
  close(): Promise<void>;
}

/** Milliseconds without a question after which the thread ends. */
const idleMs = 60_000;

/** @param lasting whether the thread stays although nothing is asked: what it keeps goes with it. */
export function createThread(lasting: boolean): Thread {
  let thread: Worker | null = null;
  let started: Promise<unknown> = Promise.resolve();
  let idle: NodeJS.Timeout | undefined;
  let next = 0;
  const waiting = new Map<number, { resolve(reply: Reply): void; reject(error: Error): void }>();

  const end = async (): Promise<void> => {
    clearTimeout(idle);
    const ending = thread;
    thread = null;
    // Ended while it loads native code, a thread takes the process along.
    await started;
    await ending?.terminate();
  };
  const start = (): Worker => {
    const worker = spawn();
    started = new Promise((resolve) => {
      worker.once("message", resolve);
      worker.once("exit", resolve);
    });
    // The process does not wait for it, and its death is the answer to all that was asked.
    worker.unref();
    worker.on("message", (reply: Reply | "ready") => {
      if (reply === "ready") return;
      waiting.get(reply.id)?.resolve(reply);
      waiting.delete(reply.id);
      if (waiting.size === 0 && !lasting) idle = setTimeout(() => void end(), idleMs).unref();
    });
    const died = (error: unknown): void => {
      if (thread === worker) thread = null;
      for (const { reject } of waiting.values()) reject(lost(String(error)));
      waiting.clear();
    };
    worker.on("error", died);
    worker.on("exit", (code) => died(`it ended with code ${code}`));
    return worker;
  };
  return {
    async ask<T extends Task>(task: T, handed: readonly ArrayBufferLike[] = []) {
      clearTimeout(idle);
      thread ??= start();
      const id = next++;
      const { answer, error, coded } = await new Promise<Reply>((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        thread!.postMessage({ id, task } satisfies Question, handed as ArrayBuffer[]);
      });
      if (coded) throw new ProtolineError(coded.code, coded);
      if (!answer) throw lost(error ?? "no answer");
      return answer as Answer<T["kind"]>;
    },
    close: end,
  };
}

const lost = (why: string): ProtolineError =>
  new ProtolineError("INTERNAL", {
    expected: "a thread that judges galleries and lines",
    got: why,
    todo: "Try again; the log and the memory of the machine tell more.",
  });

/** From the package a worker runs what was built; from the sources it needs their loader, which Node has none of. */
function spawn(): Worker {
  const here = import.meta.url;
  if (!here.endsWith(".ts")) return new Worker(new URL("./worker.js", here));
  const entry = JSON.stringify(new URL("./worker.ts", here).href);
  return new Worker(
    `import("tsx/esm/api").then(({ register }) => { register(); return import(${entry}); })`,
    {
      eval: true,
    },
  );
}
