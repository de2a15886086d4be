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
} from "./types.ts";
