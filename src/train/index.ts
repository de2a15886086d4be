export {
  type EmbeddedClass,
  type EmbeddedDataset,
  type EmbeddedView,
  type EmbedOptions,
  type EmbedProgress,
  type EmbedResult,
  embedDataset,
} from "./embed.ts";
export { type EvaluateOptions, type Evaluation, type EvaluationRow, evaluate } from "./evaluate.ts";
export {
  formatHead,
  formatTransform,
  headNames,
  parseHead,
  parseTransform,
  transformNames,
} from "./names.ts";
