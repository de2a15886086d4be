import type { EpisodeMethod } from "./method.ts";
import { type ProtoNetOptions, protoNet } from "./protonet.ts";

/** A method by name with its options, as a config file says it. */
export type MethodSpec = { readonly kind: "protonet" } & ProtoNetOptions;

export function createMethod(spec: MethodSpec): EpisodeMethod {
  return protoNet(spec);
}
