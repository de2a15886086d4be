import { createHash } from "node:crypto";
import {
  augment,
  cutRegion,
  decodePicture,
  type ImageLimits,
  type Picture,
  probePicture,
  type Region,
  readImageFile,
  thumbnail,
  toInput,
} from "../data/index.ts";
import type { ViewKind } from "../fewshot/index.ts";
import type { Manifest } from "../models/index.ts";
import type { KeptImage } from "../store/index.ts";
import type { ImageInput } from "./types.ts";

/** A picture from outside, decoded, cut to the region of interest, and named by its content. */
export interface Loaded {
  readonly bytes: Uint8Array;
  readonly picture: Picture;
  /** SHA-256, hex, of the encoded bytes, and of the region where there is one. */
  readonly contentHash: string;
  readonly cut: boolean;
}

export async function loadPicture(
  image: ImageInput,
  limits: Partial<ImageLimits> | undefined,
  region?: Region,
): Promise<Loaded> {
  const bytes = typeof image === "string" ? await readImageFile(image, limits) : image;
  const whole = await decodePicture(bytes, limits);
  return {
    bytes,
    picture: region ? cutRegion(whole, region) : whole,
    // Hashed when asked for: a recognition without further views never asks.
    get contentHash() {
      const hash = createHash("sha256").update(bytes);
      if (region) hash.update(JSON.stringify([region.x, region.y, region.width, region.height]));
      return hash.digest("hex");
    },
    cut: region !== undefined,
  };
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
const mediaTypes: Readonly<Record<string, string>> = {
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
): Promise<KeptImage | null> {
  if (keep === "none") return null;
  if (keep === "original" && !cut) {
    const { format } = await probePicture(bytes);
    return { bytes, type: mediaTypes[format] ?? "application/octet-stream", whole: true };
  }
  const side = keep === "thumbnail" ? thumbnailSide : Math.max(picture.width, picture.height);
  return { bytes: await thumbnail(picture, side), type: "image/jpeg", whole: keep === "original" };
}
