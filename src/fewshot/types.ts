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

/** Everything that turns an embedding into an answer. */
export interface DecisionSpec {
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
