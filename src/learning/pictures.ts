import { createRng, ProtolineError } from "../core/index.ts";
import { episodeClasses } from "../data/index.ts";
import type { Sample } from "../store/pure.ts";

/** What an encoder is trained on of a gallery. */
export interface TrainingPart {
  readonly samples: readonly Sample[];
  /** Pictures of the gallery that are not trained on, so that something is left to compare by. */
  readonly keptBack: number;
}

export interface PartOptions {
  /** Whether there are held-out pictures to compare by: then nothing is kept back. */
  readonly heldOut: boolean;
  /** Whether the model that is trained further was shown a picture already, by its content hash. */
  readonly shown: (contentHash: string) => boolean;
  /** Pictures in all, at most: their pixels lie in memory. Default 1000. */
  readonly most?: number;
  /** Draws classes where there are too many of them for `most`. */
  readonly seed: number;
}

/** Pictures of a class that training needs: an episode asks about one and shows two. */
export const leastPictures = 3;
/** One in so many pictures of a class is kept back. */
const keptBackOne = 4;

/**
 * Chooses what to train on: all pictures where others are held out; else of each class three quarters, the rest kept back. A
 * picture that an earlier training was shown is never kept back: an encoder says nothing honest of it. Which ones are, the content
 * hashes decide, hence equal galleries have equal parts.
 *
 * @throws TOO_FEW_SAMPLES without two classes that have enough.
 */
export function trainingPart(
  samples: readonly Sample[],
  { heldOut, shown, most = 1000, seed }: PartOptions,
): TrainingPart {
  const classes = episodeClasses(samples.map(({ label }) => label));
  const parts = classes
    .map(({ rows }) => rows.map((row) => samples[row]!))
    .map((of) => (heldOut ? inOrder(of) : withoutKeptBack(of, shown)))
    .filter(({ length }) => length >= leastPictures);
  const needed = heldOut ? leastPictures : leastPictures + 1;
  if (parts.length < 2)
    throw new ProtolineError("TOO_FEW_SAMPLES", {
      expected: `at least two classes of ${needed} pictures each to train an encoder on${heldOut ? "" : ", one of which is kept back to compare by"}`,
      got: `${parts.length} of ${classes.length} classes with as many`,
      todo: "Enroll more pictures, ten of each class if you can; or learn without the encoder.",
    });
  const each = Math.max(leastPictures, Math.floor(most / parts.length));
  const chosen = createRng(seed)
    .sample(parts.length, Math.min(parts.length, Math.floor(most / leastPictures)))
    .sort((a, b) => a - b)
    .flatMap((i) => parts[i]!.slice(0, each));
  return { samples: chosen, keptBack: samples.length - chosen.length };
}

/** By content hash: a random order that is always the same. */
const inOrder = (of: readonly Sample[]): Sample[] =>
  [...of].sort((a, b) => (a.contentHash < b.contentHash ? -1 : 1));

function withoutKeptBack(of: readonly Sample[], shown: PartOptions["shown"]): Sample[] {
  const ordered = inOrder(of);
  const back = new Set(
    ordered
      .filter(({ contentHash }) => !shown(contentHash))
      .slice(0, Math.max(1, Math.floor(of.length / keptBackOne))),
  );
  return ordered.filter((sample) => !back.has(sample));
}
