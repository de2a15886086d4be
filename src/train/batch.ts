import type { Episode, PixelSet } from "../data/index.ts";

/** How pixels become numbers: (pixel − mean)/std, one of each a channel. */
export interface Scaling {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Makes batches `[rows, C, H, W]` of float32 from rows of a pixel set. The numbers are those of `toInput`. */
export function batcher(set: PixelSet, { mean, std }: Scaling): (rows: readonly number[]) => Float32Array {
  const plane = set.height * set.width;
  const image = set.channels * plane;
  // A byte has 256 values: a table a channel instead of arithmetic a pixel.
  const tables = Array.from({ length: set.channels }, (_, c) => {
    const scale = 1 / std[c]!;
    const shift = -mean[c]! * scale;
    return Float32Array.from({ length: 256 }, (_, value) => value * scale + shift);
  });
  return (rows) => {
    const out = new Float32Array(rows.length * image);
    let to = 0;
    for (const row of rows) {
      let from = row * image;
      for (const table of tables) for (let i = 0; i < plane; i++) out[to++] = table[set.pixels[from++]!]!;
    }
    return out;
  };
}

/** The rows of an episode in the order of a method's images: support, then queries. */
export const episodeRows = ({ supportSet, querySet }: Episode): readonly number[] => [
  ...supportSet.rows,
  ...querySet.rows,
];
