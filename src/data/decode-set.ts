import { ProtolineError, quote } from "../core/index.ts";
import type { DatasetPlan, PixelFormat } from "./datasets/types.ts";
import { decodePicture } from "./decode.ts";
import { readImageFile } from "./read.ts";
import { toInput } from "./to-input.ts";
import { openZip } from "./zip.ts";

type PlannedPicture = DatasetPlan["pictures"][number];

/** Pictures decoded at a time. More only holds more of them in memory. */
const atOnce = 8;

/**
 * Decodes every picture once and hands its bytes, `[channels, size, size]`, to `place`, in any order.
 *
 * Decoding runs in the threads that sharp has anyway. Worker threads of our own around it were measured and left out: of
 * 3,000 Omniglot drawings on two cores, 3.5 to 4.9 s of processor time without and 3.9 to 4.6 s with a pool of two, the
 * clock the same within its noise, and 37 MiB more of memory. The main thread's share is 0.4 ms a picture.
 *
 * @throws DATASET_BROKEN, naming the picture.
 */
export async function decodeSet(
  pictures: readonly PlannedPicture[],
  format: PixelFormat,
  place: (picture: number, bytes: Uint8Array) => void,
): Promise<void> {
  const queue = encoded(pictures);
  const worker = async (): Promise<void> => {
    for (;;) {
      const next = await queue.next();
      if (next.done) return;
      const { index, bytes } = next.value;
      place(
        index,
        await toBytes(bytes ?? (await readImageFile(pictures[index]!.path)), format).catch(
          (cause: unknown) => {
            throw broken(pictures[index]!, cause);
          },
        ),
      );
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Pictures with their encoded bytes, or `null` for a file that is read only when its turn comes. */
async function* encoded(
  pictures: readonly PlannedPicture[],
): AsyncGenerator<{ readonly index: number; readonly bytes: Uint8Array | null }> {
  const archives = new Map<string, Map<string, number>>();
  for (const [index, { archive, path }] of pictures.entries()) {
    if (archive === null) {
      yield { index, bytes: null };
      continue;
    }
    const entries = archives.get(archive) ?? new Map<string, number>();
    archives.set(archive, entries.set(path, index));
  }
  for (const [archive, entries] of archives) {
    const zip = await openZip(archive);
    for (const { name, bytes } of zip.files(entries.keys())) yield { index: entries.get(name)!, bytes };
  }
}

async function toBytes(
  encodedBytes: Uint8Array,
  { size, channels, interpolation, invert }: PixelFormat,
): Promise<Uint8Array> {
  const picture = await decodePicture(encodedBytes, { minSide: 1 });
  const zeros = channels === 1 ? [0] : [0, 0, 0];
  const values = toInput(picture, {
    size: [size, size],
    fit: "stretch",
    interpolation,
    padding: 0,
    channels: channels === 1 ? "gray" : "rgb",
    mean: zeros,
    std: zeros.map(() => 1),
    standardize: "none",
  });
  const out = new Uint8Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = invert ? 255.5 - values[i]! : values[i]! + 0.5;
  return out;
}

function broken({ archive, path }: PlannedPicture, cause: unknown): ProtolineError {
  const where = archive === null ? quote(path, 200) : `${quote(path, 120)} of ${quote(archive, 200)}`;
  return new ProtolineError("DATASET_BROKEN", {
    expected: `a whole picture ${where}`,
    got: cause instanceof Error ? cause.message : String(cause),
    todo: "Fetch the data set again, or take the picture out.",
    cause,
  });
}
