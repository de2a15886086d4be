import sharp from "sharp";
import type { Picture } from "./types.ts";

/** A JPEG of the picture whose longer side is at most `side` pixels; a smaller picture keeps its size. */
export async function thumbnail({ width, height, data }: Picture, side = 256): Promise<Uint8Array> {
  return sharp(data, { raw: { width, height, channels: 3 } })
    .resize(side, side, { fit: "inside", withoutEnlargement: true })
    .jpeg({ quality: 85 })
    .toBuffer();
}
