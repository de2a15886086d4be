export { type EpisodeMethod, type EpisodeShape, onEmbeddings } from "./method.ts";
export { createMethod, type MethodSpec } from "./methods.ts";
export { type ProtoNetOptions, protoNet } from "./protonet.ts";
