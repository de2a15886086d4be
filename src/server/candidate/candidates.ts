import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { isProtolineError, ProtolineError, quote } from "../../core/index.ts";
import type { ImageLimits } from "../../data/index.ts";
import type { DecisionSpec } from "../../fewshot/index.ts";
import type { Encoder } from "../../models/types.ts";
import {
  type Candidate,
  type Comparison,
  type EncoderLease,
  makeCandidate,
  type Phase,
  promoteCandidate,
  type Recognizer,
  type Seen,
  toSupport,
  type Wanted,
} from "../../recognizer/index.ts";
import { embeddingFor } from "../../serving/index.ts";
import type { Change, GalleryStore, RevisionInfo } from "../../store/store.ts";
import type { Galleries, Watcher } from "../galleries.ts";
import { createJudge, type Judge, type ShadowAnswer } from "../judge/index.ts";
import type { LearningOptions, Models } from "../models.ts";
import { createShadow, type Shadow, type ShadowState } from "./shadow.ts";

export interface CandidateState {
  readonly id: string;
  readonly who: string;
  /** When it was asked for, milliseconds since 1970. */
  readonly since: number;
  readonly model: string;
  /** `shadow`: it is ready, and answers live frames beside the gallery. */
  readonly phase: "opening" | "training" | Phase | "shadow" | "promoting" | "failed";
  /** Steps of the training or pictures that are embedded, while that goes on. */
  readonly progress: { readonly done: number; readonly of: number } | null;
  /** Of the training, the mean of its last steps; `null` without one. */
  readonly loss: number | null;
  /** What its encoder was trained on; `null` where it was not, or is not yet. */
  readonly learned: Learned | null;
  /** Why it failed. */
  readonly error: ProtolineError | null;
  /** From here on `null` until it is ready. Revision that it was made from. */
  readonly revision: number | null;
  readonly decision: DecisionSpec | null;
  /** What was chosen and why; `null` where nothing was to be chosen. */
  readonly summary: string | null;
  readonly comparison: Comparison | null;
  readonly shadow: ShadowState | null;
}

export interface Asked extends Wanted {
  /** One of the models of this server. Default: the gallery's own. */
  readonly model?: string;
  /** The gallery's own encoder is to be trained further on its pictures. */
  readonly encoder?: { readonly steps?: number; readonly seed?: number };
}

/** What a candidate's encoder was trained on. */
export interface Learned {
  readonly steps: number;
  readonly seed: number;
  /** Pictures of the gallery that it was trained on, and those that were kept back to compare by. */
  readonly pictures: number;
  readonly keptBack: number;
}

/** Candidates beside galleries, one for each at most: made, held against the gallery, tried on live frames, promoted. */
export interface Candidates extends Watcher {
  /** Whether encoders are trained here. */
  readonly learns: boolean;
  /** @throws GALLERY_NOT_FOUND, GALLERY_EMPTY, CANDIDATE_EXISTS, MODEL_NOT_FOUND, OVERLOADED. */
  start(gallery: string, asked: Asked, who: string): Promise<CandidateState>;
  /** @throws CANDIDATE_NOT_FOUND. */
  state(gallery: string): CandidateState;
  /** All that there are, by gallery. */
  all(): readonly (readonly [gallery: string, CandidateState])[];
  /** The candidate becomes the gallery's next revision and is gone. @throws CANDIDATE_NOT_FOUND, CANDIDATE_NOT_READY. */
  promote(gallery: string, change: Change): Promise<RevisionInfo>;
  /** @throws CANDIDATE_NOT_FOUND, CANDIDATE_NOT_READY while it is promoted. */
  stop(gallery: string): Promise<void>;
  /** Resolves when none is being made and no frame is under way. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export interface CandidatesOptions {
  readonly store: GalleryStore;
  readonly galleries: Galleries;
  readonly models: Models;
  readonly imageLimits: Partial<ImageLimits>;
  /** Default: encoders are not trained. */
  readonly learning?: LearningOptions;
  /** Samples that a gallery gains until a candidate is made by itself. Default: none is. */
  readonly learnAfter?: number;
  readonly onFrame?: (gallery: string, outcome: "same" | "different" | "skipped" | "failed") => void;
  readonly onError: (error: unknown) => void;
}

interface Running {
  state: CandidateState;
  readonly ends: AbortController;
  readonly judge: Judge;
  lease: EncoderLease | null;
  candidate: Candidate | null;
  shadow: Shadow | null;
  /** The bundle that was made for it alone, which goes with it unless it is promoted. */
  bundle: string | null;
  /** Until it is ready or has failed. */
  making: Promise<void>;
}

/** Candidates that a server holds at a time: each has a thread of its own, and a model perhaps. */
const mostCandidates = 4;

export function createCandidates(options: CandidatesOptions): Candidates {
  const { store, galleries, models, imageLimits, learning, learnAfter, onFrame, onError } = options;
  const all = new Map<string, Running>();
  /** Samples of a gallery when it was last learnt from, and the revision that was looked at last. */
  const learnt = new Map<string, { samples: number; revision: number }>();

  const find = (gallery: string): Running => {
    const running = all.get(gallery);
    if (running) return running;
    throw new ProtolineError("CANDIDATE_NOT_FOUND", {
      expected: `a candidate beside gallery ${quote(gallery)}`,
      got: "none",
      todo: `Start one with POST /v1/galleries/${gallery}/candidate.`,
    });
  };
  const end = async (gallery: string, running: Running): Promise<void> => {
    if (all.get(gallery) === running) all.delete(gallery);
    running.ends.abort(new Error("the candidate was given up"));
    await running.making;
    await running.judge.close();
    await running.shadow?.settled();
    running.lease?.release();
    if (running.bundle !== null) await rm(running.bundle, { recursive: true, force: true });
  };

  /** Trains the gallery's encoder further, and opens what came of it. */
  async function learn(
    gallery: string,
    running: Running,
    encoder: Encoder,
    asked: NonNullable<Asked["encoder"]>,
    set: (state: Partial<CandidateState>) => void,
  ): Promise<EncoderLease> {
    // What trains is loaded by those servers alone that are asked to.
    const { defaultSteps, learnEncoder } = await import("../../learning/index.ts");
    const { steps = defaultSteps, seed = 1 } = asked;
    const { folder, sources, modelOf = (name: string) => name } = learning!;
    const { name } = encoder.manifest;
    set({ phase: "training", progress: { done: 0, of: steps } });
    const made = await learnEncoder({
      ...{ store, gallery, encoder, model: modelOf(name), sources, folder, steps, seed },
      signal: running.ends.signal,
      onProgress: ({ done, of, loss }) => set({ progress: { done, of }, loss }),
    });
    if (made.made) running.bundle = made.path;
    const { pictures, keptBack, modelHash } = made;
    set({ phase: "opening", progress: null, model: made.name, learned: { steps, seed, pictures, keptBack } });
    return present(await models.of({ model: made.name, modelHash }));
  }

  async function make(
    gallery: string,
    running: Running,
    recognizer: Recognizer,
    asked: Asked,
  ): Promise<void> {
    const { judge, ends } = running;
    const set = (state: Partial<CandidateState>): void => {
      running.state = { ...running.state, ...state };
    };
    try {
      const { model, encoder, ...wanted } = asked;
      const own = recognizer.encoder;
      running.lease = encoder
        ? await learn(gallery, running, own, encoder, set)
        : model === undefined || model === own.manifest.name
          ? present(await models.of({ model: own.manifest.name, modelHash: own.modelHash }))
          : await models.named(model);
      // What it embeds gives way to frames.
      const candidate = await embeddingFor({ priority: "bulk", signal: ends.signal, waited: 0 }, () =>
        makeCandidate({
          ...{ store, gallery, wanted, solver: judge, signal: ends.signal },
          current: recognizer.encoder,
          encoder: running.lease!.encoder,
          // Once it is ready it embeds what the gallery gains, and is ready all the same.
          onProgress: (phase, done, of) =>
            running.candidate ?? set({ phase, progress: of > 0 ? { done, of } : null }),
        }),
      );
      running.candidate = candidate;
      running.shadow = createShadow({
        answer: shadowOf(running, candidate, recognizer, imageLimits),
        onFrame: (outcome) => onFrame?.(gallery, outcome),
      });
      set({
        ...{ phase: "shadow", progress: null, decision: candidate.decision },
        ...{ revision: candidate.revision.number, comparison: candidate.comparison },
        summary: candidate.tuned?.summary ?? null,
      });
    } catch (error) {
      if (ends.signal.aborted) return;
      if (!isProtolineError(error)) onError(error);
      set({ phase: "failed", progress: null, error: coded(error) });
    }
  }

  const candidates: Candidates = {
    learns: learning !== undefined,
    async start(gallery, asked, who) {
      const recognizer = await galleries.recognizer(gallery);
      if (recognizer.samples.length === 0)
        throw new ProtolineError("GALLERY_EMPTY", {
          expected: `pictures in gallery ${quote(gallery)}`,
          got: "none",
          todo: "Enroll some first.",
        });
      const own = recognizer.encoder.manifest.name;
      const model = asked.model ?? own;
      // Of a name that there is not, this tells which there are.
      if (model !== own && !models.names.includes(model)) await models.named(model);
      if (asked.encoder) checkLearning(asked, learning);
      const before = all.get(gallery);
      if (before && before.state.phase !== "failed")
        throw new ProtolineError("CANDIDATE_EXISTS", {
          expected: `no candidate beside gallery ${quote(gallery)}`,
          got: `one of ${before.state.who}, ${before.state.phase}`,
          todo: "Promote it or give it up first.",
        });
      if (before) await end(gallery, before);
      if (all.size >= mostCandidates)
        throw new ProtolineError("OVERLOADED", {
          expected: `at most ${mostCandidates} candidates at a time`,
          got: "one more",
          todo: "Promote or give up another first.",
        });
      if (asked.encoder && [...all.values()].some(({ state: { phase } }) => phase === "training"))
        throw new ProtolineError("OVERLOADED", {
          expected: "one encoder that is trained at a time",
          got: "one more",
          todo: "Wait until the other is trained.",
        });
      const state: CandidateState = {
        ...{ id: randomUUID(), who, since: Date.now(), model, error: null },
        ...{ phase: asked.encoder ? "training" : "opening", progress: null, loss: null, learned: null },
        ...{ revision: null, decision: null, summary: null, comparison: null, shadow: null },
      };
      const running: Running = {
        ...{ state, ends: new AbortController(), judge: createJudge({ lasting: true }) },
        ...{ lease: null, candidate: null, shadow: null, bundle: null, making: Promise.resolve() },
      };
      all.set(gallery, running);
      learnt.set(gallery, { samples: recognizer.samples.length, revision: recognizer.revision.number });
      running.making = make(gallery, running, recognizer, asked);
      return state;
    },
    state(gallery) {
      const { state, shadow } = find(gallery);
      return { ...state, shadow: shadow?.state() ?? null };
    },
    all: () => [...all].map(([gallery, { state }]) => [gallery, state]),
    async promote(gallery, change) {
      const running = find(gallery);
      const { candidate, state } = running;
      if (!candidate || state.phase !== "shadow")
        throw new ProtolineError("CANDIDATE_NOT_READY", {
          expected: "a candidate that is ready",
          got: `one that is ${state.phase}`,
          todo: "Wait until its phase is shadow, and look at the comparison.",
        });
      running.state = { ...state, phase: "promoting" };
      try {
        const reason = change.reason ?? `promote a candidate: ${state.summary ?? `model ${state.model}`}`;
        const revision = await promoteCandidate(store, gallery, candidate, { ...change, reason });
        running.bundle = null;
        // The candidate's encoder is open until the gallery answers by it.
        await galleries.changed(gallery);
        await end(gallery, running);
        return revision;
      } catch (error) {
        running.state = state;
        throw error;
      }
    },
    async stop(gallery) {
      const running = find(gallery);
      if (running.state.phase === "promoting")
        throw new ProtolineError("CANDIDATE_NOT_READY", {
          expected: "a candidate that is not being promoted",
          got: "one that is",
          todo: "Wait for it, and roll back.",
        });
      await end(gallery, running);
    },
    seen(gallery, seen) {
      all.get(gallery)?.shadow?.offer(seen);
      if (learnAfter !== undefined) void learnFrom(gallery, seen.answer.revision, learnAfter).catch(onError);
    },
    forget(gallery) {
      learnt.delete(gallery);
      const running = all.get(gallery);
      if (running) void end(gallery, running).catch(onError);
    },
    settled: async () => {
      await Promise.all([...all.values()].map(({ making }) => making));
      await Promise.all([...all.values()].map(({ shadow }) => shadow?.settled()));
    },
    close: async () => {
      await Promise.all([...all].map(([gallery, running]) => end(gallery, running)));
    },
  };

  async function learnFrom(gallery: string, revision: number, after: number): Promise<void> {
    const last = learnt.get(gallery);
    if (last?.revision === revision) return;
    const { samples } = await galleries.recognizer(gallery);
    learnt.set(gallery, { samples: last?.samples ?? samples.length, revision });
    if (!last || samples.length - last.samples < after || all.has(gallery)) return;
    await candidates.start(gallery, {}, "protoline");
  }
  return candidates;
}

/** @throws INVALID_ARGUMENT where encoders are not trained, or not this one. */
function checkLearning({ model }: Asked, learning: LearningOptions | undefined): void {
  if (learning && model === undefined) return;
  throw new ProtolineError("INVALID_ARGUMENT", {
    expected: learning
      ? "the gallery's own model, whose encoder is trained"
      : "a server that trains encoders",
    got: learning ? "another model" : "one without a folder for learned models",
    todo: learning
      ? "Leave out model; promote a candidate of that model first to train it."
      : "Start the server with the option learning.",
  });
}

/** @throws MODEL_NOT_FOUND where the file of a model is gone that was there a moment ago. */
function present(lease: EncoderLease | null): EncoderLease {
  if (lease) return lease;
  throw new ProtolineError("MODEL_NOT_FOUND", {
    expected: "the candidate's model in the folder of learned models",
    got: "none of its hash",
    todo: "Do not remove models while candidates are made, and start another.",
  });
}

/** The candidate's answer to a frame, once it knows the classes of the revision that answered it. */
function shadowOf(
  { judge, ends }: Running,
  { encoder, priors, decision, samples, see }: Candidate,
  recognizer: Recognizer,
  limits: Partial<ImageLimits>,
): (seen: Seen) => Promise<ShadowAnswer | null> {
  let fitted: number | null = null;
  const views = JSON.stringify(decision.views.query);
  return ({ answer, image, region, raw }) =>
    embeddingFor({ priority: "bulk", signal: ends.signal, waited: 0 }, async () => {
      if (fitted !== answer.revision) {
        if (recognizer.revision.number !== answer.revision) return null;
        const own = recognizer.samples;
        const support = toSupport(await samples(own), encoder.embeddingDim);
        await judge.fit({ support, decision, priors });
        fitted = answer.revision;
      }
      const alike =
        recognizer.encoder.modelHash === encoder.modelHash &&
        JSON.stringify(recognizer.decision.views.query) === views;
      const rows = alike ? raw : await see(image as Uint8Array, region, limits);
      return judge.decide(rows);
    });
}

/** An error without a code is a fault of Protoline's own. */
const coded = (error: unknown): ProtolineError =>
  isProtolineError(error)
    ? error
    : new ProtolineError("INTERNAL", {
        expected: "a candidate that can be made",
        got: error instanceof Error ? error.message : String(error),
        todo: "Try again; the log tells more.",
        cause: error,
      });
