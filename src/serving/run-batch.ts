import { isProtolineError, ProtolineError, row, stack } from "../core/index.ts";
import { cutRegion, decodePicture } from "../data/index.ts";
import type { EncodedPicture, Encoder, PictureEmbedding } from "../models/types.ts";
import { contentHash, toViews } from "../recognizer/pure.ts";

/** What a worker embeds: a preprocessed picture `[channels × height × width]`, or one that is still encoded. */
export type Item = Float32Array | EncodedPicture;

type Prepared = { readonly inputs: readonly Float32Array[]; readonly decode: number };

/**
 * Decodes, preprocesses and embeds a batch on this thread. Pictures are decoded side by side, off the thread; then one forward
 * pass embeds all. Where that pass fails, each is embedded alone, so that the error finds its owner.
 */
export async function runBatch(
  encoder: Encoder,
  batch: readonly Item[],
): Promise<readonly (PictureEmbedding | ProtolineError)[]> {
  const prepared = await Promise.all(batch.map((item) => prepare(encoder, item).catch(coded)));
  const good = prepared.flatMap((it) => (it instanceof ProtolineError ? [] : [it]));
  const together = await embed(encoder, good).catch((error: unknown) =>
    good.length === 1 ? [coded(error)] : null,
  );
  const alone = together ?? (await oneByOne(encoder, good));
  let next = 0;
  return prepared.map((it) => (it instanceof ProtolineError ? it : alone[next++]!));
}

async function oneByOne(
  encoder: Encoder,
  pieces: readonly Prepared[],
): Promise<(PictureEmbedding | ProtolineError)[]> {
  const results: (PictureEmbedding | ProtolineError)[] = [];
  for (const piece of pieces) results.push(await embed(encoder, [piece]).then(([one]) => one!, coded));
  return results;
}

async function prepare({ manifest }: Encoder, item: Item): Promise<Prepared> {
  if (item instanceof Float32Array) return { inputs: [item], decode: 0 };
  const started = performance.now();
  const { bytes, region, views, limits } = item;
  const whole = await decodePicture(bytes, limits);
  const picture = region ? cutRegion(whole, region) : whole;
  // Views are seeded by the content; without them nobody asks for its hash.
  const hash = views.length > 0 ? contentHash(bytes, region) : "";
  const inputs = toViews({ picture, contentHash: hash }, views, manifest);
  return { inputs, decode: performance.now() - started };
}

async function embed(encoder: Encoder, pieces: readonly Prepared[]): Promise<PictureEmbedding[]> {
  if (pieces.length === 0) return [];
  const started = performance.now();
  const all = await encoder.embed(pieces.flatMap(({ inputs }) => inputs));
  const each = (performance.now() - started) / all.n;
  let at = 0;
  return pieces.map(({ inputs, decode }) => ({
    embeddings: stack(
      inputs.map(() => row(all, at++)),
      all.dim,
    ),
    ms: { decode, embed: each * inputs.length },
  }));
}

/** An error without a code is a fault of Protoline's own. */
export function coded(error: unknown): ProtolineError {
  if (isProtolineError(error)) return error;
  return new ProtolineError("INTERNAL", {
    expected: "no error while a picture is embedded",
    got: error instanceof Error ? error.message : String(error),
    todo: "Report it with the picture, if it persists.",
    cause: error,
  });
}
