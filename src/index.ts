export {
  type Embeddings,
  type ErrorCode,
  errorTable,
  isProtolineError,
  ProtolineError,
} from "./core/index.ts";
export {
  decodePicture,
  type ImageLimits,
  listClasses,
  listImages,
  type Picture,
  type Preprocess,
  pictureFromPixels,
  type Region,
  readPicture,
  toInput,
} from "./data/index.ts";
export {
  type Candidate,
  type Decided,
  type DecisionPriors,
  type DecisionSpec,
  defaultDecision,
  type FittedDecision,
  fitDecision,
} from "./fewshot/index.ts";
export { defaultModel, type Encoder, type Manifest, openEncoder } from "./models/index.ts";
export {
  type EnrollOptions,
  type EnrollResult,
  type ImageInput,
  type Recognition,
  type RecognizeOptions,
  Recognizer,
  type RecognizerOptions,
} from "./recognizer/index.ts";
export { type GalleryStore, openStore } from "./store/index.ts";
