import { ProtolineError, quote } from "../core/index.ts";
import { type Encoder, type ModelSources, wasShown } from "../models/index.ts";
import { heldOutSamples } from "../recognizer/index.ts";
import type { GalleryStore, Sample } from "../store/pure.ts";
import { type TrainingPicture, trainApart } from "./apart.ts";
import type { FurtherOptions, FurtherProgress } from "./further.ts";
import type { NewModel } from "./messages.ts";
import { trainingPart } from "./pictures.ts";

export interface LearnEncoderOptions extends Omit<FurtherOptions, "turned"> {
  readonly store: GalleryStore;
  readonly gallery: string;
  /** The gallery's own. */
  readonly encoder: Pick<Encoder, "manifest" | "modelHash">;
  /** Name or path of its bundle, as `findBundle` takes it. Default: its name. */
  readonly model?: string;
  readonly sources: ModelSources;
  /** Folder of learned models, where the new one is put. */
  readonly folder: string;
  readonly onProgress?: (progress: FurtherProgress) => void;
  readonly signal?: AbortSignal;
}

export interface LearnedEncoder extends NewModel {
  /** Pictures that it was trained on, and those of the gallery that it was not shown. */
  readonly pictures: number;
  readonly keptBack: number;
}

/**
 * Trains a gallery's encoder further on the gallery's own kept pictures, in a process of its own with the lowest priority. What it
 * makes is a bundle with a hash of its own; the gallery stays as it is.
 *
 * @throws TOO_FEW_SAMPLES, MODEL_NOT_FOUND, MODEL_MISMATCH (another model than the gallery's, or a picture that was not kept), and what
 *   `trainApart` throws.
 */
export async function learnEncoder(options: LearnEncoderOptions): Promise<LearnedEncoder> {
  const {
    store,
    gallery,
    encoder,
    sources,
    folder,
    steps,
    seed = 1,
    freeze,
    rate,
    onProgress,
    signal,
  } = options;
  const { manifest, modelHash } = encoder;
  const { samples, revision, decision } = await store.snapshot(gallery);
  const shown = wasShown(manifest);
  const own = new Set(samples.map(({ label }) => label));
  const held = (await heldOutSamples(store, gallery)).filter(({ contentHash }) => !shown(contentHash));
  const heldClasses = new Set(held.flatMap(({ label }) => (own.has(label) ? [label] : [])));
  const part = trainingPart(samples, { heldOut: heldClasses.size > 1, shown, seed });
  const { views } = decision;
  const made = await trainApart(
    {
      ...{ model: options.model ?? manifest.name, modelHash, sources, gallery, folder },
      revision: revision.number,
      options: {
        ...{ steps, seed, freeze, rate },
        // Who has parts looked at from all sides says that these mean the same.
        turned: [...views.support, ...views.query].includes("dihedral"),
      },
      contentHashes: part.samples.map(({ contentHash }) => contentHash),
    },
    kept(store, gallery, part.samples),
    onProgress,
    signal,
  );
  return { ...made, pictures: part.samples.length, keptBack: part.keptBack };
}

async function* kept(
  store: GalleryStore,
  gallery: string,
  samples: readonly Sample[],
): AsyncGenerator<TrainingPicture> {
  for (const { id, label, origin } of samples) {
    const image = await store.image(gallery, id);
    if (!image)
      throw new ProtolineError("MODEL_MISMATCH", {
        expected: "a kept picture of every sample, to train on it and to embed it again",
        got: `none of ${quote(origin)} in class ${quote(label)}`,
        todo: "Enroll the pictures again, and keep them.",
      });
    yield { label, bytes: image.bytes };
  }
}
