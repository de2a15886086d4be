import { createRng, ProtolineError, type Rng } from "../../core/index.ts";

export type BatchData = Uint8Array | Float32Array;

/** Pictures of one size: `data` has shape `[n, channels, height, width]`, channels in the order red, green, blue. */
export interface Batch<T extends BatchData = BatchData> {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly data: T;
}

/** Pictures in a batch. @throws INVALID_ARGUMENT when the numbers do not fill whole pictures. */
export function batchLength({ channels, height, width, data }: Batch): number {
  const n = data.length / (channels * height * width);
  if (!Number.isInteger(n))
    throw invalid(`whole pictures of ${channels} × ${height} × ${width}`, `${data.length} numbers`);
  return n;
}

export function emptyLike<T extends BatchData>(data: T): T {
  return (data instanceof Uint8Array ? new Uint8Array(data.length) : new Float32Array(data.length)) as T;
}

/** What makes one picture of `target` from the same picture of `source`; `at` is where both begin. */
export type PictureChange<T extends BatchData> = (source: T, target: T, at: number, rng: Rng) => void;

/** Applies a change to every picture with a generator of its own: picture `i` depends on seed and `i` alone. */
export function changeEach<T extends BatchData>(
  batch: Batch<T>,
  seed: number,
  change: PictureChange<T>,
): Batch<T> {
  const n = batchLength(batch);
  const data = emptyLike(batch.data);
  const root = createRng(seed);
  const length = batch.channels * batch.height * batch.width;
  for (let i = 0; i < n; i++) change(batch.data, data, i * length, root.fork(i));
  return { ...batch, data };
}

/** The same for some pictures by chance; `target` begins as a copy, and the others stay so. */
export function changeSome<T extends BatchData>(
  batch: Batch<T>,
  probability: number,
  seed: number,
  change: PictureChange<T>,
): Batch<T> {
  checkRange("probability", probability, 0, 1);
  const length = batch.channels * batch.height * batch.width;
  return changeEach(batch, seed, (source, target, at, rng) => {
    target.set(source.subarray(at, at + length), at);
    if (rng.next() < probability) change(source, target, at, rng);
  });
}

export const between = (rng: Rng, [low, high]: readonly [number, number]): number =>
  low + (high - low) * rng.next();

/** @throws INVALID_ARGUMENT */
export function checkRange(name: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high)) throw invalid(`${name} from ${low} to ${high}`, `${value}`);
}

export function invalid(expected: string, got: string): ProtolineError {
  return new ProtolineError("INVALID_ARGUMENT", { expected, got, todo: "Correct the augmentation." });
}
