import { createSha256 } from "../core/index.ts";
import { augment, type ImageFormat, type Picture, type Region, sniff, toInput } from "../data/pure.ts";
import type { ViewKind } from "../fewshot/index.ts";
import type { Manifest } from "../models/types.ts";
import type { KeptImage } from "../store/pure.ts";

/** A picture from outside, decoded, cut to the region of interest, and named by its content. */
export interface Loaded {
  /** As they came; `null` for a frame that has pixels alone. */
  readonly bytes: Uint8Array | null;
  readonly picture: Picture;
  /** SHA-256, hex, of the encoded bytes (of the pixels where there are none), and of the region where there is one. */
  readonly contentHash: string;
  readonly cut: boolean;
}

/** How pictures come in: what differs between Node and a browser. */
export interface PictureReader<Image> {
  /** Decodes a picture and cuts it to the region. Encoded bytes are read everywhere: kept pictures are. */
  load(image: Image | Uint8Array, region?: Region): Promise<Loaded>;
  /** A JPEG of the picture whose longer side is at most `side` pixels. */
  thumbnail(picture: Picture, side: number): Promise<Uint8Array>;
  /** What to call a picture that the caller gave no name. */
  origin(image: Image, index: number): string;
}

/** The name of a picture by its content. */
export function contentHash(content: Uint8Array, region: Region | undefined): string {
  const hash = createSha256().update(content);
  if (region) hash.update(JSON.stringify([region.x, region.y, region.width, region.height]));
  return hash.digest();
}

/** The encoder's inputs for the picture and its further views: `1 + views` arrays `[channels × height × width]`. */
export function toViews(
  source: Pick<Loaded, "picture" | "contentHash">,
  kinds: readonly ViewKind[],
  { preprocess }: Manifest,
): Float32Array[] {
  const { picture } = source;
  if (kinds.length === 0) return [toInput(picture, preprocess)];
  // Seeded by the content, so that embedding a kept picture again gives the same views.
  const seed = Number.parseInt(source.contentHash.slice(0, 8), 16);
  return [picture, ...augment(picture, kinds, seed)].map((view) => toInput(view, preprocess));
}

const thumbnailSide = 256;
const mediaTypes: Readonly<Record<ImageFormat, string>> = {
  jpeg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  tiff: "image/tiff",
  gif: "image/gif",
  bmp: "image/bmp",
};

/**
 * What the store keeps of an enrolled picture. A region is kept as the cut alone, so that embedding it again sees
 * what was enrolled.
 */
export async function keptImage(
  { bytes, picture, cut }: Loaded,
  keep: "original" | "thumbnail" | "none",
  { thumbnail }: Pick<PictureReader<never>, "thumbnail">,
): Promise<KeptImage | null> {
  if (keep === "none") return null;
  if (keep === "original" && bytes && !cut) return keptWhole(bytes);
  const side = keep === "thumbnail" ? thumbnailSide : Math.max(picture.width, picture.height);
  return { bytes: await thumbnail(picture, side), type: "image/jpeg", whole: keep === "original" };
}

/** A picture that can be decoded, kept as it came. */
export const keptWhole = (bytes: Uint8Array): KeptImage => ({
  bytes,
  type: mediaTypes[sniff(bytes).format!],
  whole: true,
});
