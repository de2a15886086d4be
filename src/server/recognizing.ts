import { isProtolineError, ProtolineError } from "../core/index.ts";
import type { Recognition, RecognizeOptions } from "../recognizer/types.ts";
import { type Admission, type Arrival, type EmbedRequest, embeddingFor } from "../serving/index.ts";
import type { Galleries } from "./galleries.ts";
import type { ServerLimits } from "./limits.ts";
import type { Metrics, Timed } from "./metrics.ts";
import type { Tray } from "./tray/index.ts";
import type { AnsweredFrame, Watching } from "./watching.ts";

export interface Asked extends Pick<AnsweredFrame, "from" | "part"> {
  readonly options: RecognizeOptions;
  /** Milliseconds until an answer is of no use, at most `limits.recognizeMs`, which is the default. */
  readonly withinMs?: number | undefined;
  /** The place of one image that was held while its bytes came. */
  readonly arrival?: Arrival | undefined;
  /** Takes what ends the work when nobody waits for it any more. */
  readonly onGone: (end: (got: string) => void) => void;
}

/** Recognition for whoever sends pictures: let in, in time, counted, offered to the tray, and shown to who watches. */
export interface Recognizing {
  /**
   * Answers in the order of `images`, with what is wrong with an image in its place.
   *
   * @throws OVERLOADED, TIMED_OUT, GALLERY_NOT_FOUND, GALLERY_EMPTY, MODEL_MISMATCH and errors of the store.
   */
  recognize(
    gallery: string,
    images: readonly Uint8Array[],
    asked: Asked,
  ): Promise<readonly (Timed | ProtolineError)[]>;
}

export interface RecognizingParts {
  readonly galleries: Galleries;
  readonly metrics: Metrics;
  readonly limits: ServerLimits;
  readonly tray: Tray;
  readonly watching: Watching;
  readonly admission: Admission | undefined;
}

const timedOut = (ms: number, got: string): ProtolineError =>
  new ProtolineError("TIMED_OUT", {
    expected: `an answer within ${ms} ms`,
    got,
    todo: "Try again in a moment, with fewer images at a time.",
  });

/**
 * Resolves as `work` does, or rejects with TIMED_OUT; what of the work is under way goes on, as an embedding cannot be
 * stopped, and `onLate` is told, for what is not.
 */
export async function within<T>(
  ms: number,
  work: Promise<T>,
  onLate?: (error: ProtolineError) => void,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = timedOut(ms, "none yet");
      reject(error);
      onLate?.(error);
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function createRecognizing({
  galleries,
  metrics,
  limits,
  tray,
  watching,
  admission,
}: RecognizingParts): Recognizing {
  const rejected = (error: unknown): ProtolineError => {
    if (!isProtolineError(error)) throw error;
    metrics.rejected(error.code);
    return error;
  };
  let running = 0;
  const answered = (answer: Recognition, queue: number): Timed => {
    const timed = { ...answer, ms: { ...answer.ms, queue, total: answer.ms.total + queue } };
    metrics.recognized(timed);
    return timed;
  };
  /** One frame is let in if it can be answered in time; several at a time have all the time of the request. */
  const enter = (arrival: Arrival | undefined, frame: boolean): (() => void) => {
    try {
      if (running >= limits.recognitions)
        throw new ProtolineError("OVERLOADED", {
          expected: `at most ${limits.recognitions} recognitions at a time`,
          got: "one more",
          todo: "Try again in a moment, or send the next frame instead.",
        });
      const leave = frame ? (arrival ?? admission)?.enter() : undefined;
      running++;
      return () => {
        running--;
        leave?.();
      };
    } catch (error) {
      throw rejected(error);
    }
  };

  return {
    async recognize(gallery, images, { options, withinMs, arrival, onGone, from, part }) {
      const recognizer = await galleries.recognizer(gallery);
      const leave = enter(arrival, images.length === 1);
      const ms = Math.min(withinMs ?? limits.recognizeMs, limits.recognizeMs);
      const gone = new AbortController();
      onGone((got) => gone.abort(timedOut(ms, got)));
      const embedding: EmbedRequest = {
        priority: images.length === 1 ? "frame" : "bulk",
        signal: gone.signal,
        waited: 0,
      };
      const work = embeddingFor(embedding, () => recognizer.recognizeBatch(images, options));
      // Also when the answer comes too late: until then the machine is busy with it.
      work.then(leave, leave);
      const answers = await within(ms, work, (error) => gone.abort(error));
      const queue = embedding.waited / Math.max(1, images.length);
      const { region } = options;
      return answers.map((answer, i) => {
        if (answer instanceof Error) return rejected(answer);
        const frame = { bytes: images[i]!, ...(region && { region }) };
        tray.offer(gallery, { ...frame, answer });
        const timed = answered(answer, queue);
        watching.offer(gallery, { ...frame, answer: timed, from, part });
        return timed;
      });
    },
  };
}
