export { type ClassifierOptions, type ClassMethod, classifier } from "./classifier.ts";
export { type FineTuneOptions, fineTune } from "./fine-tune.ts";
export { inverseOfPositive } from "./inverse.ts";
export { type MamlOptions, maml } from "./maml.ts";
export { type MatchingOptions, matching } from "./matching.ts";
export { type EpisodeMethod, type EpisodeShape, onEmbeddings } from "./method.ts";
export { createMethod, type Method, type MethodSpec } from "./methods.ts";
export { type ProtoNetOptions, protoNet } from "./protonet.ts";
export { type RidgeOptions, ridge } from "./ridge.ts";
