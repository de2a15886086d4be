import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ProtolineError } from "../core/index.ts";
import type { FurtherProgress } from "./further.ts";
import type { Assignment, FromChild, NewModel, ToChild } from "./messages.ts";

/** A picture to train on: its class, and its bytes as they were kept. */
export interface TrainingPicture {
  readonly label: string;
  readonly bytes: Uint8Array;
}

/** Milliseconds that the process has to end by itself, which it does between two steps. */
const endsWithin = 5000;
/** Characters of its last words that are told. */
const lastWords = 500;

/**
 * Trains in a process of its own: the runtime computes on the thread that asks, and a process alone can have a lower priority on
 * every system.
 *
 * @param pictures in the order of `assignment.contentHashes`; asked for one at a time.
 * @throws what `trainFurther` throws; INTERNAL where the process died; the reason of `signal`.
 */
export async function trainApart(
  assignment: Assignment,
  pictures: AsyncIterable<TrainingPicture>,
  onProgress?: (progress: FurtherProgress) => void,
  signal?: AbortSignal,
): Promise<NewModel> {
  signal?.throwIfAborted();
  const child = start();
  const exited = once(child, "exit").catch(() => [null, null]);
  let words = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    words = `${words}${text}`.slice(-lastWords);
  });
  const stop = (): void => {
    if (child.connected) child.disconnect();
    setTimeout(() => child.kill("SIGKILL"), endsWithin).unref();
  };
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const coming = pictures[Symbol.asyncIterator]();
    return await new Promise((resolve, reject) => {
      const send = (message: ToChild): void => {
        if (child.connected) child.send(message, (error) => error && reject(died(null, null, words)));
      };
      child.on("message", (message: FromChild) => {
        if (message.kind === "progress") onProgress?.(message);
        else if (message.kind === "done") resolve(message);
        else if (message.kind === "failed") reject(new ProtolineError(message.error.code, message.error));
        else
          coming.next().then(({ value, done }) => {
            if (!done) send({ kind: "picture", label: value.label, bytes: value.bytes });
          }, reject);
      });
      child.once("error", (error) => reject(died(null, null, error.message)));
      void exited.then(([code, by]) => reject(signal?.aborted ? signal.reason : died(code, by, words)));
      send({ kind: "begin", assignment });
    });
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
    await exited;
  }
}

/** From the package it runs what was built; from the sources it needs their loader, which Node has none of. */
function start(): ChildProcess {
  const here = import.meta.url;
  const built = !here.endsWith(".ts");
  return fork(fileURLToPath(new URL(built ? "./child.js" : "./child.ts", here)), [], {
    serialization: "advanced",
    execArgv: built ? [] : ["--import", "tsx"],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
}

const died = (code: number | null, by: string | null, words: string): ProtolineError =>
  new ProtolineError("INTERNAL", {
    expected: "a process that trains until it is done",
    got: `one that ended ${by ? `by ${by}` : `with code ${code}`}${words ? `, saying ${words.trim()}` : ""}`,
    todo: "Look at the memory of the machine: training takes some gigabytes.",
  });
