export {
  type DriftFinding,
  type DriftOptions,
  type DriftReport,
  type DriftTest,
  detectDrift,
  type FrameSample,
  holm,
} from "./drift.ts";
export { type KolmogorovSmirnovResult, kolmogorovSmirnov } from "./kolmogorov-smirnov.ts";
export { type MeanShiftResult, meanShift } from "./mean-shift.ts";
export { type MmdResult, mmd } from "./mmd.ts";
export { type PermutationOptions, permutationP } from "./permutation.ts";
export { type Count, type RateChange, rateChange, wilson } from "./rates.ts";
