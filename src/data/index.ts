export { type AugmentKind, augment, dihedral, viewsPerKind } from "./augment.ts";
export {
  alphaBackground,
  decodePicture,
  defaultImageLimits,
  type PictureInfo,
  probePicture,
} from "./decode.ts";
export {
  type DownloadJob,
  type DownloadOptions,
  download,
  downloadError,
  hashOf,
  inMirror,
  isUrl,
} from "./download.ts";
export {
  type Episode,
  type EpisodeClass,
  type EpisodePlan,
  type EpisodeSet,
  type EpisodeSpec,
  episodeClasses,
  groupByFileName,
  planEpisodes,
  sampleEpisode,
} from "./episodes.ts";
export {
  type ClassListing,
  type ImageListing,
  imageExtensions,
  listClasses,
  listImages,
  refuseEmptyClasses,
  type SkippedPath,
} from "./folders.ts";
export { findDataset, type LoadOptions, loadDataset } from "./load.ts";
export { naturalOrder } from "./natural.ts";
export type { PixelSet } from "./pixel-set.ts";
export { checkRegion, cutRegion, type PixelOrder, pictureFromPixels } from "./pixels.ts";
export { readImageFile, readPicture } from "./read.ts";
export type { ImageFormat } from "./sniff.ts";
export { thumbnail } from "./thumbnail.ts";
export { toInput } from "./to-input.ts";
export type { ImageLimits, Interpolation, Picture, Preprocess, Region } from "./types.ts";
