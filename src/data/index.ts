export { type AugmentKind, augment, dihedral, viewsPerKind } from "./augment.ts";
export { augmentBatch, type BatchAugmentation } from "./batch/augment-batch.ts";
export type { Batch, BatchData } from "./batch/batch.ts";
export { type ColorJitterOptions, colorJitter } from "./batch/color.ts";
export { type CutoutOptions, cutout, type EraseOptions, randomErase } from "./batch/erase.ts";
export {
  type CropOptions,
  type FlipOptions,
  type RotateOptions,
  randomCrop,
  randomFlip,
  randomQuarterTurns,
  randomRotate,
} from "./batch/geometry.ts";
export { type Mixed, mixup } from "./batch/mixup.ts";
export { datasetInfo, type SplitInfo } from "./dataset-info.ts";
export { listedPath } from "./datasets/folder.ts";
export { datasets } from "./datasets/index.ts";
export type { Dataset, DatasetFile } from "./datasets/types.ts";
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
  type SizedEpisodeSpec,
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
export { type DataSources, dataSources, type PulledFile, pullDataset } from "./pull.ts";
export { readImageFile, readPicture } from "./read.ts";
export type { ImageFormat } from "./sniff.ts";
export { type SplitRows, type SplitShares, splitByGroup } from "./split-by-group.ts";
export { type DatasetSplit, readSplit, writeSplits } from "./split-files.ts";
export { thumbnail } from "./thumbnail.ts";
export { standardizeInPlace, toInput } from "./to-input.ts";
export type { ImageLimits, Interpolation, Picture, Preprocess, Region } from "./types.ts";
export { openZip, type Zip } from "./zip.ts";
