export {
  type DriftFinding,
  type DriftOptions,
  type DriftReport,
  type DriftTest,
  detectDrift,
  type FrameSample,
  holm,
} from "./drift.ts";
export { driftText } from "./drift-text.ts";
export {
  type HeldOutAnswer,
  type HeldOutRates,
  heldOutRates,
  isRight,
  type PairedChange,
  pairedChange,
} from "./held-out.ts";
export { type KolmogorovSmirnovResult, kolmogorovSmirnov } from "./kolmogorov-smirnov.ts";
export { type MeanShiftResult, meanShift } from "./mean-shift.ts";
export { type MmdResult, mmd } from "./mmd.ts";
export { type PermutationOptions, permutationP } from "./permutation.ts";
export { type ClassQuality, type CountedRate, classQuality, type LeftOutAnswer } from "./quality.ts";
export { type Count, type RateChange, rateChange, wilson } from "./rates.ts";
export {
  createDriftWatch,
  type DriftWatch,
  type FullWindow,
  type JudgedWindow,
  type SeenFrame,
  type WatchOptions,
  type WatchState,
} from "./watch.ts";
