import { ProtolineError } from "../core/index.ts";
import type { ModelSources } from "../models/index.ts";
import type { Manifest, PictureEmbedding } from "../models/types.ts";
import type { SessionOptions } from "../runtime/index.ts";
import type { Item } from "./run-batch.ts";

/** What a worker is told when it starts. */
export interface WorkerSetup {
  /** Name or path of the model, chosen by whoever starts the server. */
  readonly model: string;
  readonly sources: ModelSources;
  readonly session: SessionOptions;
  /** `low`: gives way to the other threads where they want the same core. */
  readonly priority: "normal" | "low";
}

/** An error as threads pass it: a class does not survive the copy. */
export type PassedError = ReturnType<ProtolineError["toJSON"]>;

export interface BatchMessage {
  readonly id: number;
  readonly items: readonly Item[];
}

export type WorkerReply =
  | { readonly kind: "ready"; readonly manifest: Manifest; readonly modelHash: string }
  | { readonly kind: "failed"; readonly error: PassedError }
  | {
      readonly kind: "done";
      readonly id: number;
      readonly results: readonly (PictureEmbedding | { readonly error: PassedError })[];
    };

export const restored = ({ code, expected, got, todo }: PassedError): ProtolineError =>
  new ProtolineError(code, { expected, got, todo });
