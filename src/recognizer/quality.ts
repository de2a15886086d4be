import { type ClassQuality, classQuality } from "../monitor/index.ts";
import type { GalleryRecognizer } from "./gallery-recognizer.ts";

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
