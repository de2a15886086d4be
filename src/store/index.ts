export { withoutPassword } from "./address.ts";
export { checkGalleryName, checkLabel } from "./labels.ts";
export { openStore } from "./open.ts";
export type { ExportOptions, ImportOptions } from "./packed.ts";
export { exportGallery, importGallery } from "./portable.ts";
export {
  type AddResult,
  type ApiKeyRecord,
  type ApiScope,
  apiScopes,
  type Change,
  type ClassStatistics,
  type GalleryInfo,
  type GallerySnapshot,
  type GalleryStore,
  type KeptImage,
  type NewGallery,
  type NewSample,
  type RefreshPolicy,
  type Replacement,
  type RevisionDiff,
  type RevisionInfo,
  type Sample,
} from "./store.ts";
