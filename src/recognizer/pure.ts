/** What of recognizer/ needs no Node: the front door for browsers. */

export { GalleryRecognizer } from "./gallery-recognizer.ts";
export { prepare } from "./prepare.ts";
export type {
  CoreOptions,
  EnrollOptions,
  EnrollResult,
  NearestSupport,
  Recognition,
  RecognizeOptions,
  TuneOptions,
} from "./types.ts";
export { contentHash, type Loaded, type PictureReader, toViews } from "./views.ts";
