/**
 * Protoline in a browser: the same bundles, decision and galleries, over onnxruntime-web. Nothing is sent anywhere.
 * Needs the package `onnxruntime-web`, an optional peer dependency.
 */

export {
  type Embeddings,
  type ErrorCode,
  errorTable,
  isProtolineError,
  ProtolineError,
} from "../core/index.ts";
export { type ImageLimits, type Picture, type Preprocess, type Region, toInput } from "../data/pure.ts";
export type { AppliedLimit, Candidate, Limit, LimitSource } from "../fewshot/index.ts";
export type { Encoder, Manifest } from "../models/pure.ts";
export type {
  EnrollOptions,
  EnrollResult,
  NearestSupport,
  Recognition,
  RecognizeOptions,
} from "../recognizer/pure.ts";
export { checkLabel, type GalleryInfo, type GalleryStore, type KeptImage } from "../store/pure.ts";
export { type BrowserEncoderOptions, type BundleSource, openEncoder } from "./encoder.ts";
export { openIndexedDb } from "./indexeddb.ts";
export { type BrowserImage, decodePicture } from "./pictures.ts";
export { type BrowserRecognizerOptions, openStore, Recognizer } from "./recognizer.ts";
export type { BrowserProvider, BrowserSessionOptions } from "./session.ts";
export { exportGallery, importGallery } from "./transfer.ts";
