import type { ProtolineError } from "../core/index.ts";
import type { ModelSources } from "../models/index.ts";
import type { FurtherOptions, FurtherProgress } from "./further.ts";

/** What the process that trains is told when it starts. */
export interface Assignment {
  /** Name or path of the model, chosen by whoever started the program, and its hash. */
  readonly model: string;
  readonly modelHash: string;
  readonly sources: ModelSources;
  readonly gallery: string;
  readonly revision: number;
  readonly options: FurtherOptions;
  /** Content hashes of the pictures that will be sent. */
  readonly contentHashes: readonly string[];
  /** Where the new bundle is put. */
  readonly folder: string;
}

/** A bundle in the folder of learned models. */
export interface NewModel {
  readonly path: string;
  readonly name: string;
  readonly modelHash: string;
  /** False where an equal training had made it before. */
  readonly made: boolean;
}

export type ToChild =
  | { readonly kind: "begin"; readonly assignment: Assignment }
  | { readonly kind: "picture"; readonly label: string; readonly bytes: Uint8Array };

/** Each message to the process is answered by `next`, until all pictures are there. */
export type FromChild =
  | { readonly kind: "next" }
  | ({ readonly kind: "progress" } & FurtherProgress)
  | ({ readonly kind: "done" } & NewModel)
  /** A class does not survive the copy. */
  | { readonly kind: "failed"; readonly error: ReturnType<ProtolineError["toJSON"]> };
