/** What of models/ needs no Node: the front door for browsers. */

export { type Bundle, parseBundle } from "./bundle-bytes.ts";
export { encoderOver, type ModelOutput, type OpenModel } from "./encode.ts";
export { learnedFrom, wasShown } from "./learned.ts";
export type { Encoder, Manifest } from "./types.ts";
