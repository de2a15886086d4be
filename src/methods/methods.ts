import { type ClassifierOptions, type ClassMethod, classifier } from "./classifier.ts";
import { type DistillMethod, type DistillOptions, distill } from "./distill.ts";
import { fineTune } from "./fine-tune.ts";
import { type MamlOptions, maml } from "./maml.ts";
import { type MatchingOptions, matching } from "./matching.ts";
import type { EpisodeMethod } from "./method.ts";
import { type ProtoNetOptions, protoNet } from "./protonet.ts";
import { type RidgeOptions, ridge } from "./ridge.ts";

/** A method by name with its options, as a config file says it. */
export type MethodSpec =
  | ({ readonly kind: "protonet" } & ProtoNetOptions)
  | ({ readonly kind: "matching" } & MatchingOptions)
  | ({ readonly kind: "ridge" } & RidgeOptions)
  | ({ readonly kind: "maml" } & MamlOptions)
  | ({ readonly kind: "classifier" } & ClassifierOptions)
  | ({ readonly kind: "distill" } & DistillOptions);

export interface Method {
  /** How episodes are answered: what is trained, or, for a method without episodes, what validates it. */
  readonly answer: EpisodeMethod;
  /** Trained on batches of all training classes instead of on episodes. */
  readonly classify?: ClassMethod;
  /** Trained on batches of pictures without classes, by a teacher's embeddings of them. */
  readonly distill?: DistillMethod;
}

export function createMethod(spec: MethodSpec): Method {
  switch (spec.kind) {
    case "protonet":
      return { answer: protoNet(spec) };
    case "matching":
      return { answer: matching(spec) };
    case "ridge":
      return { answer: ridge(spec) };
    case "maml":
      return { answer: maml(spec) };
    case "classifier":
      return {
        // Without a head there is no scale to learn; the nearest mean by cosine does not depend on it.
        answer: spec.answer === "fineTune" ? fineTune(spec.head ?? "linear") : protoNet({ metric: "cosine" }),
        classify: classifier(spec),
      };
    case "distill":
      return { answer: protoNet({ metric: "cosine" }), distill: distill(spec) };
  }
}
