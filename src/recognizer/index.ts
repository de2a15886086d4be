export { Recognizer } from "./recognizer.ts";
export type {
  EnrollOptions,
  EnrollResult,
  ImageInput,
  NearestSupport,
  Recognition,
  RecognizeOptions,
  RecognizerCore,
  RecognizerOptions,
  TuneOptions,
} from "./types.ts";
