import { isProtolineError, stack } from "../core/index.ts";
import { episodeClasses } from "../data/index.ts";
import type { ImageLimits, Region } from "../data/types.ts";
import type { DecisionPriors, DecisionSpec, TuneReport } from "../fewshot/index.ts";
import { wasShown } from "../models/index.ts";
import type { Encoder } from "../models/types.ts";
import {
  type HeldOutAnswer,
  type HeldOutRates,
  heldOutRates,
  isRight,
  type PairedChange,
  pairedChange,
} from "../monitor/index.ts";
import type { Change, GallerySnapshot, GalleryStore, RevisionInfo, Sample } from "../store/pure.ts";
import { embedKept } from "./embed-kept.ts";
import { heldOutName } from "./held-out.ts";
import { look } from "./look.ts";
import { fileReader } from "./pictures.ts";
import { priorsOf } from "./prepare.ts";
import { replaceAll } from "./replace-all.ts";
import { toSupport } from "./snapshot.ts";
import type { Trial, TrialAnswers, Tuning } from "./trials.ts";

/** What a candidate is to be. */
export interface Wanted {
  /** Default: as the gallery has it, or as the model brings it where that is another and was not learned from the gallery's. */
  readonly decision?: DecisionSpec;
  /** Whether transform, head and open-set score are chosen anew on the gallery's pictures. Default true. */
  readonly tune?: boolean;
  /** Share of frames of known classes that may be called unknown, in (0, 1). Default: the decision's. */
  readonly falseRejectRate?: number;
  /** See the decision's ambiguity. Default: the decision's. */
  readonly margin?: number;
  /** Which part of a large gallery is tuned on. Default 1. */
  readonly seed?: number;
}

/** Does what takes long: here, or in another thread. */
export interface Solver {
  tune(tuning: Tuning): Promise<{ readonly chosen: DecisionSpec; readonly report: TuneReport }>;
  try(trial: Trial): Promise<TrialAnswers>;
}

export interface CandidateOptions {
  readonly store: GalleryStore;
  readonly gallery: string;
  /** The gallery's own encoder. */
  readonly current: Encoder;
  /** The candidate's; the same one where the model stays. */
  readonly encoder: Encoder;
  readonly wanted: Wanted;
  readonly solver: Solver;
  /** Pictures embedded, of how many; then without numbers. */
  readonly onProgress?: (phase: Phase, done: number, of: number) => void;
  readonly signal?: AbortSignal;
}

export type Phase = "embedding" | "tuning" | "evaluating";

/** The same pictures, answered by the gallery as it is and by the candidate. */
export interface Compared {
  readonly pictures: number;
  readonly current: HeldOutRates;
  readonly candidate: HeldOutRates;
  /** Of pictures of classes that the gallery has. */
  readonly change: PairedChange;
}

/** Pictures that one of the two encoders was trained on are asked nowhere: an encoder knows those. */
export interface Comparison {
  /** Pictures of `GALLERY.holdout` that the gallery was not shown; `null` without any. */
  readonly heldOut: Compared | null;
  /** The gallery's own pictures, each left out in turn; `null` where the encoders were trained on all of them. */
  readonly leftOut: Compared | null;
}

export interface Candidate {
  readonly encoder: Encoder;
  readonly priors: DecisionPriors;
  readonly decision: DecisionSpec;
  /** `null` where it was not tuned. */
  readonly tuned: TuneReport | null;
  /** The revision that it was made from. */
  readonly revision: RevisionInfo;
  readonly comparison: Comparison;
  /** The samples with the candidate's embeddings; those that it has not seen yet are embedded from their kept pictures. */
  samples(of: readonly Sample[]): Promise<readonly Sample[]>;
  /** A frame with the views that the decision wants, raw, `[1 + views, embeddingDim]`. */
  see(
    image: Uint8Array,
    region: Region | undefined,
    limits?: Partial<ImageLimits>,
  ): Promise<Trial["heldOut"]["embeddings"]>;
}

/** A change is for the worse where so clear a loss comes by chance in so few of 1 cases. */
const worseLevel = 0.05;

/**
 * Whether held-out pictures (those left out where there are none) are answered worse, beyond chance; `null` where there is nothing
 * to compare by.
 */
export function isWorse({ heldOut, leftOut }: Comparison): boolean | null {
  const compared = heldOut ?? leftOut;
  if (!compared) return null;
  const { lost, gained, pValue } = compared.change;
  return lost > gained && pValue <= worseLevel;
}

/**
 * Makes a candidate beside a gallery, of another decision, another model, or both, and holds the two against each
 * other. Nothing is written.
 *
 * @throws GALLERY_EMPTY, TOO_FEW_SAMPLES without two classes of two pictures to tune on, MODEL_MISMATCH where another model or
 * other views are wanted of pictures that were not kept; the reason of `signal`.
 */
export async function makeCandidate(options: CandidateOptions): Promise<Candidate> {
  const { store, gallery, current, encoder, wanted, solver, onProgress, signal } = options;
  const source = await store.snapshot(gallery);
  const { learned } = encoder.manifest;
  // What was learned from the gallery's model embeds nearly as that does.
  const akin = [encoder.modelHash, learned?.from.modelHash].includes(source.modelHash);
  const priors = priorsOf(encoder);
  const start = wanted.decision ?? (akin ? source.decision : encoder.manifest.decision);
  const embed = embedder(options, source, start);
  const samples = await embed(source.samples);
  const support = toSupport(samples, encoder.embeddingDim);

  signal?.throwIfAborted();
  onProgress?.("tuning", 0, 0);
  const tuned =
    (wanted.tune ?? true)
      ? await solver.tune({ support, current: start, priors, seed: wanted.seed ?? 1 })
      : null;
  const base = tuned?.chosen ?? start;
  const decision: DecisionSpec = {
    ...base,
    openSet: { ...base.openSet, falseRejectRate: wanted.falseRejectRate ?? base.openSet.falseRejectRate },
    ambiguity: { margin: wanted.margin ?? base.ambiguity.margin },
  };

  signal?.throwIfAborted();
  onProgress?.("evaluating", 0, 0);
  const shown = wasShown(current.manifest, encoder.manifest);
  const held = await heldOutOf(store, source, shown);
  const trial = async (by: Encoder, of: readonly Sample[], spec: DecisionSpec): Promise<TrialAnswers> =>
    solver.try({
      support: toSupport(of, by.embeddingDim),
      decision: spec,
      priors: priorsOf(by),
      heldOut: {
        embeddings: stack(await held.embeddings(by), by.embeddingDim),
        labels: held.samples.map(({ label }) => label),
      },
    });
  const before = await trial(current, source.samples, source.decision);
  signal?.throwIfAborted();
  const after = await trial(encoder, samples, decision);
  const labels: ReadonlySet<string> = new Set(source.samples.map(({ label }) => label));
  const compared = (which: keyof TrialAnswers): Compared | null => {
    const asked = askedOf(source, shown, which);
    const [now, then] = [before[which].filter(asked), after[which].filter(asked)];
    if (now.length === 0) return null;
    const own = now.flatMap(({ truth }, i) => (labels.has(truth) ? [i] : []));
    return {
      pictures: now.length,
      current: heldOutRates(now, labels),
      candidate: heldOutRates(then, labels),
      change: pairedChange(
        own.map((i) => isRight(now[i]!)),
        own.map((i) => isRight(then[i]!)),
      ),
    };
  };
  const reader = fileReader(undefined);
  return {
    ...{ encoder, priors, decision, tuned: tuned?.report ?? null, revision: source.revision },
    comparison: { heldOut: compared("heldOut"), leftOut: compared("leftOut") },
    samples: embed,
    async see(image, region, limits) {
      const [seen] = await look({ encoder, reader, limits }, [image], {
        views: decision.views.query,
        region,
      });
      if (seen instanceof Error) throw seen;
      return seen!.embeddings;
    },
  };
}

/** Samples as the candidate has them: as they are where its model and views are the gallery's, else embedded once. */
function embedder(
  { store, gallery, encoder, onProgress, signal }: CandidateOptions,
  { modelHash, decision }: GallerySnapshot,
  { views }: DecisionSpec,
): Candidate["samples"] {
  if (encoder.modelHash === modelHash && same(views.support, decision.views.support)) return async (of) => of;
  const found = new Map<string, readonly Float32Array[]>();
  return async (of) => {
    const todo = of.filter(({ id }) => !found.has(id));
    for (const [i, sample] of todo.entries()) {
      signal?.throwIfAborted();
      onProgress?.("embedding", i, todo.length);
      for (const [id, embeddings] of await embedKept({ store, gallery, encoder }, [sample], views.support))
        found.set(id, embeddings);
    }
    return of.map((sample) => ({ ...sample, embeddings: found.get(sample.id)! }));
  };
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Which answers count. Held-out pictures were chosen before they were asked. */
function askedOf(
  { samples }: GallerySnapshot,
  shown: (contentHash: string) => boolean,
  which: keyof TrialAnswers,
): (answer: HeldOutAnswer & { readonly picture?: number }) => boolean {
  if (which === "heldOut") return () => true;
  const classes = new Map(
    episodeClasses(samples.map(({ label }) => label)).map(({ label, rows }) => [label, rows] as const),
  );
  return ({ truth, picture }) => !shown(samples[classes.get(truth)![picture!]!]!.contentHash);
}

/** The held-out pictures of a gallery that neither it nor an encoder was shown, as any encoder sees them. */
async function heldOutOf(
  store: GalleryStore,
  { gallery, samples }: GallerySnapshot,
  shown: (contentHash: string) => boolean,
) {
  const held = await heldOutGallery(store, gallery);
  const asked = notIn(held, samples).filter(({ contentHash }) => !shown(contentHash));
  return {
    samples: asked,
    async embeddings(encoder: Encoder): Promise<readonly Float32Array[]> {
      // The picture as it is, without the views that support pictures have.
      if (!held || held.modelHash === encoder.modelHash) return asked.map(({ embeddings }) => embeddings[0]!);
      const seen = await embedKept({ store, gallery: held.gallery, encoder }, asked, []);
      return asked.map(({ id }) => seen.get(id)![0]!);
    },
  };
}

/** The pictures of `GALLERY.holdout` that the gallery was not shown; none without such a gallery. */
export async function heldOutSamples(store: GalleryStore, gallery: string): Promise<readonly Sample[]> {
  const { samples } = await store.snapshot(gallery);
  return notIn(await heldOutGallery(store, gallery), samples);
}

function notIn(held: GallerySnapshot | null, samples: readonly Sample[]): readonly Sample[] {
  const own = new Set(samples.map(({ contentHash }) => contentHash));
  return held?.samples.filter(({ contentHash }) => !own.has(contentHash)) ?? [];
}

async function heldOutGallery(store: GalleryStore, gallery: string): Promise<GallerySnapshot | null> {
  const name = heldOutName(gallery);
  const there = (await store.galleries()).some((one) => one.name === name);
  return there ? store.snapshot(name) : null;
}

/**
 * Makes the candidate the gallery's next revision, with all pictures that the gallery has by then; with another model
 * that of the held-out pictures, too. Undone by `rollback` to the revision before.
 *
 * @throws MODEL_MISMATCH where a picture that came meanwhile was not kept.
 */
export async function promoteCandidate(
  store: GalleryStore,
  gallery: string,
  { encoder, decision, samples }: Pick<Candidate, "encoder" | "decision" | "samples">,
  change: Change,
): Promise<RevisionInfo> {
  for (;;) {
    const head = await store.snapshot(gallery);
    if (head.modelHash === encoder.modelHash && same(head.decision.views.support, decision.views.support))
      return store.setDecision(gallery, decision, change);
    // Samples that wait have embeddings of the old kind: they join first.
    await store.publish(gallery, change);
    const { samples: all } = await store.snapshot(gallery);
    const embedded = await samples(all);
    const embeddings = new Map(embedded.map((one) => [one.id, one.embeddings]));
    const revision = await replaceAll(store, gallery, encoder, decision, embeddings, change);
    if (!revision) continue;
    await followHeldOut(store, gallery, encoder, decision, change);
    return revision;
  }
}

/** Held-out pictures are asked of revisions of their own model. They are no gallery of the line: it never waits for them. */
async function followHeldOut(
  store: GalleryStore,
  gallery: string,
  encoder: Encoder,
  decision: DecisionSpec,
  change: Change,
): Promise<void> {
  const held = await heldOutGallery(store, gallery);
  if (!held || held.modelHash === encoder.modelHash) return;
  try {
    const seen = await embedKept(
      { store, gallery: held.gallery, encoder },
      held.samples,
      decision.views.support,
    );
    await replaceAll(store, held.gallery, encoder, decision, seen, change);
  } catch (error) {
    // Of pictures that were not kept nothing can be asked any more, which evaluating them will say.
    if (!isProtolineError(error)) throw error;
  }
}
