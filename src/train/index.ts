export { batcher, createSampler, episodeRows, type Sampler, type Scaling } from "./batch.ts";
export { type Checkpoint, readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
export { parseTrainConfig, type TrainConfig } from "./config.ts";
export {
  type EmbeddedClass,
  type EmbeddedDataset,
  type EmbeddedView,
  type EmbedOptions,
  type EmbedProgress,
  type EmbedResult,
  embedDataset,
} from "./embed.ts";
export { type EmbedPixelsOptions, embedPixels } from "./embed-pixels.ts";
export { type EmbedSplitOptions, embedSplit } from "./embed-split.ts";
export { type EvaluateOptions, type Evaluation, type EvaluationRow, evaluate } from "./evaluate.ts";
export { type ExportOptions, exportBundle, withBaseMean } from "./export.ts";
export { importedModel, readImported } from "./imported.ts";
export { readInitial } from "./initial.ts";
export {
  formatHead,
  formatTransform,
  headNames,
  parseHead,
  parseTransform,
  transformNames,
} from "./names.ts";
export {
  type BatchShape,
  type ClassBatch,
  encoderGraph,
  type Step,
  type TeacherBatch,
  trainingStep,
  validationStep,
} from "./step.ts";
export { openTeacher, type Teacher, type TeacherOptions } from "./teacher.ts";
export {
  shipped,
  type TrainOptions,
  type TrainProgress,
  type TrainResult,
  train,
  type Validated,
} from "./trainer.ts";
export { type EpisodeScores, type Trained, testEpisodes, type ValidatorOptions } from "./validate.ts";
