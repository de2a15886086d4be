import { useCallback, useEffect, useRef, useState } from "react";
import type { RecognitionReply } from "../../src/server/protocol.ts";
import { ApiError, of } from "./api.ts";
import { useConsole } from "./context.ts";
import type { Given, Source } from "./sources.ts";

/** One frame and its answer. */
export interface Answered {
  readonly id: number;
  readonly url: string;
  readonly answer: RecognitionReply;
  /** Milliseconds from sending the frame to having the answer; `null` for one that was not asked about here. */
  readonly trip: number | null;
  /** Who sent it, where that was not this page. */
  readonly from: string | null;
  /** Serial number of the part, where it is known. */
  readonly part: string | null;
  /** Frames answered since the last one that are not shown. */
  readonly passed: number;
  /** The picture as it came. */
  whole(): Promise<File>;
}

/** No answer to this frame, but the next may have one: the server is away, busy or late. */
const passing = (error: unknown): boolean =>
  error instanceof ApiError && [0, 408, 429, 503, 504].includes(error.status);
/** Milliseconds before the next frame is tried after that. */
const breath = 1000;

/** Answers that are shown beside the newest. */
const recent = 12;

/** Answers from which the rate is taken. */
const rated = 10;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The rate of answers, those that are not shown among them. */
function createRate(): (at: number, answers: number) => number | null {
  const counted: { readonly at: number; readonly answers: number }[] = [];
  return (at, answers) => {
    counted.push({ at, answers });
    if (counted.length > rated) counted.shift();
    const [first, ...later] = counted;
    if (later.length === 0) return null;
    return (1000 * later.reduce((sum, one) => sum + one.answers, 0)) / (at - first!.at);
  };
}

/**
 * Asks for one frame at a time: the next is fetched from the source only when the last is answered, so nothing ever
 * queues up and the newest frame wins. Frames that are answered already are shown as they come.
 */
export function useLive(): {
  readonly answers: readonly Answered[];
  readonly running: boolean;
  readonly ended: boolean;
  readonly perSecond: number;
  /** Why the last frames had no answer; the next is tried nevertheless. */
  readonly trouble: unknown;
  start(source: Source): void;
  pause(): void;
  resume(): void;
} {
  const { api, gallery, fail } = useConsole();
  const [answers, setAnswers] = useState<readonly Answered[]>([]);
  const [running, setRunning] = useState(false);
  const [ended, setEnded] = useState(false);
  const [perSecond, setPerSecond] = useState(0);
  const [trouble, setTrouble] = useState<unknown>(null);
  const source = useRef<Source | null>(null);
  const round = useRef(0);
  const failed = useRef(fail);
  failed.current = fail;

  const stop = useCallback(() => {
    round.current++;
    source.current?.rest?.();
    setRunning(false);
  }, []);
  const answerTo = useCallback(
    async (frame: File | Given): Promise<Omit<Answered, "id">> => {
      if (!(frame instanceof File)) {
        const { file, answer, from, part, passed, whole } = frame;
        return { url: URL.createObjectURL(file), answer, trip: null, from, part, passed, whole };
      }
      const sent = performance.now();
      const answer = await api.send<RecognitionReply>("POST", of(gallery!, "recognize"), frame);
      const trip = performance.now() - sent;
      const url = URL.createObjectURL(frame);
      return { url, answer, trip, from: null, part: null, passed: 0, whole: async () => frame };
    },
    [api, gallery],
  );
  const run = useCallback(async () => {
    const mine = ++round.current;
    const current = source.current;
    if (!current || gallery === null) return;
    setRunning(true);
    setEnded(false);
    const rate = createRate();
    try {
      while (round.current === mine) {
        const began = performance.now();
        let answered: Omit<Answered, "id">;
        try {
          const frame = await current.next();
          if (round.current !== mine) return;
          if (!frame) {
            setEnded(true);
            break;
          }
          answered = await answerTo(frame);
        } catch (error) {
          if (round.current !== mine) return;
          if (!passing(error)) throw error;
          setTrouble(error);
          await wait(breath);
          continue;
        }
        const id = performance.now();
        if (round.current !== mine) return;
        setTrouble(null);
        setAnswers((before) => {
          for (const { url } of before.slice(recent)) URL.revokeObjectURL(url);
          return [{ id, ...answered }, ...before.slice(0, recent)];
        });
        const now = rate(id, 1 + answered.passed);
        if (now !== null) setPerSecond(now);
        const rest = current.pace - (performance.now() - began);
        if (rest > 0) await wait(rest);
      }
    } catch (error) {
      if (round.current === mine) failed.current(error);
    }
    if (round.current === mine) stop();
  }, [gallery, answerTo, stop]);

  useEffect(() => stop, [stop]);
  return {
    ...{ answers, running, ended, perSecond, trouble },
    start: (next) => {
      source.current?.rest?.();
      source.current = next;
      void run();
    },
    pause: stop,
    resume: () => void run(),
  };
}
