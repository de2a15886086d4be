import { mkdir, open, readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { ProtolineError, quote } from "../core/index.ts";
import type { Executor, JobProgress, JobReport, Piece } from "./types.ts";

export interface JobOptions {
  readonly pieces: readonly Piece[];
  readonly executor: Executor;
  /** What pieces came to lies here, a file for each; a job that is started again goes on with them. */
  readonly folder: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: JobProgress) => void;
}

const fileOf = (folder: string, { id }: Piece): string => join(folder, `${id}.json`);

/**
 * Has all pieces done that no earlier run had done. A piece's result is on the disk, whole, before it counts. A piece that
 * fails does not stop the others.
 *
 * @throws INVALID_ARGUMENT for a folder that cannot be used.
 */
export async function runJob(options: JobOptions): Promise<JobReport> {
  const { pieces, executor, folder, signal, onProgress } = options;
  const there = await usable(folder);
  const todo = pieces.filter((piece) => !there.has(`${piece.id}.json`));
  const kept = pieces.length - todo.length;
  const failed: { id: string; reason: string }[] = [];
  let done = kept;
  const told = (): void => onProgress?.({ done, total: pieces.length, kept });
  told();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < todo.length && !signal?.aborted) {
      const piece = todo[next++]!;
      try {
        await write(fileOf(folder, piece), JSON.stringify(await executor.execute(piece)));
        done++;
      } catch (error) {
        failed.push({ id: piece.id, reason: (error as Error).message });
      }
      told();
    }
  };
  await Promise.all(Array.from({ length: Math.min(executor.width, todo.length) }, lane));
  return { done, total: pieces.length, kept, failed };
}

/** What the pieces came to, in their order; a piece that has not been done is left out. */
export async function* results(folder: string, pieces: readonly Piece[]): AsyncGenerator<unknown> {
  for (const piece of pieces) {
    const text = await readFile(fileOf(folder, piece), "utf8").catch(() => null);
    if (text !== null) yield JSON.parse(text);
  }
}

async function usable(folder: string): Promise<ReadonlySet<string>> {
  try {
    await mkdir(folder, { recursive: true });
    return new Set(await readdir(folder));
  } catch (error) {
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `a folder for what comes out, at ${quote(folder, 200)}`,
      got: String((error as NodeJS.ErrnoException).code),
      todo: "Name another folder, or make it writable.",
      cause: error,
    });
  }
}

async function write(path: string, text: string): Promise<void> {
  const part = `${path}.part`;
  const file = await open(part, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, path);
}
