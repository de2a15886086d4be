/** What of store/ needs no Node: the front door for browsers. */

export type { Backend, ClassRow, FullSample, Member, Tables } from "./backend.ts";
export { createStore } from "./create-store.ts";
export { openMemory } from "./drivers/memory.ts";
export { byLabel } from "./hash.ts";
export { checkLabel } from "./labels.ts";
export { broken, type ExportOptions, type ImportOptions, packGallery, unpackGallery } from "./packed.ts";
export type {
  AddResult,
  Change,
  ClassStatistics,
  GalleryInfo,
  GallerySnapshot,
  GalleryStore,
  KeptImage,
  NewSample,
  RevisionInfo,
  Sample,
} from "./store.ts";
