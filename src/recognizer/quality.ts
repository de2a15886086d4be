import { createRng } from "../core/index.ts";
import { type ExpectedRates, expectedRates } from "../fewshot/index.ts";
import { type ClassQuality, classQuality } from "../monitor/index.ts";
import type { GalleryRecognizer } from "./gallery-recognizer.ts";
import { toSupport } from "./snapshot.ts";

/** How good each class of the gallery is, by leaving each of its pictures out; see {@link classQuality}. */
export function galleryQuality<Image>(recognizer: GalleryRecognizer<Image>): readonly ClassQuality[] {
  const pictures = new Map<string, number>();
  for (const { label } of recognizer.samples) pictures.set(label, (pictures.get(label) ?? 0) + 1);
  const answers = recognizer
    .leaveOneOut()
    .map(({ sample: { label, origin }, decided: { kind, candidates } }) => ({
      ...{ label, origin, kind },
      nearest: candidates[0]!.label,
      confidence: candidates.find((candidate) => candidate.label === label)?.confidence ?? 0,
    }));
  return classQuality(answers, pictures);
}

/**
 * What is to be expected of the gallery's known parts and of parts never shown, at several stated rates; see
 * {@link expectedRates}. One class alone gives what can be said of it.
 */
export function galleryRates<Image>(recognizer: GalleryRecognizer<Image>, seed = 1): ExpectedRates<string> {
  const { samples, decision, priors, encoder } = recognizer;
  return expectedRates(toSupport(samples, encoder.embeddingDim), decision, priors, createRng(seed));
}
