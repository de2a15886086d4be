import { parentPort } from "node:worker_threads";
import { createRng, type Embeddings, isProtolineError, type ProtolineError } from "../../core/index.ts";
import { type ExpectedRates, expectedRates, type FittedDecision, fitDecision } from "../../fewshot/index.ts";
import { type DriftReport, detectDrift, type FullWindow } from "../../monitor/index.ts";
import {
  type Trial as DecisionTrial,
  type TrialAnswers,
  type Tuning,
  tryDecision,
  tuneDecision,
} from "../../recognizer/index.ts";
import { giveWay } from "../../serving/index.ts";
import { type GalleryTrial, type LeftOutGallery, leaveEachOut } from "./leave-out.ts";

/** What is asked of the thread, and what it answers. */
export type Task =
  | { readonly kind: "leaveOut"; readonly trial: GalleryTrial }
  | { readonly kind: "rates"; readonly trial: GalleryTrial }
  | { readonly kind: "drift"; readonly window: FullWindow }
  | { readonly kind: "tune"; readonly tuning: Tuning }
  | { readonly kind: "try"; readonly trial: DecisionTrial }
  /** The decision stays with the thread, for frames to be decided by. */
  | { readonly kind: "fit"; readonly trial: GalleryTrial }
  | { readonly kind: "decide"; readonly views: Embeddings };

/** What a frame is told by the decision that was fitted last. */
export interface ShadowAnswer {
  readonly kind: "known" | "ambiguous" | "unknown";
  /** The class that it comes nearest to. */
  readonly nearest: string;
  readonly confidence: number;
  readonly distance: number;
}
export type Answer<Kind extends Task["kind"]> = {
  readonly leaveOut: LeftOutGallery;
  readonly rates: ExpectedRates<string>;
  readonly drift: DriftReport;
  readonly tune: ReturnType<typeof tuneDecision>;
  readonly try: TrialAnswers;
  readonly fit: true;
  readonly decide: ShadowAnswer;
}[Kind];

export interface Question {
  readonly id: number;
  readonly task: Task;
}
export interface Reply {
  readonly id: number;
  readonly answer: Answer<Task["kind"]> | null;
  /** Why there is none. */
  readonly error: string | null;
  /** The same, where it has a code: a class does not survive the copy. */
  readonly coded: ReturnType<ProtolineError["toJSON"]> | null;
}

let fitted: FittedDecision<string> | null = null;

const solve = (task: Task): Answer<Task["kind"]> => {
  switch (task.kind) {
    case "leaveOut":
      return leaveEachOut(task.trial);
    case "rates": {
      const { support, decision, priors } = task.trial;
      return expectedRates(support, decision, priors, createRng(1));
    }
    case "drift": {
      const { reference, current, options } = task.window;
      return detectDrift(reference, current, options);
    }
    case "tune":
      return tuneDecision(task.tuning);
    case "try":
      return tryDecision(task.trial);
    case "fit": {
      const { support, decision, priors } = task.trial;
      fitted = fitDecision(support, decision, priors);
      return true;
    }
    case "decide":
      return decide(task.views);
  }
};

function decide(views: Embeddings): ShadowAnswer {
  if (!fitted) throw new Error("no decision was fitted");
  const { kind, candidates } = fitted.decide(views, { topK: 1 });
  const { label: nearest, confidence, distance } = candidates[0]!;
  return { kind, nearest, confidence, distance };
}

giveWay();
const port = parentPort!;
// All is loaded: from here on the thread may be ended.
port.postMessage("ready");
port.on("message", ({ id, task }: Question) => {
  try {
    port.postMessage({ id, answer: solve(task), error: null, coded: null } satisfies Reply);
  } catch (error) {
    const coded = isProtolineError(error) ? error.toJSON() : null;
    port.postMessage({ id, answer: null, error: String(error), coded } satisfies Reply);
  }
});
