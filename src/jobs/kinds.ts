import { stat } from "node:fs/promises";
import { isProtolineError, sha256 } from "../core/index.ts";
import type { Recognition, Recognizer } from "../recognizer/index.ts";
import { type EmbedMeans, embedWork } from "./reembed.ts";
import type { Piece, Work } from "./types.ts";

/** What `recognize` answers for one picture. */
export type FileAnswer =
  | {
      readonly file: string;
      readonly kind: Recognition["kind"];
      readonly label: string | null;
      readonly confidence: number;
      readonly distance: number;
      readonly revision: number;
    }
  | { readonly file: string; readonly error: { readonly code: string; readonly message: string } };

interface RecognizeInput {
  readonly gallery: string;
  /** Answers come from this revision or a later one: a worker that has an older one looks again. */
  readonly revision: number;
  readonly files: readonly string[];
}

/** Opens the recognizer of a gallery, the same one each time. */
export type Recognizers = (gallery: string) => Promise<Recognizer>;

/** Cuts files into pieces of `size`: path, size and time of change of each file, gallery, revision and model name a piece. */
export async function recognizePieces(
  files: readonly string[],
  {
    gallery,
    revision,
    modelHash,
    size,
  }: {
    readonly gallery: string;
    readonly revision: number;
    readonly modelHash: string;
    readonly size: number;
  },
): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for (let from = 0; from < files.length; from += size) {
    const part = files.slice(from, from + size);
    const facts = await Promise.all(
      part.map(async (file) => {
        const found = await stat(file).catch(() => null);
        return [file, found?.size, found?.mtimeMs];
      }),
    );
    const text = JSON.stringify([gallery, revision, modelHash, facts]);
    const input: RecognizeInput = { gallery, revision, files: part };
    pieces.push({
      id: `recognize-${sha256(new TextEncoder().encode(text)).slice(0, 32)}`,
      kind: "recognize",
      input,
    });
  }
  return pieces;
}

async function recognizeFiles(input: RecognizeInput, recognizers: Recognizers): Promise<FileAnswer[]> {
  const recognizer = await recognizers(input.gallery);
  if (recognizer.revision.number < input.revision) await recognizer.refresh();
  const answers: FileAnswer[] = [];
  for (const file of input.files)
    try {
      const answer = await recognizer.recognize(file, { topK: 1 });
      const { kind, confidence, distance, revision } = answer;
      const label = answer.kind === "known" ? answer.label : null;
      answers.push({ file, kind, label, confidence, distance, revision });
    } catch (error) {
      if (!isProtolineError(error) || error.code === "GALLERY_EMPTY") throw error;
      answers.push({ file, error: { code: error.code, message: error.message } });
    }
  return answers;
}

/** What pieces are done with. */
export interface Means extends EmbedMeans {
  readonly recognizers: Recognizers;
}

/** Does pieces of every kind; one line each. */
export const workOf =
  ({ recognizers, ...means }: Means): Work =>
  (piece) => {
    switch (piece.kind) {
      case "recognize":
        return recognizeFiles(piece.input as RecognizeInput, recognizers);
      case "embed":
        return embedWork(means)(piece);
      default:
        throw new Error(`work of kind ${piece.kind}, which this version does not know`);
    }
  };
