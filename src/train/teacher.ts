import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { type Embeddings, row } from "../core/index.ts";
import { type PixelSet, toInput } from "../data/index.ts";
import { l2, power, subtract } from "../fewshot/index.ts";
import type { Encoder } from "../models/index.ts";
import type { TrainConfig } from "./config.ts";

/** Encoders whose embeddings a student learns: what the method `distill` is fed beside its pictures. */
export interface Teacher {
  /** Numbers of an embedding: those of all encoders, side by side. */
  readonly dim: number;
  /**
   * `[n, dim]`, rows of length 1, of the pictures `[n, C, H, W]`, 0 … 255, of batch 0, 1, … of the run. Each batch is asked
   * of the encoders once and read from the disk after that; the batches must come in their order the first time.
   */
  embeddings(batch: number, bytes: Uint8Array): Promise<Float32Array>;
  /** Closes the file; the encoders belong to who opened them. */
  close(): Promise<void>;
}

export interface TeacherOptions {
  readonly config: TrainConfig;
  readonly train: PixelSet;
  readonly encoders: readonly Encoder[];
  /** Folder for the embeddings, which every run of the same pictures, views and teachers shares. */
  readonly cacheDir: string;
}

/** Pictures that the centre is the mean of, at most. */
const enough = 512;

/**
 * A teacher's embedding is that of each encoder with a square root (of the size, the sign kept) at length 1, less their
 * mean over some of the training pictures, at length 1 again; several encoders have equal weights.
 */
export async function openTeacher(options: TeacherOptions): Promise<Teacher> {
  const { train: set, encoders, cacheDir } = options;
  const image = set.channels * set.height * set.width;
  const ask = (bytes: Uint8Array): Promise<Float32Array[]> => askAll(encoders, set, bytes);
  const dim = encoders.reduce((sum, { embeddingDim }) => sum + embeddingDim, 0);

  const count = Math.min(enough, set.labels.length);
  const some = new Uint8Array(count * image);
  for (let i = 0; i < count; i++) {
    const at = Math.floor((i * set.labels.length) / count);
    some.set(set.pixels.subarray(at * image, (at + 1) * image), i * image);
  }
  const center = new Float32Array(dim);
  for (const vector of await ask(some)) for (let d = 0; d < dim; d++) center[d]! += vector[d]! / count;

  await mkdir(cacheDir, { recursive: true });
  const file = await openOrCreate(join(cacheDir, `${keyOf(options)}.f32`));
  return {
    dim,
    async embeddings(batch, bytes) {
      const n = bytes.length / image;
      const out = new Float32Array(n * dim);
      const raw = new Uint8Array(out.buffer);
      const at = batch * raw.length;
      const { size } = await file.stat();
      if (size >= at + raw.length) {
        await file.read(raw, 0, raw.length, at);
        return out;
      }
      (await ask(bytes)).forEach((vector, i) => {
        out.set(l2(subtract(vector, center)), i * dim);
      });
      // Half a batch, of a process that was killed while it wrote, is written over.
      if (size < at + raw.length && size >= at) await file.write(raw, 0, raw.length, at);
      return out;
    },
    close: () => file.close(),
  };
}

/** What the encoders say, before centring: `[n]` of `[dim]`. */
async function askAll(
  encoders: readonly Encoder[],
  { channels, height, width }: PixelSet,
  bytes: Uint8Array,
): Promise<Float32Array[]> {
  const plane = height * width;
  const pictures = Array.from({ length: bytes.length / (channels * plane) }, (_, i) => {
    const data = new Uint8Array(plane * 3);
    for (let c = 0; c < 3; c++) {
      const from = (i * channels + (channels === 3 ? c : 0)) * plane;
      for (let p = 0; p < plane; p++) data[p * 3 + c] = bytes[from + p]!;
    }
    return { width, height, data };
  });
  const told: Embeddings[] = [];
  for (const encoder of encoders) {
    told.push(await encoder.embed(pictures.map((picture) => toInput(picture, encoder.manifest.preprocess))));
    // Signals and timers get their turn: the runtime computes on this thread.
    await setImmediate();
  }
  return pictures.map((_, i) => {
    const parts = told.map((embeddings) => l2(power(row(embeddings, i), 0.5)));
    const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  });
}

/** All that decides the pictures of batch 0, 1, … and what is said of them; how many different ones there are does not. */
function keyOf({ config: { batch, augment, seed }, train, encoders }: TeacherOptions): string {
  const { channels, height, width, pixels } = train;
  return createHash("sha256")
    .update(JSON.stringify([1, channels, height, width, batch, augment, seed]))
    .update(encoders.map(({ modelHash }) => modelHash).join())
    .update(pixels)
    .digest("hex")
    .slice(0, 32);
}

async function openOrCreate(path: string): Promise<FileHandle> {
  return open(path, "r+").catch(() => open(path, "w+"));
}
