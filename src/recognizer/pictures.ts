import { cutRegion, decodePicture, type ImageLimits, readImageFile, thumbnail } from "../data/index.ts";
import type { ImageInput } from "./types.ts";
import { contentHash, type PictureReader } from "./views.ts";

/** Files and encoded bytes, decoded by Node's decoder. */
export function fileReader(limits: Partial<ImageLimits> | undefined): PictureReader<ImageInput> {
  return {
    async load(image, region) {
      const bytes = typeof image === "string" ? await readImageFile(image, limits) : image;
      const whole = await decodePicture(bytes, limits);
      return {
        bytes,
        picture: region ? cutRegion(whole, region) : whole,
        // Hashed when asked for: a recognition without further views never asks.
        get contentHash() {
          return contentHash(bytes, region);
        },
        cut: region !== undefined,
      };
    },
    thumbnail,
    origin: (image, index) => (typeof image === "string" ? image : `image ${index + 1}`),
  };
}
