import { Worker } from "node:worker_threads";
import { type Embeddings, ProtolineError, stack } from "../../core/index.ts";
import type { DecisionPriors, DecisionSpec } from "../../fewshot/index.ts";
import type { DriftReport, FullWindow } from "../../monitor/index.ts";
import type { Trial as DecisionTrial, Recognizer, Solver } from "../../recognizer/index.ts";
import type { Sample } from "../../store/store.ts";
import type { LeftOut, Trial } from "./leave-out.ts";
import type { Answer, Question, Reply, ShadowAnswer, Task } from "./worker.ts";

/**
 * Leaves pictures out of galleries in turn and tests lines for drift, in a thread of its own: fitting a thousand pictures
 * takes seconds, for which no frame shall wait.
 */
export interface Judge extends Solver {
  /** By sample id; of the recognizer's revision, kept until the next. At most {@link mostPictures} of them. */
  gallery(recognizer: Recognizer): Promise<ReadonlyMap<string, LeftOut | null>>;
  /** Of pictures as they are, in their order. */
  pictures(
    pictures: readonly Pick<Sample, "label" | "embeddings">[],
    decision: DecisionSpec,
    priors: DecisionPriors,
  ): Promise<readonly (LeftOut | null)[]>;
  /** Tests a window of a line for drift; its frames' embeddings are gone afterwards. */
  drift(window: FullWindow): Promise<DriftReport>;
  /** Keeps a fitted decision in the thread, for `decide`; one at a time. */
  fit(trial: Omit<DecisionTrial, "heldOut">): Promise<true>;
  /** A frame, raw, `[views, dim]`, by the decision that was fitted last. */
  decide(views: Embeddings): Promise<ShadowAnswer>;
  close(): Promise<void>;
}

/** Pictures that are left out, at most; of a larger gallery every n-th, so that each class keeps its share. */
const mostPictures = 1000;
/** Galleries whose last answers are kept, at most. */
const mostKept = 16;
/** Milliseconds without a question after which the thread ends. */
const idleMs = 60_000;

/** At most `most` items, spread evenly over all. */
export function spread<T>(items: readonly T[], most: number): readonly T[] {
  if (items.length <= most) return items;
  return Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)]!);
}

/** @param lasting whether the thread stays although nothing is asked: what was fitted goes with it. Default no. */
export function createJudge({ lasting = false } = {}): Judge {
  let thread: Worker | null = null;
  let started: Promise<unknown> = Promise.resolve();
  let idle: NodeJS.Timeout | undefined;
  let next = 0;
  const waiting = new Map<number, { resolve(reply: Reply): void; reject(error: Error): void }>();
  const kept = new Map<
    string,
    { readonly hash: string; readonly answers: Promise<Map<string, LeftOut | null>> }
  >();

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
  const ask = async <T extends Task>(
    task: T,
    handed: readonly ArrayBufferLike[],
  ): Promise<Answer<T["kind"]>> => {
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
  };
  const judge: Judge = {
    async pictures(pictures, decision, priors) {
      const [first] = pictures;
      if (!first) return [];
      const rows = pictures.flatMap(({ embeddings }) => embeddings);
      const trial: Trial = {
        embeddings: stack(rows, rows[0]!.length),
        labels: pictures.flatMap(({ label, embeddings }) => embeddings.map(() => label)),
        groups: pictures.flatMap(({ embeddings }, group) => embeddings.map(() => group)),
        decision,
        priors,
      };
      return ask({ kind: "leaveOut", trial }, [trial.embeddings.data.buffer]);
    },
    // The reference is needed again: it is copied, and the window's frames are handed over.
    drift: (window) => ask({ kind: "drift", window }, [window.current.embeddings.data.buffer]),
    gallery(recognizer) {
      const { gallery, revision, samples, decision, priors } = recognizer;
      const known = kept.get(gallery);
      if (known?.hash === revision.hash) return known.answers;
      const chosen = spread(samples, mostPictures);
      const answers = judge
        .pictures(chosen, decision, priors)
        .then((all) => new Map(chosen.map(({ id }, i) => [id, all[i]!])));
      kept.set(gallery, { hash: revision.hash, answers });
      answers.catch(() => kept.get(gallery)?.answers === answers && kept.delete(gallery));
      const [oldest] = kept.keys();
      if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
      return answers;
    },
    tune: (tuning) => ask({ kind: "tune", tuning }, []),
    try: (trial) => ask({ kind: "try", trial }, []),
    fit: (trial) => ask({ kind: "fit", trial }, []),
    decide: (views) => ask({ kind: "decide", views }, []),
    close: end,
  };
  return judge;
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
