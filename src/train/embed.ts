import { createHash } from "node:crypto";
import {
  type Embeddings,
  type ErrorCode,
  isProtolineError,
  ProtolineError,
  quote,
  stack,
} from "../core/index.ts";
import {
  augment,
  decodePicture,
  type ImageLimits,
  readImageFile,
  toInput,
  viewsPerKind,
} from "../data/index.ts";
import type { ViewKind } from "../fewshot/index.ts";
import type { Encoder } from "../models/index.ts";
import { type EmbeddingCache, openEmbeddingCache } from "./cache.ts";

/** The pictures of one class. */
export interface EmbeddedClass {
  readonly label: string;
  /** Raw encoder output, `[pictures × views, dim]`: the views of one picture in a row, as it is first. */
  readonly embeddings: Embeddings;
  /** Path of each picture, `[pictures]`. */
  readonly origins: readonly string[];
}

/** What a view of a picture shows. */
export type EmbeddedView = ViewKind | "original";

export interface EmbeddedDataset {
  readonly classes: readonly EmbeddedClass[];
  readonly dim: number;
  /** Of each picture, `[views]`; the first is `original`. */
  readonly views: readonly EmbeddedView[];
}

export interface EmbedProgress {
  readonly done: number;
  readonly total: number;
  /** Those of `done` that the cache held. */
  readonly cached: number;
}

export interface EmbedOptions {
  /** Further views of every picture. Default none. */
  readonly views?: readonly ViewKind[];
  /** A folder for embeddings by content, so that the next evaluation is quick. Default: nothing is written. */
  readonly cacheDir?: string;
  readonly limits?: Partial<ImageLimits>;
  readonly onProgress?: (progress: EmbedProgress) => void;
}

export interface EmbedResult extends EmbeddedDataset {
  /** Pictures that could not be read, and why. */
  readonly rejected: readonly {
    readonly origin: string;
    readonly code: ErrorCode;
    readonly message: string;
  }[];
}

/** Pictures that are decoded together while those before them are embedded: what bounds the memory. */
const batch = 16;

/**
 * Decodes and embeds every picture of a listing. A picture that cannot be read is reported in `rejected` and the
 * others are kept.
 *
 * Throws CLASS_EMPTY when none of a class can be read, INVALID_ARGUMENT when the cache folder cannot be used.
 */
export async function embedDataset(
  classes: readonly { readonly label: string; readonly images: readonly string[] }[],
  encoder: Encoder,
  { views = [], cacheDir, limits, onProgress }: EmbedOptions = {},
): Promise<EmbedResult> {
  const kinds = [...new Set(views)];
  const viewKinds: EmbeddedView[] = [
    "original",
    ...kinds.flatMap((kind) => Array<ViewKind>(viewsPerKind[kind]).fill(kind)),
  ];
  const cache = cacheDir === undefined ? null : await openCache(cacheDir, encoder, kinds, viewKinds.length);
  const rejected: EmbedResult["rejected"][number][] = [];
  const total = classes.reduce((sum, { images }) => sum + images.length, 0);
  let [done, hits] = [0, 0];

  /** A picture with its embedding from the cache, or ready for the encoder; `null` when it cannot be read. */
  const prepare = async (origin: string): Promise<Prepared | null> => {
    try {
      const bytes = await readImageFile(origin, limits);
      const hash = createHash("sha256").update(bytes).digest("hex");
      const numbers = await cache?.get(hash);
      if (numbers) return { origin, hash, numbers, inputs: [] };
      const picture = await decodePicture(bytes, limits);
      // Seeded by the content, as an enrolled picture's views are.
      const seed = Number.parseInt(hash.slice(0, 8), 16);
      const shown = [picture, ...augment(picture, kinds, seed)];
      return { origin, hash, inputs: shown.map((view) => toInput(view, encoder.manifest.preprocess)) };
    } catch (error) {
      if (!isProtolineError(error)) throw error;
      rejected.push({ origin, code: error.code, message: error.message });
      return null;
    }
  };

  /** `[views × dim]` of each picture, in order. */
  const embed = async (prepared: readonly Prepared[]): Promise<Float32Array[]> => {
    const { data } = await encoder.embed(prepared.flatMap(({ inputs }) => inputs));
    const length = viewKinds.length * encoder.embeddingDim;
    const all: Float32Array[] = [];
    let fresh = 0;
    for (const { hash, numbers } of prepared) {
      if (numbers) {
        hits++;
        all.push(numbers);
      } else {
        const embedded = data.slice(fresh * length, ++fresh * length);
        await cache?.add(hash, embedded);
        all.push(embedded);
      }
    }
    return all;
  };

  const embedClass = async (label: string, images: readonly string[]): Promise<EmbeddedClass> => {
    const origins: string[] = [];
    const rows: Float32Array[] = [];
    const batchAt = (start: number) => Promise.all(images.slice(start, start + batch).map(prepare));
    let next = batchAt(0);
    for (let start = 0; start < images.length; start += batch) {
      const prepared = (await next).filter((picture) => picture !== null);
      next = batchAt(start + batch);
      // Awaited a turn later: a failure until then is not lost, and not an unhandled one.
      next.catch(() => {});
      origins.push(...prepared.map(({ origin }) => origin));
      rows.push(...(await embed(prepared)));
      done += Math.min(batch, images.length - start);
      onProgress?.({ done, total, cached: hits });
    }
    if (rows.length === 0) throw classEmpty(label, rejected.at(-1)?.message);
    const { data, n } = stack(rows);
    return { label, origins, embeddings: { data, n: n * viewKinds.length, dim: encoder.embeddingDim } };
  };

  try {
    const embedded: EmbeddedClass[] = [];
    for (const { label, images } of classes) embedded.push(await embedClass(label, images));
    return { classes: embedded, dim: encoder.embeddingDim, views: viewKinds, rejected };
  } finally {
    await cache?.close();
  }
}

interface Prepared {
  readonly origin: string;
  readonly hash: string;
  readonly numbers?: Float32Array;
  readonly inputs: readonly Float32Array[];
}

async function openCache(
  dir: string,
  { modelHash, embeddingDim }: Encoder,
  kinds: readonly ViewKind[],
  views: number,
): Promise<EmbeddingCache> {
  const key = { modelHash, views: kinds.join("+"), length: views * embeddingDim };
  const cache = await openEmbeddingCache(dir, key).catch((error: unknown) => refuseCache(dir, error));
  return {
    ...cache,
    add: (hash, numbers) => cache.add(hash, numbers).catch((error: unknown) => refuseCache(dir, error)),
  };
}

function refuseCache(dir: string, cause: unknown): never {
  throw new ProtolineError("INVALID_ARGUMENT", {
    expected: `a cache folder that can be read and written at ${quote(dir, 200)}`,
    got: cause instanceof Error && "code" in cause ? String(cause.code) : String(cause),
    todo: "Name another folder, make room, or leave the cache out.",
    cause,
  });
}

function classEmpty(label: string, reason: string | undefined): ProtolineError {
  return new ProtolineError("CLASS_EMPTY", {
    expected: `at least one readable image in class ${quote(label)}`,
    got: reason === undefined ? "no image" : `none; the last one: ${reason}`,
    todo: "Add images to the class, or remove it.",
  });
}
