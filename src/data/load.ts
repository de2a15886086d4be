import { existsSync } from "node:fs";
import { join } from "node:path";
import { ProtolineError, quote } from "../core/index.ts";
import { datasets } from "./datasets/index.ts";
import type { Dataset, DatasetPlan, PixelFormat, PlanOptions } from "./datasets/types.ts";
import { decodeSet } from "./decode-set.ts";
import { cacheKey, readCache, writeCache } from "./pixel-cache.ts";
import type { PixelSet } from "./pixel-set.ts";
import { turnPlane } from "./quarter-turns.ts";
import type { DatasetSplit } from "./split-files.ts";

export interface LoadOptions extends Partial<Omit<PixelFormat, "invert">>, PlanOptions {
  /** The data set's own folder, or one that holds it by its name. */
  readonly root: string;
  readonly split: DatasetSplit;
  /** Folder for decoded sets, so that the next call reads one file instead of decoding. Default: none. */
  readonly cacheDir?: string;
  /** Bytes that the decoded set may take. Default 2 GiB. */
  readonly memoryLimit?: number;
  /** Pictures decoded so far, of all; once with all where they came from the cache. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * A data set, or one split of it, decoded to bytes; rows class by class in the order of the split's list.
 * Size, channels and interpolation are those that the field uses for the set unless given; a picture that is not square
 * is stretched.
 *
 * @param name of one of {@link datasets}.
 * @throws DATASET_NOT_FOUND, DATASET_BROKEN, DATASET_TOO_LARGE (before anything is decoded), SPLIT_INVALID,
 * INVALID_ARGUMENT; for a folder also FOLDER_NOT_FOUND, FOLDER_EMPTY, CLASS_EMPTY.
 */
export async function loadDataset(name: string, options: LoadOptions): Promise<PixelSet> {
  const dataset = findDataset(name);
  const { size = dataset.size, channels = dataset.channels, interpolation = dataset.interpolation } = options;
  checkFormat(size, channels);
  const format: PixelFormat = { size, channels, interpolation, invert: dataset.invert };
  const root = datasetRoot(dataset, options.root);
  if (dataset.files.length > 0 && !existsSync(root)) throw notThere(dataset, root);
  const plan = await dataset.plan(root, options.split, options);
  const length = plan.rows.length * channels * size * size;
  refuseTooLarge(length, plan.rows.length, options.memoryLimit ?? 2 * 2 ** 30);

  const pixels = await cached(plan, format, length, options, `${name}-${options.split}`);
  const grouped = plan.rows.some(({ group }) => group !== undefined);
  return {
    channels,
    height: size,
    width: size,
    pixels,
    labels: plan.rows.map(({ label }) => label),
    ...(grouped && { groups: plan.rows.map(({ group }, i) => group ?? `row ${i}`) }),
  };
}

/** @throws INVALID_ARGUMENT, with the names that there are. */
export function findDataset(name: string): Dataset {
  const found = datasets.find((dataset) => dataset.name === name);
  if (found) return found;
  throw new ProtolineError("INVALID_ARGUMENT", {
    expected: `one of the data sets ${datasets.map((dataset) => dataset.name).join(", ")}`,
    got: quote(name),
    todo: "Take one of these; pictures of your own are the data set `folder`.",
  });
}

function notThere({ name }: Dataset, root: string): ProtolineError {
  return new ProtolineError("DATASET_NOT_FOUND", {
    expected: `a folder ${quote(root, 200)}`,
    got: "nothing of that name",
    todo: `Fetch the data set with \`protoline data pull ${name}\`, or name the folder that it lies in (--data).`,
  });
}

/** The data set's own folder. */
export function datasetRoot({ name }: Dataset, root: string): string {
  const inside = join(root, name);
  return name !== "folder" && existsSync(inside) ? inside : root;
}

function checkFormat(size: number, channels: number): void {
  if (Number.isInteger(size) && size >= 1 && size <= 4096 && (channels === 1 || channels === 3)) return;
  throw new ProtolineError("INVALID_ARGUMENT", {
    expected: "a size of 1 to 4096 pixels, and 1 or 3 channels",
    got: `${size} pixels, ${channels} channels`,
    todo: "Correct size or channels.",
  });
}

function refuseTooLarge(length: number, rows: number, limit: number): void {
  if (length <= limit) return;
  throw new ProtolineError("DATASET_TOO_LARGE", {
    expected: `at most ${limit} bytes of decoded pixels`,
    got: `${rows} pictures of ${length / rows} bytes, ${length} in all`,
    todo: "Make the pictures smaller (size, channels), load one split alone, or raise memoryLimit.",
  });
}

async function cached(
  plan: DatasetPlan,
  format: PixelFormat,
  length: number,
  { cacheDir, onProgress }: LoadOptions,
  name: string,
): Promise<Uint8Array> {
  if (cacheDir === undefined) return decode(plan, format, length, onProgress);
  const key = await cacheKey(plan, format);
  const path = join(cacheDir, `${name}-${key.slice(0, 16)}.pixels`);
  const found = await readCache(path, key, length);
  if (found) {
    onProgress?.(plan.pictures.length, plan.pictures.length);
    return found;
  }
  const pixels = await decode(plan, format, length, onProgress);
  await writeCache(path, key, pixels);
  return pixels;
}

async function decode(
  { pictures, rows }: DatasetPlan,
  format: PixelFormat,
  length: number,
  onProgress?: (done: number, total: number) => void,
): Promise<Uint8Array> {
  const { size, channels } = format;
  const plane = size * size;
  const rowsOf: number[][] = pictures.map(() => []);
  for (const [row, { picture }] of rows.entries()) rowsOf[picture]!.push(row);
  const pixels = new Uint8Array(length);
  let done = 0;
  await decodeSet(pictures, format, (picture, bytes) => {
    for (const row of rowsOf[picture]!)
      for (let c = 0; c < channels; c++)
        turnPlane(bytes, c * plane, pixels, (row * channels + c) * plane, size, rows[row]!.turns);
    onProgress?.(++done, pictures.length);
  });
  return pixels;
}
