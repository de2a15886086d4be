import { ProtolineError, quote, stack } from "../core/index.ts";
import { type DecisionPriors, fitDecision } from "../fewshot/index.ts";
import {
  type HeldOutAnswer,
  type HeldOutRates,
  heldOutRates,
  isRight,
  type PairedChange,
  pairedChange,
} from "../monitor/index.ts";
import type { GallerySnapshot, GalleryStore, RevisionInfo } from "../store/pure.ts";
import { modelMismatch } from "./prepare.ts";
import { toSupport } from "./snapshot.ts";

/** A revision, asked about the held-out pictures. */
export interface HeldOutEvaluation extends HeldOutRates {
  readonly revision: RevisionInfo;
  /** Against the revision evaluated before it, of pictures whose class both have; `null` for the first. */
  readonly change: PairedChange | null;
}

export interface HeldOutHistory {
  /** The gallery of the held-out pictures and its revision. */
  readonly heldOut: string;
  readonly heldOutRevision: number;
  readonly pictures: number;
  /** Held-out pictures that some evaluated revision was shown, too: they are asked of none. */
  readonly shown: number;
  /** Oldest first. Revisions without a class, and of another model, are left out. */
  readonly evaluations: readonly HeldOutEvaluation[];
}

/** Where the held-out pictures of a gallery are: a gallery beside it, enrolled as any other. */
export const heldOutName = (gallery: string): string => `${gallery}.holdout`;

/**
 * Asks the last `last` revisions of a gallery about the pictures of `GALLERY.holdout`: accuracy, false rejects, and, of
 * pictures of classes that the revision does not have, false accepts. Nothing is written: revisions do not change, so their
 * figures can be had at any time, and all of them from the same pictures.
 *
 * @throws GALLERY_NOT_FOUND, GALLERY_EMPTY for a held-out gallery without pictures, MODEL_MISMATCH between the two.
 */
export async function evaluateHeldOut(
  store: GalleryStore,
  gallery: string,
  priors: DecisionPriors,
  last = 10,
): Promise<HeldOutHistory> {
  const { head, modelHash } = await store.gallery(gallery);
  const heldOut = heldOutName(gallery);
  const held = await store.snapshot(heldOut);
  if (held.modelHash !== modelHash)
    throw modelMismatch(
      { ...held, name: heldOut },
      {
        manifest: { name: (await store.gallery(gallery)).model },
        modelHash,
      },
    );
  if (held.samples.length === 0)
    throw new ProtolineError("GALLERY_EMPTY", {
      expected: `held-out pictures in gallery ${quote(heldOut)}`,
      got: "none",
      todo: `Enroll some there that ${quote(gallery)} is never shown.`,
    });
  const revisions: GallerySnapshot[] = [];
  for (let number = Math.max(0, head.number - last + 1); number <= head.number; number++) {
    const snapshot = await store.snapshot(gallery, number);
    if (snapshot.samples.length > 0 && snapshot.modelHash === modelHash) revisions.push(snapshot);
  }
  const seen = new Set(revisions.flatMap(({ samples }) => samples.map(({ contentHash }) => contentHash)));
  const asked = held.samples.filter(({ contentHash }) => !seen.has(contentHash));

  const evaluations: HeldOutEvaluation[] = [];
  let before: { readonly labels: ReadonlySet<string>; readonly answers: readonly HeldOutAnswer[] } | null =
    null;
  for (const snapshot of revisions) {
    const { samples, dim, decision: spec, revision } = snapshot;
    const decision = fitDecision(toSupport(samples, dim), spec, priors);
    const labels: ReadonlySet<string> = new Set(decision.labels);
    // The picture as it is, without the views that support pictures have.
    const answers = asked.map(({ label: truth, embeddings }): HeldOutAnswer => {
      const { kind, candidates } = decision.decide(stack([embeddings[0]!]), { topK: 1 });
      return { truth, kind, nearest: candidates[0]!.label };
    });
    const both = answers.flatMap(({ truth }, i) =>
      labels.has(truth) && before?.labels.has(truth) ? [i] : [],
    );
    evaluations.push({
      revision,
      ...heldOutRates(answers, labels),
      change:
        before &&
        pairedChange(
          both.map((i) => isRight(before!.answers[i]!)),
          both.map((i) => isRight(answers[i]!)),
        ),
    });
    before = { labels, answers };
  }
  return {
    heldOut,
    heldOutRevision: held.revision.number,
    pictures: asked.length,
    shown: held.samples.length - asked.length,
    evaluations,
  };
}
