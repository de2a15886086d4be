import { ProtolineError } from "../core/index.ts";
import { findDataset, type LoadOptions, loadDataset } from "../data/index.ts";
import type { Encoder } from "../models/index.ts";
import type { EmbeddedDataset } from "./embed.ts";
import { embedPixels } from "./embed-pixels.ts";

export interface EmbedSplitOptions
  extends Omit<LoadOptions, "size" | "channels" | "interpolation" | "onProgress"> {
  /** Pictures that are decoded, and then rows that are embedded. */
  readonly onProgress?: (stage: "load" | "embed", done: number, total: number) => void;
}

/**
 * Loads a split of a data set in the encoder's own size, channels and interpolation, and embeds it, for {@link evaluate}.
 * Pictures that are not square are stretched, as {@link loadDataset} does.
 *
 * @param name of a data set, see {@link findDataset}.
 * @throws what {@link loadDataset} throws; INVALID_ARGUMENT for an encoder that wants pictures that are not square.
 */
export async function embedSplit(
  name: string,
  encoder: Encoder,
  { onProgress, ...options }: EmbedSplitOptions,
): Promise<EmbeddedDataset> {
  const { size, channels, interpolation } = encoder.manifest.preprocess;
  const [height, width] = size;
  if (height !== width)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "an encoder of square pictures, for a data set by name",
      got: `${height} x ${width} pixels`,
      todo: "Evaluate a folder of the pictures with this encoder.",
    });
  const pixels = await loadDataset(name, {
    ...options,
    size: height,
    channels: channels === "gray" ? 1 : 3,
    interpolation,
    onProgress: (done, total) => onProgress?.("load", done, total),
  });
  return embedPixels(pixels, encoder, {
    invert: findDataset(name).invert,
    onProgress: (done, total) => onProgress?.("embed", done, total),
  });
}
