import { ProtolineError, quote } from "../core/index.ts";
import { findLearned, type ModelSources } from "../models/index.ts";
import type { Encoder } from "../models/types.ts";
import type { EncoderLease } from "../recognizer/index.ts";

/** Opens a model, warm: in worker threads, so that frames of other models do not wait for it. */
export type OpenModel = () => Promise<Encoder>;

/** What a server needs to train encoders further, and to find again those that were. */
export interface LearningOptions {
  /** Folder of learned models; servers of one store share it. */
  readonly folder: string;
  /** Where the models are found that a training begins with. */
  readonly sources: ModelSources;
  /** Opens a bundle of the folder, warm. */
  readonly open: (path: string) => Promise<Encoder>;
  /** Name or path, as `findBundle` takes it, of one of the server's models. Default: its name. */
  readonly modelOf?: (name: string) => string;
}

/** The models of a server: its own, and those that galleries and candidates may have beside it. */
export interface Models {
  /** Names, the server's own first. */
  readonly names: readonly string[];
  /** For a candidate. @throws MODEL_NOT_FOUND, and what opening it throws. */
  named(name: string): Promise<EncoderLease>;
  /** For a gallery; `null` where no model here is the one that made it. */
  of(gallery: { readonly model: string; readonly modelHash: string }): Promise<EncoderLease | null>;
}

interface Open {
  readonly encoder: Promise<Encoder>;
  users: number;
}

/**
 * A model beside the server's own is opened when the first asks for it, shared, and closed when the last has released
 * it. Names come from whoever starts the server: what a request or a gallery says is only looked up among them. A model that was
 * learned on a gallery is looked up in its folder by its hash.
 *
 * @param main stays open: whoever opened it closes it.
 */
export function createModels(
  main: Encoder,
  offers: ReadonlyMap<string, OpenModel> = new Map(),
  learning?: LearningOptions,
): Models {
  const opened = new Map<string, Open>();
  const own = main.manifest.name;

  const lease = async (name: string, open: OpenModel): Promise<EncoderLease> => {
    const one = opened.get(name) ?? { encoder: open(), users: 0 };
    opened.set(name, one);
    one.users++;
    const release = (): void => {
      if (--one.users > 0) return;
      if (opened.get(name) === one) opened.delete(name);
      // `close` waits for what is under way.
      void one.encoder.then((encoder) => encoder.close()).catch(() => undefined);
    };
    try {
      return { encoder: await one.encoder, release };
    } catch (error) {
      release();
      throw error;
    }
  };
  const mains: EncoderLease = { encoder: main, release: () => undefined };
  const names = [own, ...[...offers.keys()].filter((name) => name !== own)];

  return {
    names,
    async named(name) {
      if (name === own) return mains;
      const open = offers.get(name);
      if (!open)
        throw new ProtolineError("MODEL_NOT_FOUND", {
          expected: `one of the models of this server: ${names.join(", ")}`,
          got: quote(name),
          todo: "Start the server with --offer for each further model.",
        });
      return lease(name, open);
    },
    async of({ model, modelHash }) {
      if (modelHash === main.modelHash) return mains;
      const offered = offers.get(model);
      const path = offered || !learning ? null : await findLearned(learning.folder, modelHash);
      const open = offered ?? (path === null ? undefined : () => learning!.open(path));
      if (!open) return null;
      // An offered model has a name of its own; of a learned one the hash is.
      const one = await lease(offered ? model : modelHash, open);
      if (one.encoder.modelHash === modelHash) return one;
      one.release();
      return null;
    },
  };
}
