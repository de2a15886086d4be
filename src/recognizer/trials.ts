import { createRng, type Embeddings, row } from "../core/index.ts";
import {
  type DecisionPriors,
  type DecisionSpec,
  fitDecision,
  type Support,
  type TuneReport,
  tune,
} from "../fewshot/index.ts";
import type { HeldOutAnswer } from "../monitor/index.ts";

/** A gallery as a decision is tried on it. Plain data: it may go to another thread. */
export interface Trial {
  readonly support: Support<string>;
  readonly decision: DecisionSpec;
  readonly priors: DecisionPriors;
  /** Pictures that the support does not hold, `[n, dim]`, and their classes, `[n]`. */
  readonly heldOut: { readonly embeddings: Embeddings; readonly labels: readonly string[] };
}

export interface TrialAnswers {
  /**
   * Of the support's own pictures, each left out in turn; of classes with another picture. Class by class; `picture` is its place
   * among those of its class.
   */
  readonly leftOut: readonly (HeldOutAnswer & { readonly picture: number })[];
  /** In the order of `heldOut`. */
  readonly heldOut: readonly HeldOutAnswer[];
}

/** What a decision says to the pictures of a gallery and to those that are kept from it. */
export function tryDecision({ support, decision, priors, heldOut }: Trial): TrialAnswers {
  const fitted = fitDecision(support, decision, priors);
  return {
    leftOut: fitted.leaveOneOut().map(({ label, picture, decided }) => ({
      truth: label,
      picture,
      kind: decided.kind,
      nearest: decided.candidates[0]!.label,
    })),
    heldOut: heldOut.labels.map((truth, i) => {
      const { kind, candidates } = fitted.decide(one(heldOut.embeddings, i), { topK: 1 });
      return { truth, kind, nearest: candidates[0]!.label };
    }),
  };
}

const one = (embeddings: Embeddings, i: number): Embeddings => ({
  data: row(embeddings, i),
  n: 1,
  dim: embeddings.dim,
});

/** What `tune` is to choose on. Plain data: it may go to another thread. */
export interface Tuning {
  readonly support: Support<string>;
  readonly current: DecisionSpec;
  readonly priors: DecisionPriors;
  readonly seed: number;
}

/** `fewshot/tune` with its views as they are. @throws TOO_FEW_SAMPLES. */
export const tuneDecision = ({
  support,
  current,
  priors,
  seed,
}: Tuning): { readonly chosen: DecisionSpec; readonly report: TuneReport } =>
  tune(support, { current }, priors, createRng(seed));
