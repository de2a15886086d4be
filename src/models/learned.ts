import type { Manifest } from "./types.ts";

/**
 * Models that were trained further on a gallery. Each is named by what it is, `MODEL-learned-HASH`, so that the name in a gallery finds
 * it and no two share one.
 */

const pattern = /^(.+)-learned-([0-9a-f]{12})$/;
const suffixLength = "-learned-".length + 12;

/** Characters of a content hash that are kept: two of a million pictures share them in 1 of 10 million cases. */
export const shownLength = 16;

/** The name of a model with this hash that was learned from model `from`, itself learned or not. */
export function learnedName(from: string, modelHash: string): string {
  const root = pattern.exec(from)?.[1] ?? from;
  return `${root.slice(0, 64 - suffixLength)}-learned-${modelHash.slice(0, 12)}`;
}

/** What a learned model's name tells: the model that it all began with, and the beginning of its hash; `null` of other names. */
export function learnedFrom(name: string): { readonly root: string; readonly hash: string } | null {
  const [, root, hash] = pattern.exec(name) ?? [];
  return root !== undefined && hash !== undefined ? { root, hash } : null;
}

/** Whether one of the models, or one that it was learned from, was trained on pictures of that content hash. */
export function wasShown(
  ...manifests: readonly Pick<Manifest, "learned">[]
): (contentHash: string) => boolean {
  const shown = new Set(manifests.flatMap(({ learned }) => learned?.shown ?? []));
  return (contentHash) => shown.has(contentHash.slice(0, shownLength));
}
