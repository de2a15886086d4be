import { ProtolineError, quote } from "../../core/index.ts";
import type { Forward } from "../frame.ts";
import { type CompactOptions, compact } from "./compact.ts";
import { type ConvEncoderOptions, convEncoder } from "./conv-encoder.ts";
import { type Conv4Options, conv4 } from "./conv4.ts";
import { type ImportedModel, type ImportedOptions, imported } from "./imported.ts";
import { type MobileOptions, mobile } from "./mobile.ts";
import { type ResNet12Options, resNet12 } from "./resnet12.ts";
import { type ResNet18Options, resNet18 } from "./resnet18.ts";
import { type VitOptions, vit } from "./vit.ts";

/** An architecture by name with its options, as a config file says it. */
export type BackboneSpec =
  | ({ readonly kind: "conv4" } & Conv4Options)
  | ({ readonly kind: "conv-encoder" } & ConvEncoderOptions)
  | ({ readonly kind: "compact" } & CompactOptions)
  | ({ readonly kind: "resnet12" } & ResNet12Options)
  | ({ readonly kind: "resnet18" } & ResNet18Options)
  | ({ readonly kind: "mobile" } & MobileOptions)
  | ({ readonly kind: "vit" } & VitOptions)
  | ({ readonly kind: "imported" } & ImportedOptions);

/**
 * @param model what `imported` stands for; nothing here reads a file.
 * @throws INVALID_ARGUMENT where `imported` comes without a model.
 */
export function createBackbone(spec: BackboneSpec, model?: ImportedModel): Forward {
  switch (spec.kind) {
    case "conv4":
      return conv4(spec);
    case "conv-encoder":
      return convEncoder(spec);
    case "compact":
      return compact(spec);
    case "resnet12":
      return resNet12(spec);
    case "resnet18":
      return resNet18(spec);
    case "mobile":
      return mobile(spec);
    case "vit":
      return vit(spec);
    case "imported":
      if (!model)
        throw new ProtolineError("INVALID_ARGUMENT", {
          expected: `the model ${quote(spec.model)}, which the backbone imported stands for`,
          got: "none",
          todo: "Read it with readImported and pass it on.",
        });
      return imported(model, spec);
  }
}

export type { ImportedModel };
