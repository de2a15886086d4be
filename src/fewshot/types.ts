import type { Embeddings, Steps } from "../core/index.ts";

/** The vocabulary of the decision. Everything here is plain data: it travels in bundles, stores and replies. */

/** Lower is nearer. Cosine is 1 − cos, in 0 … 2. */
export type Metric = "squaredEuclidean" | "euclidean" | "cosine";

/** What is done to an embedding before it is compared, in this order: power, L2, centre, L2 again. */
export interface TransformSpec {
  /** Signed power sign(x)·|x|^p, usually ½; `null` leaves the numbers as they are. */
  readonly power: number | null;
  /** Scale to length 1, before centring and after it. */
  readonly normalize: boolean;
  /**
   * What is subtracted: nothing; the mean that came with the encoder; or the mean of the gallery's prototypes. It matters to
   * the head `prototype` alone.
   */
  readonly center: "none" | "base" | "gallery";
}

/**
 * What turns transformed embeddings into a distance to each class.
 *
 * - `gaussian`, the default: one predictive Gaussian a class, one covariance for all; cosine where every class has one picture.
 * - `prototype`: the mean of each class (Snell et al. 2017).
 * - `ridge`: ridge regression of the labels; unknown is decided by the cosine to the prototypes.
 */
export type HeadSpec =
  | { readonly kind: "gaussian" }
  | { readonly kind: "prototype"; readonly metric: Metric }
  | {
      readonly kind: "ridge";
      /** λ of (XᵀX + λI)⁻¹XᵀY, > 0. */
      readonly lambda: number;
    };

export interface OpenSetSpec {
  /** The share of frames of known classes that may be called unknown, in (0, 1). Default 0.05. */
  readonly falseRejectRate: number;
  /** Limits that the line's frames moved, by label. Default none. */
  readonly learned?: readonly LearnedLimit[];
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
  readonly limits: LimitPriors;
}

/** How distances of known pictures are spread, in logarithms. */
export interface LimitPriors {
  /** Deviation of the log distances of pictures of one class, > 0. */
  readonly deviation: number;
  /**
   * For galleries of one picture a class: the distance to the nearest class that a known picture exceeds with probability
   * `rate`, over classes of many kinds, from the highest rate to the lowest. `null`: not known, and such galleries call
   * nothing unknown.
   */
  readonly oneShot: readonly { readonly rate: number; readonly threshold: number }[] | null;
}

/** One class as an answer sees it. */
export interface Candidate<Label> {
  readonly label: Label;
  /** Softmax over the classes with the fitted temperature, 0 … 1. */
  readonly confidence: number;
  /** From this class: lower is nearer. Of the head `ridge` the cosine to the class's mean. */
  readonly distance: number;
  /** Above this distance a frame is not of this class; `null` where nothing is known of that yet. */
  readonly threshold: number | null;
}

/**
 * What a class's threshold rests on: enough left-out pictures of its own for a conformal quantile (`conformal`), fewer (`own`),
 * those of the other classes (`shared`), the encoder's prior (`prior`), or nothing (`none`).
 */
export type LimitSource = "conformal" | "own" | "shared" | "prior" | "none";

/** The limit that made a frame known or unknown: that of its nearest class. */
export interface AppliedLimit<Label> {
  readonly label: Label;
  readonly distance: number;
  /** `null` where nothing is known of the limit yet: then no frame is called unknown. */
  readonly threshold: number | null;
  readonly source: LimitSource;
}

interface DecidedBase<Label> {
  /** Sorted, best first. */
  readonly candidates: readonly Candidate<Label>[];
  readonly limit: AppliedLimit<Label>;
}

/** The answer for one frame. `unknown`: it is farther from its nearest class than that class's limit. */
export type Decided<Label> =
  | (DecidedBase<Label> & { readonly kind: "known"; readonly label: Label })
  | (DecidedBase<Label> & { readonly kind: "ambiguous" })
  | (DecidedBase<Label> & { readonly kind: "unknown" });

/** Labelled embeddings to decide by. */
export interface Support<Label> {
  /** Raw encoder output, `[n, dim]`. */
  readonly embeddings: Embeddings;
  /** `[n]`. */
  readonly labels: readonly Label[];
  /** `[n]`; rows of one picture (it and its views) share a number. Default: each row its own. */
  readonly pictures?: readonly number[];
  /**
   * `[n]`; pictures of one group (photographed together, of one part) are left out together, as a further picture will be of
   * none of them. `null`, the default: a group of its own.
   */
  readonly groups?: readonly (string | null)[];
}

/** Where a class ends. */
export interface Limit {
  /** A distance; `null` with source `none`. */
  readonly threshold: number | null;
  readonly source: LimitSource;
  /** Left-out pictures of its own that it rests on; near-duplicates and groups count once. */
  readonly pictures: number;
  /** Between these its true false-reject rate lies, in 90 of 100 galleries; `null` without pictures of its own. */
  readonly rates: readonly [low: number, high: number] | null;
  /** Further pictures with which the upper of these is at most twice the stated rate. */
  readonly missing: number;
  /** What its left-out pictures say of its log distances; `null` without any. */
  readonly fit: LimitFit | null;
  /** Frames of the line that moved the threshold inward; absent where none did. */
  readonly frames?: number;
}

/** Log distances of a class's pictures: their mean, the deviation of one about it, and of the mean itself. */
export interface LimitFit {
  readonly mean: number;
  readonly deviation: number;
  readonly ofMean: number;
}

/** What a line's frames did to a class's limit; see `learnedShift`. */
export interface LearnedLimit {
  readonly label: string;
  /** Distinct pictures that the class had: with others the shift is void. */
  readonly pictures: number;
  /** Frames that it rests on. */
  readonly frames: number;
  /** Added to the logarithm of the threshold, ≤ 0. */
  readonly shift: number;
}

/** A decision fitted to a gallery: immutable, so that a recognition never sees half an enrollment. */
export interface FittedDecision<Label> {
  readonly spec: DecisionSpec;
  readonly dim: number;
  readonly labels: readonly Label[];
  readonly temperature: number;
  readonly limits: ReadonlyMap<Label, Limit>;
  /** The answer for one frame from its views, raw, `[views, dim]`, distances averaged. `topK` candidates, default all. */
  decide(views: Embeddings, options?: { readonly topK?: number }): Decided<Label>;
  /**
   * What the gallery's own pictures would be told if they were not in it, and their near-duplicates and groups neither: one
   * entry a picture of each class that has another, class by class in the order of `labels`. Temperature and limits keep it.
   */
  leaveOneOut(): readonly {
    readonly label: Label;
    readonly picture: number;
    readonly decided: Decided<Label>;
  }[];
  /** The same with another rate, or other learned limits; costs next to nothing. */
  withOpenSet(openSet: OpenSetSpec): FittedDecision<Label>;
  /** The embedding as the decision compares it, `[dim]`. */
  transform(raw: Float32Array): Float32Array;
  /** The decision after some samples came and some went; equals a refit to 1e-5, by rank-one updates where that pays. */
  update(change: { readonly add?: Support<Label>; readonly remove?: Support<Label> }): FittedDecision<Label>;
  /** {@link update}, to be done a little at a time beside other work; see core/steps. */
  updating(change: {
    readonly add?: Support<Label>;
    readonly remove?: Support<Label>;
  }): Steps<FittedDecision<Label>>;
}
