import { isProtolineError, ProtolineError } from "../core/index.ts";
import type { Recognition } from "../recognizer/index.ts";
import type { LineConfig } from "./config.ts";
import { createOutlet } from "./outlet.ts";
import { createSink } from "./sinks/index.ts";
import { createSource } from "./sources/index.ts";
import type { Frame, FrameFacts, LineResult, Sink, Source } from "./types.ts";

export interface LineOptions {
  readonly config: LineConfig;
  /**
   * Answers a frame; a recognizer of the line's gallery does. What it rejects with is the frame's result, but for the reason
   * of `signal`: then the frame is not handled, and its source keeps it.
   */
  readonly recognize: (image: Uint8Array, facts: FrameFacts) => Promise<Recognition>;
  /** Model and gallery, also for a frame that could not be answered. */
  readonly lineage: () => LineResult["lineage"];
  /** Ends the line: its sources stop, and what they gave is handled. */
  readonly signal: AbortSignal;
  /** Where secrets and tokens are found by name. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Faults that the line overcomes by itself, and what became of them. */
  readonly report: (event: string) => void;
  readonly onResult?: (result: LineResult) => void;
  /** Instead of those of the config. */
  readonly sources?: readonly Source[];
  readonly sinks?: readonly Sink[];
}

export interface LineReport {
  readonly frames: number;
  readonly known: number;
  readonly unknown: number;
  readonly ambiguous: number;
  /** Pictures that could not be answered. */
  readonly errors: number;
  /** Frames that came again and were not answered twice. */
  readonly repeated: number;
  /** Results that a sink did not get. */
  readonly dead: number;
}

/** Identities that are remembered; what comes again after so many others is answered again. */
const remembered = 10_000;

/**
 * Runs a line until `signal`: frames are answered one by one in the order of their arrival, and each result goes to every
 * sink at least once. A source learns that a frame is handled, and forgets it, only after that; so a line that is killed
 * loses nothing, and may repeat a result under the same id.
 *
 * @throws LINE_INVALID for what can never work, such as a port that is taken.
 */
export async function runLine(options: LineOptions): Promise<LineReport> {
  const { config, env, signal, report, recognize, lineage, onResult } = options;
  const sources = options.sources ?? config.sources.map((spec) => createSource(spec, env));
  const sinks = options.sinks ?? config.sinks.map((spec) => createSink(spec, env));
  const outlets = sinks.map((sink) => createOutlet(sink, { ...config, report }));
  const counts = { frames: 0, known: 0, unknown: 0, ambiguous: 0, errors: 0, repeated: 0, dead: 0 };
  const answered = new Map<string, Promise<LineResult>>();
  const waiting: (() => void)[] = [];
  let inLine = 0;
  let turn: Promise<unknown> = Promise.resolve();

  const answer = async (frame: Frame): Promise<Pick<LineResult, "answer" | "lineage">> => {
    try {
      const said = await recognize(frame.bytes, frame);
      const { kind, candidates, confidence, distance, limit, revision, ...rest } = said;
      counts[kind]++;
      return {
        answer: {
          kind,
          label: "label" in rest ? rest.label : null,
          confidence,
          distance,
          threshold: limit.threshold,
          candidates: candidates.map(({ label, distance: away, threshold }) => ({
            label,
            distance: away,
            threshold,
          })),
        },
        // Of the revision that answered: by now there may be a newer one.
        lineage: { ...lineage(), revision },
      };
    } catch (error) {
      if (signal.aborted && error === signal.reason) throw error;
      counts.errors++;
      if (!isProtolineError(error)) report(`${frame.origin}: ${(error as Error).message}`);
      const { code, message } = isProtolineError(error)
        ? error
        : new ProtolineError("INTERNAL", {
            expected: "an answer",
            got: "a fault",
            todo: "Look into the log.",
          });
      return { answer: { kind: "error", code, message }, lineage: lineage() };
    }
  };

  const handle = async (frame: Frame): Promise<LineResult> => {
    const arrived = performance.now();
    const answering = turn.then(() => answer(frame));
    turn = answering.catch(() => undefined);
    const said = await answering;
    const { id, origin, part } = frame;
    const { name: line, station } = config;
    const [batch, shift] = [frame.batch ?? config.batch, frame.shift ?? config.shift];
    const result: LineResult = {
      id,
      line,
      ...(station !== undefined && { station }),
      ...(part !== undefined && { part }),
      ...(batch !== undefined && { batch }),
      ...(shift !== undefined && { shift }),
      time: new Date(frame.time).toISOString(),
      origin,
      ...said,
      ms: Math.round(10 * (performance.now() - arrived)) / 10,
    };
    onResult?.(result);
    for (const fate of await Promise.all(outlets.map((outlet) => outlet.deliver(result))))
      if (fate === "dead") counts.dead++;
    return result;
  };

  const room = (): boolean => inLine < config.buffer;
  const accept = async (frame: Frame): Promise<{ readonly handled: Promise<LineResult> }> => {
    const before = answered.get(frame.id);
    if (before) {
      counts.repeated++;
      return { handled: before };
    }
    while (!room()) await new Promise<void>((resolve) => waiting.push(resolve));
    inLine++;
    counts.frames++;
    const handled = handle(frame).finally(() => {
      inLine--;
      waiting.shift()?.();
    });
    answered.set(frame.id, handled);
    if (answered.size > remembered) answered.delete(answered.keys().next().value!);
    return { handled };
  };

  // One source that can never work ends the line; the others hear of it by the signal.
  const broken = new AbortController();
  const stop = AbortSignal.any([signal, broken.signal]);
  const ended = await Promise.allSettled(
    sources.map((source) =>
      source.run({ signal: stop, accept, room, report }).catch((error: unknown) => {
        broken.abort();
        throw error;
      }),
    ),
  );
  await Promise.allSettled(answered.values());
  for (const outlet of outlets) await outlet.close();
  for (const end of ended) if (end.status === "rejected") throw end.reason;
  return counts;
}

/** What each source and sink of the line found, or the error that says what is wrong; nothing is changed. */
export async function checkLine(
  config: LineConfig,
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly { readonly name: string; readonly found: string | Error }[]> {
  const parts = [
    ...config.sources.map((spec) => createSource(spec, env)),
    ...config.sinks.map((spec) => createSink(spec, env)),
  ];
  return Promise.all(
    parts.map(async (part) => ({
      name: part.name,
      found: await part
        .check()
        .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error)))),
    })),
  );
}
