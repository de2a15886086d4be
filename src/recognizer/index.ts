export {
  type Candidate,
  type Compared,
  type Comparison,
  heldOutSamples,
  isWorse,
  makeCandidate,
  type Phase,
  promoteCandidate,
  type Solver,
  type Wanted,
} from "./candidate.ts";
export { embedKept } from "./embed-kept.ts";
export {
  evaluateHeldOut,
  type HeldOutEvaluation,
  type HeldOutHistory,
  heldOutName,
} from "./held-out.ts";
export {
  type AnsweredFrame,
  createLineLearner,
  type LearningGallery,
  type LineLearner,
  type LineLearnerOptions,
} from "./line-learning.ts";
export { galleryQuality, galleryRates } from "./quality.ts";
export { Recognizer } from "./recognizer.ts";
export { replaceAll } from "./replace-all.ts";
export { toSupport } from "./snapshot.ts";
export { type Trial, type TrialAnswers, type Tuning, tryDecision, tuneDecision } from "./trials.ts";
export type {
  EncoderLease,
  EnrollOptions,
  EnrollResult,
  ImageInput,
  NearestSupport,
  Recognition,
  RecognizeOptions,
  RecognizerCore,
  RecognizerOptions,
  Seen,
  TuneOptions,
} from "./types.ts";
