/** What of data/ needs no Node: the front door for browsers. */

export { augment } from "./augment.ts";
export { BmpError, decodeBmp, readBmpHeader } from "./bmp.ts";
export { alphaBackground, broken, checkBytes, checkSize, defaultImageLimits, unsupported } from "./limits.ts";
export { cutRegion, pictureFromPixels } from "./pixels.ts";
export { type ImageFormat, sniff } from "./sniff.ts";
export { toInput } from "./to-input.ts";
export type { ImageLimits, Picture, Preprocess, Region } from "./types.ts";
