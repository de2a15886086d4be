export { confidences, fitTemperature, logSoftmax } from "./confidence.ts";
export { fitDecision, fittingDecision, novelty } from "./decision.ts";
export { defaultDecision, defaultPriors } from "./defaults.ts";
export { cosineDistance, euclidean, logDistance, squaredEuclidean } from "./distances.ts";
export {
  type ExpectedRate,
  type ExpectedRates,
  type ExpectedStranger,
  expectedRates,
  usualRates,
} from "./expected.ts";
export { conformalThreshold } from "./limits.ts";
export {
  createFrameCounter,
  type FrameCounter,
  type FrameCounts,
  learningShift,
} from "./line-limits.ts";
export { createMatcher, type Matcher, type MatcherOptions, type Nearest } from "./matching/matcher.ts";
export {
  aupr,
  auroc,
  ece,
  fpr95,
  meanAndInterval,
  oscr,
  type ReliabilityBin,
  reliability,
} from "./metrics.ts";
export { prototypes } from "./prototypes.ts";
export type { CountedShare } from "./shares.ts";
export { currentDecision, currentPriors, isOlderDecision } from "./stored.ts";
export {
  type TransductiveName,
  type TransductiveTask,
  transduce,
  transductiveNames,
} from "./transductive/index.ts";
export { applyTransform, l2, power, subtract } from "./transforms.ts";
export { type TunedHead, type TuneOptions, type TuneReport, tune } from "./tune.ts";
export type * from "./types.ts";
