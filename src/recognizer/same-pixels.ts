import { ProtolineError, quote } from "../core/index.ts";
import type { NewSample, Sample } from "../store/pure.ts";

/** How far apart two embeddings of the same pixels may be, as a share of their largest number: a batch rounds otherwise. */
const rounding = 1e-4;

/**
 * Whether two raw embeddings, `[dim]`, are of the same pixels: one picture in two files, as PNG and as BMP. A picture that was
 * compressed again differs by more.
 */
function samePixels(a: Float32Array, b: Float32Array): boolean {
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]!));
  const near = rounding * largest;
  // Of other pictures one of the first numbers differs already.
  for (let i = 0; i < a.length; i++) if (!(Math.abs(a[i]! - b[i]!) <= near)) return false;
  return true;
}

/**
 * New pictures of class `name` apart from those whose pixels another class holds in another file, each with what is to be
 * said of it; the store knows files by their bytes. `held`: the samples of the gallery.
 */
export function withoutSamePixels(
  name: string,
  samples: readonly NewSample[],
  held: readonly Sample[],
): {
  readonly kept: NewSample[];
  readonly refused: { readonly origin: string; readonly error: ProtolineError }[];
} {
  const others = held.filter(({ label }) => label !== name);
  const kept: NewSample[] = [];
  const refused: { origin: string; error: ProtolineError }[] = [];
  for (const sample of samples) {
    const twin = others.find(
      ({ contentHash, embeddings }) =>
        contentHash !== sample.contentHash && samePixels(embeddings[0]!, sample.embeddings[0]!),
    );
    if (!twin) {
      kept.push(sample);
      continue;
    }
    const error = new ProtolineError("SAMPLE_IN_OTHER_CLASS", {
      expected: `a picture of ${quote(name)} alone`,
      got: `one with the same pixels as ${quote(twin.origin)}, which ${quote(twin.label)} holds`,
      todo: "Remove it there, or enroll it with allowOtherClass if both names are right.",
    });
    refused.push({ origin: sample.origin, error });
  }
  return { kept, refused };
}
