import { isProtolineError, ProtolineError, quote } from "../core/index.ts";
import { type Preprocess, readPicture, toInput } from "../data/index.ts";
import type { Inputs } from "./calibrate.ts";

export interface ReadInputs extends Inputs {
  /** Files that could not be read, and why. */
  readonly rejected: readonly { readonly path: string; readonly message: string }[];
}

/**
 * Pictures as an encoder takes them, at most `most` of the paths, evenly spread over the list so that every folder in it
 * has its share.
 *
 * @throws FOLDER_EMPTY where none can be read.
 */
export async function readInputs(
  paths: readonly string[],
  preprocess: Preprocess,
  {
    most,
    onProgress,
  }: { readonly most: number; readonly onProgress?: (done: number, total: number) => void },
): Promise<ReadInputs> {
  const total = Math.min(most, paths.length);
  const chosen = Array.from({ length: total }, (_, i) => paths[Math.floor((i * paths.length) / total)]!);
  const pictures: Float32Array[] = [];
  const rejected: { path: string; message: string }[] = [];
  for (const [i, path] of chosen.entries()) {
    try {
      pictures.push(toInput(await readPicture(path), preprocess));
    } catch (error) {
      if (!isProtolineError(error)) throw error;
      rejected.push({ path, message: error.message });
    }
    onProgress?.(i + 1, total);
  }
  if (pictures.length === 0)
    throw new ProtolineError("FOLDER_EMPTY", {
      expected: "pictures that can be read",
      got: rejected[0] ? `none; ${quote(rejected[0].path, 120)}: ${rejected[0].message}` : "none",
      todo: "Name a folder that holds pictures of what the line shows.",
    });
  return { pictures, rejected, shape: [preprocess.channels === "gray" ? 1 : 3, ...preprocess.size] };
}
