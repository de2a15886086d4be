import type { Embeddings } from "../../core/index.ts";
import type { ExpectedRates } from "../../fewshot/index.ts";
import type { DriftReport, FullWindow } from "../../monitor/index.ts";
import { type Recognizer, type Solver, toSupport } from "../../recognizer/index.ts";
import type { GalleryTrial, LeftOut, LeftOutGallery } from "./leave-out.ts";
import { createThread } from "./thread.ts";
import type { ShadowAnswer } from "./worker.ts";

/**
 * Leaves pictures out of galleries in turn and tests lines for drift, in a thread of its own: fitting a thousand pictures
 * takes seconds, for which no frame shall wait.
 */
export interface Judge extends Solver {
  /** By sample id; of the recognizer's revision, kept until the next. At most {@link mostPictures} of them. */
  gallery(recognizer: Recognizer): Promise<ReadonlyMap<string, LeftOut | null>>;
  /**
   * What is to be expected of known parts and of parts never shown; of the recognizer's revision, kept until the next. In
   * another thread than the rest: it takes long, and nothing else shall wait for it.
   */
  rates(recognizer: Recognizer): Promise<ExpectedRates<string>>;
  /** Of pictures as they are, in their order. The embeddings are gone afterwards. */
  pictures(trial: GalleryTrial): Promise<LeftOutGallery>;
  /** Tests a window of a line for drift; its frames' embeddings are gone afterwards. */
  drift(window: FullWindow): Promise<DriftReport>;
  /** Keeps a fitted decision in the thread, for `decide`; one at a time. */
  fit(trial: GalleryTrial): Promise<true>;
  /** A frame, raw, `[views, dim]`, by the decision that was fitted last. */
  decide(views: Embeddings): Promise<ShadowAnswer>;
  close(): Promise<void>;
}

/** Pictures that are left out, at most; of a larger gallery every n-th, so that each class keeps its share. */
const mostPictures = 1000;
/** Galleries whose last answers are kept, at most. */
const mostKept = 16;

/** At most `most` items, spread evenly over all. */
export function spread<T>(items: readonly T[], most: number): readonly T[] {
  if (items.length <= most) return items;
  return Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)]!);
}

/** @param lasting whether the thread stays although nothing is asked: what was fitted goes with it. Default no. */
export function createJudge({ lasting = false } = {}): Judge {
  const thread = createThread(lasting);
  const long = createThread(false);
  const judge: Judge = {
    pictures: (trial) => thread.ask({ kind: "leaveOut", trial }, [trial.support.embeddings.data.buffer]),
    // The reference is needed again: it is copied, and the window's frames are handed over.
    drift: (window) => thread.ask({ kind: "drift", window }, [window.current.embeddings.data.buffer]),
    gallery: byRevision(async ({ samples, decision, priors, encoder }) => {
      if (samples.length === 0) return new Map();
      const chosen = spread(samples, mostPictures);
      const support = toSupport(chosen, encoder.embeddingDim);
      const { leftOut } = await judge.pictures({ support, decision, priors });
      return new Map(chosen.map(({ id }, i) => [id, leftOut[i]!]));
    }),
    rates: byRevision(({ samples, decision, priors, encoder }) => {
      const support = toSupport(samples, encoder.embeddingDim);
      return long.ask({ kind: "rates", trial: { support, decision, priors } }, [
        support.embeddings.data.buffer,
      ]);
    }),
    tune: (tuning) => thread.ask({ kind: "tune", tuning }),
    try: (trial) => thread.ask({ kind: "try", trial }),
    fit: (trial) => thread.ask({ kind: "fit", trial }),
    decide: (views) => thread.ask({ kind: "decide", views }),
    close: async () => void (await Promise.all([thread.close(), long.close()])),
  };
  return judge;
}

/** Asked once a revision; the last answers of some galleries are kept, and none that failed. */
function byRevision<T>(make: (recognizer: Recognizer) => Promise<T>): (recognizer: Recognizer) => Promise<T> {
  const kept = new Map<string, { readonly hash: string; readonly answer: Promise<T> }>();
  return (recognizer) => {
    const { gallery, revision } = recognizer;
    const known = kept.get(gallery);
    if (known?.hash === revision.hash) return known.answer;
    const answer = make(recognizer);
    kept.delete(gallery);
    kept.set(gallery, { hash: revision.hash, answer });
    answer.catch(() => kept.get(gallery)?.answer === answer && kept.delete(gallery));
    const [oldest] = kept.keys();
    if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
    return answer;
  };
}
