export type { Bundle } from "./bundle.ts";
export { type EncoderOptions, encoderOf, modelHash, openEncoder } from "./encoder.ts";
export { defaultModel } from "./find.ts";
export { scatteringBundle } from "./scattering.ts";
export { type ModelSources, modelSources } from "./sources.ts";
export type { Encoder, Manifest, Provenance } from "./types.ts";
export { noPriors, startingDecision, type ZooRow, zoo, zooRow } from "./zoo.ts";
