import type { Forward } from "../frame.ts";
import { type Conv4Options, conv4 } from "./conv4.ts";

/** An architecture by name with its options, as a config file says it. */
export type BackboneSpec = { readonly kind: "conv4" } & Conv4Options;

export function createBackbone(spec: BackboneSpec): Forward {
  return conv4(spec);
}
