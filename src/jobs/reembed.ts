import { ProtolineError, sha256 } from "../core/index.ts";
import type { DecisionSpec } from "../fewshot/index.ts";
import type { Encoder } from "../models/index.ts";
import { embedKept, replaceAll } from "../recognizer/index.ts";
import type { Change, GalleryStore, RevisionInfo, Sample } from "../store/index.ts";
import { results, runJob } from "./run.ts";
import type { Executor, JobProgress, Piece, Work } from "./types.ts";

type KeptSample = Pick<Sample, "id" | "label" | "origin" | "contentHash">;

/** What a worker is told. */
interface EmbedInput {
  readonly gallery: string;
  readonly model: string;
  readonly modelHash: string;
  readonly views: DecisionSpec["views"]["support"];
  readonly samples: readonly KeptSample[];
}

/** By sample: its id, and its embeddings in base64 of little-endian 32-bit floats. */
type Embedded = readonly (readonly [id: string, embeddings: readonly string[]])[];

export interface EmbedMeans {
  readonly store: GalleryStore;
  /** Opens the encoder of a name, the same one each time. */
  readonly encoders: (model: string) => Promise<Encoder>;
}

/** Does the pieces of `reembed`. */
export const embedWork =
  (means: EmbedMeans): Work =>
  ({ input }) =>
    embedSamples(input as EmbedInput, means);

async function embedSamples(
  { gallery, model, modelHash, views, samples }: EmbedInput,
  { store, encoders }: EmbedMeans,
): Promise<Embedded> {
  const encoder = await encoders(model);
  if (encoder.modelHash !== modelHash)
    throw new ProtolineError("MODEL_MISMATCH", {
      expected: `model ${model} (${modelHash.slice(0, 12)}), as whoever asked has it`,
      got: `${model} (${encoder.modelHash.slice(0, 12)}) on this machine`,
      todo: "Give all machines the same model file.",
    });
  const embedded = await embedKept({ store, gallery, encoder }, samples, views);
  return [...embedded].map(([id, vectors]) => [id, vectors.map(toText)]);
}

const toText = ({ buffer, byteOffset, byteLength }: Float32Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString("base64");

/** Copied, as a Buffer's bytes need not begin at a multiple of four. */
const fromText = (text: string): Float32Array =>
  new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);

/** Samples that are embedded together. */
export const samplesPerPiece = 32;

export interface ReembedOptions {
  readonly store: GalleryStore;
  readonly gallery: string;
  /** The model that the gallery is to have; its own decision comes with it. */
  readonly encoder: Encoder;
  /** As workers find it: a name of `protoline models`, or a path that is the same on their machines. */
  readonly model: string;
  readonly executor: Executor;
  /** What is done lies here; started again with the same folder, it goes on. */
  readonly folder: string;
  readonly change: Change;
  /** Samples that are embedded, and embedded again after a failure, together. Default {@link samplesPerPiece}. */
  readonly pieceSize?: number;
  readonly onProgress?: (progress: JobProgress) => void;
}

/**
 * Embeds the kept pictures of a whole gallery with another model, piece by piece, then puts all in place as one revision.
 * Until then the gallery answers and takes changes as before; pictures that came meanwhile are embedded in a further
 * round. Nothing is changed where a piece failed.
 *
 * @throws JOB_INCOMPLETE where a piece failed for good.
 */
export async function reembed(options: ReembedOptions): Promise<RevisionInfo> {
  const { store, gallery, encoder, change, executor, folder, onProgress } = options;
  const { decision } = encoder.manifest;
  const views = decision.views.support;
  const embeddings = new Map<string, readonly Float32Array[]>();
  for (;;) {
    // Samples that wait have embeddings of the old kind: they join first.
    await store.publish(gallery, change);
    const { samples } = await store.snapshot(gallery);
    const todo = samples.filter(({ id }) => !embeddings.has(id));
    if (todo.length === 0) {
      const wanted = new Map(samples.map(({ id }) => [id, embeddings.get(id)!]));
      const revision = await replaceAll(store, gallery, encoder, decision, wanted, change);
      if (revision) return revision;
      continue;
    }
    const pieces = embedPieces(todo, { ...options, views });
    const report = await runJob({ pieces, executor, folder, ...(onProgress && { onProgress }) });
    const [failed] = report.failed;
    if (failed)
      throw new ProtolineError("JOB_INCOMPLETE", {
        expected: `${report.total} pieces of gallery ${gallery} embedded`,
        got: `${report.failed.length} failed; the first: ${failed.reason}`,
        todo: "Remove the cause and start the same command again with the same folder: it does what is missing.",
      });
    for await (const piece of results(folder, pieces) as AsyncIterable<Embedded>)
      for (const [id, texts] of piece) embeddings.set(id, texts.map(fromText));
  }
}

/** A piece is named by model, views and the contents of its samples. */
function embedPieces(
  samples: readonly Sample[],
  {
    gallery,
    model,
    encoder: { modelHash },
    views,
    pieceSize = samplesPerPiece,
  }: ReembedOptions & Pick<EmbedInput, "views">,
): Piece[] {
  const pieces: Piece[] = [];
  for (let from = 0; from < samples.length; from += pieceSize) {
    const part = samples
      .slice(from, from + pieceSize)
      .map(({ id, label, origin, contentHash }) => ({ id, label, origin, contentHash }));
    const input: EmbedInput = { gallery, model, modelHash, views, samples: part };
    const text = JSON.stringify([
      gallery,
      modelHash,
      views,
      part.map(({ id, contentHash }) => [id, contentHash]),
    ]);
    pieces.push({
      id: `embed-${sha256(new TextEncoder().encode(text)).slice(0, 32)}`,
      kind: "embed",
      input,
    });
  }
  return pieces;
}
