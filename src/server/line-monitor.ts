import { Gauge, type Registry } from "prom-client";
import type { Alerts } from "../alerts/index.ts";
import { createRng } from "../core/index.ts";
import {
  type ClassQuality,
  classQuality,
  createDriftWatch,
  type DriftWatch,
  driftText,
  type FullWindow,
  type WatchOptions,
  type WatchState,
} from "../monitor/index.ts";
import type { Recognizer, Seen } from "../recognizer/index.ts";
import type { Judge } from "./judge/index.ts";
import { createLinePictures, type LinePicture, type LinePictures } from "./line-pictures.ts";

export interface LineMonitorOptions {
  readonly judge: Judge;
  readonly recognizer: (gallery: string) => Promise<Recognizer>;
  readonly registry: Registry;
  /** See `createDriftWatch`. */
  readonly watch?: WatchOptions;
  /** Default none. */
  readonly alerts?: Alerts;
  readonly onError: (error: unknown) => void;
}

/** How a gallery's line stands; frames are counted from the first of the reference. */
export interface LineState extends WatchState {
  /** Revision whose answers are watched; `null` before the first frame. */
  readonly revision: number | null;
  /** When the reference began, milliseconds since 1970. */
  readonly since: number | null;
  readonly pictures: ChangePictures;
}

/** The line before and after: a few pictures of each answer. */
export interface ChangePictures {
  /** Of the reference; none while it is learnt. */
  readonly reference: readonly LinePicture[];
  /** Of the last window that alarmed; `null` while none has. */
  readonly alarmed: { readonly frame: number; readonly pictures: readonly LinePicture[] } | null;
}

/** Watches the answers of every gallery for drift, and the quality of its classes after each change. */
export interface LineMonitor {
  /** Takes an answer; comes back at once. */
  seen(gallery: string, seen: Seen): void;
  state(gallery: string): LineState;
  /** The next frames become the reference: the line is well as it is now. */
  restart(gallery: string): void;
  /** The gallery is gone. */
  forget(gallery: string): void;
  /** Resolves when every window that is full has been judged. */
  settled(): Promise<void>;
  /** Nothing is watched from then on; what is open stays open. */
  close(): Promise<void>;
}

interface Line {
  /** `null`: the next frame says. */
  revision: number | null;
  since: number;
  watch: DriftWatch;
  quality: readonly ClassQuality[];
  /** Of the reference or the window that fills. */
  filling: LinePictures;
  pictures: ChangePictures;
}

const noPictures: ChangePictures = { reference: [], alarmed: null };

/**
 * A new revision begins a new reference: distances and answers of two revisions are not compared. The tests and the
 * leaving out run in the judge's thread.
 */
export function createLineMonitor({
  judge,
  recognizer,
  registry,
  watch: options,
  alerts,
  onError,
}: LineMonitorOptions): LineMonitor {
  const lines = new Map<string, Line>();
  const working = new Set<Promise<void>>();
  /** Galleries whose classes are being judged. */
  const judging = new Set<string>();
  let closed = false;

  const inBackground = (work: Promise<void>): void => {
    const done = work.catch((error: unknown) => {
      if (!closed) onError(error);
    });
    working.add(done);
    done.finally(() => working.delete(done));
  };

  async function judgeWindow(
    gallery: string,
    line: Line,
    full: FullWindow,
    pictures: readonly LinePicture[],
  ): Promise<void> {
    const report = await judge.drift(full);
    // A reference that began meanwhile has nothing to do with this window.
    if (lines.get(gallery) !== line || closed) return;
    line.watch.judged(full, report, Date.now());
    if (report.alarm) line.pictures = { ...line.pictures, alarmed: { frame: full.frame, pictures } };
    const text = driftText(report);
    if (text !== null) alerts?.set(gallery, "drift", text);
    else if (!line.watch.state().alarm) alerts?.set(gallery, "drift", null);
  }

  async function judgeClasses(gallery: string): Promise<void> {
    if (judging.has(gallery)) return;
    judging.add(gallery);
    try {
      for (let judged: string | null = null; ; ) {
        const opened = await recognizer(gallery);
        const { revision } = opened;
        if (revision.hash === judged) return;
        const classes = await qualityOf(opened, judge);
        judged = revision.hash;
        const line = lines.get(gallery);
        if (!line || closed) return;
        line.quality = classes;
        alerts?.set(gallery, "quality", qualityText(classes));
      }
    } finally {
      judging.delete(gallery);
    }
  }

  const begin = (gallery: string, revision: number | null): Line => {
    const line: Line = {
      ...{ revision, since: Date.now(), watch: createDriftWatch(options) },
      quality: lines.get(gallery)?.quality ?? [],
      filling: createLinePictures(createRng(options?.seed ?? 1)),
      pictures: noPictures,
    };
    lines.set(gallery, line);
    alerts?.set(gallery, "drift", null);
    return line;
  };

  const monitor: LineMonitor = {
    seen(gallery, { image, region, answer, embedding }) {
      if (closed) return;
      let line = lines.get(gallery);
      if (!line || (line.revision !== null && line.revision !== answer.revision)) {
        line = begin(gallery, answer.revision);
        inBackground(judgeClasses(gallery));
      }
      line.revision = answer.revision;
      const label = answer.kind === "unknown" ? null : answer.candidates[0]!.label;
      const { distance, confidence } = answer;
      // Pictures come as bytes over the network; a path would be the server's own.
      if (typeof image !== "string") line.filling.offer({ label, distance, region, bytes: image });
      const learning = line.watch.state().phase === "learning";
      const full = line.watch.observe({ embedding, distance, confidence, label });
      if (full) inBackground(judgeWindow(gallery, line, full, line.filling.take()));
      else if (learning && line.watch.state().phase === "watching")
        line.pictures = { ...line.pictures, reference: line.filling.take() };
    },
    state(gallery) {
      const line = lines.get(gallery);
      const watch = line?.watch ?? createDriftWatch(options);
      return {
        ...watch.state(),
        revision: line?.revision ?? null,
        since: line?.since ?? null,
        pictures: line?.pictures ?? noPictures,
      };
    },
    restart: (gallery) => void begin(gallery, null),
    forget(gallery) {
      if (closed) return;
      lines.delete(gallery);
      alerts?.forget(gallery);
    },
    settled: async () => {
      while (working.size > 0) await Promise.all(working);
    },
    close: async () => {
      closed = true;
      await alerts?.close();
    },
  };
  publish(registry, lines);
  return monitor;
}

/** The quality of each class of the revision that the recognizer answers from. */
export async function qualityOf(recognizer: Recognizer, judge: Judge): Promise<readonly ClassQuality[]> {
  const { samples } = recognizer;
  // In another thread: the line goes on meanwhile.
  const answers = await judge.gallery(recognizer);
  const pictures = new Map<string, number>();
  for (const { label } of samples) pictures.set(label, (pictures.get(label) ?? 0) + 1);
  const leftOut = samples.flatMap(({ id, label, origin }) => {
    const answer = answers.get(id);
    return answer ? [{ label, origin, ...answer }] : [];
  });
  return classQuality(leftOut, pictures);
}

function qualityText(classes: readonly ClassQuality[]): string | null {
  const bad = classes.filter(({ verdict }) => verdict === "bad");
  if (bad.length === 0) return null;
  const [worst] = bad;
  return `${bad.length} of ${classes.length} classes are bad. "${worst!.label}": ${worst!.todo}`;
}

function publish(registry: Registry, lines: ReadonlyMap<string, Line>): void {
  const registers = [registry];
  new Gauge({
    name: "protoline_unknown_rate",
    help: "Share of unknown among the last frames, a window of the drift monitor at most.",
    labelNames: ["gallery"],
    registers,
    collect() {
      this.reset();
      for (const [gallery, { watch }] of lines) {
        const { unknownRate } = watch.state();
        if (unknownRate !== null) this.set({ gallery }, unknownRate);
      }
    },
  });
  new Gauge({
    name: "protoline_drift_statistic",
    help: "Of the last window, by test; of classMean the class that moved most.",
    labelNames: ["gallery", "test"],
    registers,
    collect() {
      this.reset();
      for (const [gallery, { watch }] of lines) {
        const largest = new Map<string, number>();
        for (const { test, statistic } of watch.state().judged.at(-1)?.findings ?? [])
          largest.set(test, Math.max(largest.get(test) ?? Number.NEGATIVE_INFINITY, statistic));
        for (const [test, value] of largest) this.set({ gallery, test }, value);
      }
    },
  });
  new Gauge({
    name: "protoline_drift_alarm",
    help: "1 while the line has drifted from its reference, else 0.",
    labelNames: ["gallery"],
    registers,
    collect() {
      this.reset();
      for (const [gallery, { watch }] of lines) this.set({ gallery }, watch.state().alarm ? 1 : 0);
    },
  });
  new Gauge({
    name: "protoline_classes",
    help: "Classes by the verdict on them when their pictures are left out.",
    labelNames: ["gallery", "verdict"],
    registers,
    collect() {
      this.reset();
      for (const [gallery, { quality }] of lines)
        for (const verdict of ["good", "watch", "bad"] as const)
          this.set({ gallery, verdict }, quality.filter((one) => one.verdict === verdict).length);
    },
  });
}
