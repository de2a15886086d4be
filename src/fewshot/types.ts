import type { Embeddings, Steps } from "../core/index.ts";

/** The vocabulary of the decision. Everything here is plain data: it travels in bundles, stores and replies. */

/** Lower is nearer. Cosine is 1 − cos, in 0 … 2. */
export type Metric = "squaredEuclidean" | "euclidean" | "cosine" | "mahalanobis";

/** What is done to an embedding before it is compared, in this order: power, L2, centre, L2 again. */
export interface TransformSpec {
  /** Signed power sign(x)·|x|^p, usually ½; `null` leaves the numbers as they are. */
  readonly power: number | null;
  /** Scale to length 1, before centring and after it. */
  readonly normalize: boolean;
  /**
   * What is subtracted: nothing; the mean that came with the encoder; the mean of the gallery's prototypes;
   * or a running mean of the frames of the line (the gallery's until there are enough of them).
   */
  readonly center: "none" | "base" | "gallery" | "running";
}

export type HeadSpec =
  | { readonly kind: "prototype"; readonly metric: Metric }
  | {
      readonly kind: "ridge";
      /** λ of (XᵀX + λI)⁻¹XᵀY, > 0. */
      readonly lambda: number;
      /** Random features as in RanPAC 2023: ReLU(x·R), R normal, `[dim, dim']`; `null` for none. */
      readonly projection: { readonly dim: number; readonly seed: number } | null;
    };

export interface OpenSetSpec {
  /** The number whose excess means unknown: a distance to the nearest prototype, or the negative ridge score. */
  readonly score: "cosine" | "centeredCosine" | "mahalanobis" | "ridge";
  /** The share of frames of known classes that may be called unknown, in (0, 1). Default 0.05. */
  readonly falseRejectRate: number;
}

export interface AmbiguitySpec {
  /** The answer is ambiguous when the confidences of first and second differ by less, in [0, 1). 0: never. Default 0.1. */
  readonly margin: number;
}

/** Ways to look at one picture again. `dihedral`: the seven further rotations and mirrorings; the others are drawn by seed. */
export type ViewKind = "dihedral" | "crop" | "color" | "cutout";

export interface ViewsSpec {
  /** Further views of each support picture, one embedding each. Never where orientation or colour carries meaning. */
  readonly support: readonly ViewKind[];
  /** Average the scores over these views of each frame too, at that many times the cost. */
  readonly query: readonly ViewKind[];
}

/** Everything that turns a picture's embeddings into an answer. */
export interface DecisionSpec {
  readonly views: ViewsSpec;
  readonly transform: TransformSpec;
  readonly head: HeadSpec;
  readonly openSet: OpenSetSpec;
  readonly ambiguity: AmbiguitySpec;
}

/** What a bundle knows before the gallery has said anything. */
export interface DecisionPriors {
  /** Mean embedding of the base classes *after* power and L2, shape `[dim]`, or `null`. */
  readonly baseMean: Float32Array | null;
  /** Softmax temperature where the gallery is too small to fit one, > 0. */
  readonly temperature: number;
  /**
   * For classes of one or two shots, which have no honest leave-one-out score: the unknown threshold for each kind
   * of open-set score, as the (1 − falseRejectRate) quantile over episodes of base classes.
   */
  readonly thresholds: readonly {
    readonly score: OpenSetSpec["score"];
    readonly shot: number;
    readonly falseRejectRate: number;
    readonly threshold: number;
  }[];
}

/** One class as an answer sees it. */
export interface Candidate<Label> {
  readonly label: Label;
  /** Softmax over the classes with the fitted temperature, 0 … 1. */
  readonly confidence: number;
  /** The open-set score against this class: lower is nearer. */
  readonly distance: number;
  /** Above this distance a frame is not of this class. */
  readonly threshold: number;
}

/** The answer for one frame. `candidates` are sorted, best first; `unknown` keeps them, as the reason. */
export type Decided<Label> =
  | { readonly kind: "known"; readonly label: Label; readonly candidates: readonly Candidate<Label>[] }
  | { readonly kind: "ambiguous"; readonly candidates: readonly Candidate<Label>[] }
  | { readonly kind: "unknown"; readonly candidates: readonly Candidate<Label>[] };

/** Labelled embeddings to decide by. */
export interface Support<Label> {
  /** Raw encoder output, `[n, dim]`. */
  readonly embeddings: Embeddings;
  /** `[n]`. */
  readonly labels: readonly Label[];
  /** `[n]`; rows of one picture (its views) share a number and are left out together. Default: each row its own. */
  readonly groups?: readonly number[];
}

/**
 * Where a class's threshold came from: the left-out pictures of all classes (`pooled`) or its own (`class`); the
 * bundle (`prior`); the other classes (`others`); a bound, because there are too few pictures for the asked rate;
 * or nothing at all (`none`: all is accepted). See `classThresholds`.
 */
export type ThresholdSource = "pooled" | "class" | "prior" | "others" | "bound" | "none";

/** A decision fitted to a gallery: immutable, so that a recognition never sees half an enrollment. */
export interface FittedDecision<Label> {
  readonly spec: DecisionSpec;
  readonly dim: number;
  readonly labels: readonly Label[];
  readonly temperature: number;
  readonly thresholds: ReadonlyMap<Label, number>;
  readonly thresholdSources: ReadonlyMap<Label, ThresholdSource>;
  /**
   * The answer for one frame from its views, raw, `[views, dim]`, scores averaged.
   * `runningMean`, `[dim]` after power and L2, is for `center: "running"` alone. `topK` candidates, default all.
   */
  decide(
    views: Embeddings,
    options?: { readonly topK?: number; readonly runningMean?: Float32Array },
  ): Decided<Label>;
  /**
   * What the gallery's own pictures would be told if they were not in it: one entry a picture of each class that has
   * another, class by class in the order of `labels`. Temperature and thresholds keep the picture.
   */
  leaveOneOut(): readonly {
    readonly label: Label;
    readonly picture: number;
    readonly decided: Decided<Label>;
  }[];
  /** The embedding as the decision compares it, `[dim]`. */
  transform(raw: Float32Array, runningMean?: Float32Array): Float32Array;
  /** The decision after some samples came and some went; equals a refit to 1e-5, by rank-one updates where that pays. */
  update(change: { readonly add?: Support<Label>; readonly remove?: Support<Label> }): FittedDecision<Label>;
  /** {@link update}, to be done a little at a time beside other work; see core/steps. */
  updating(change: {
    readonly add?: Support<Label>;
    readonly remove?: Support<Label>;
  }): Steps<FittedDecision<Label>>;
}
