import { type Embeddings, row } from "../core/index.ts";
import type { Encoder } from "../models/index.ts";

/**
 * Milliseconds for one picture of each encoder, the median over `rounds`; they take turns, so that whatever else the
 * machine does meets all alike.
 */
export async function timeSideBySide(
  encoders: readonly Encoder[],
  pictures: readonly Float32Array[],
  rounds = 20,
): Promise<number[]> {
  const times = encoders.map(() => [] as number[]);
  for (let round = -2; round < rounds; round++) {
    const picture = pictures[(round + 2) % pictures.length]!;
    for (const [i, encoder] of encoders.entries()) {
      const at = performance.now();
      await encoder.embed([picture]);
      // The first rounds warm up.
      if (round >= 0) times[i]!.push(performance.now() - at);
    }
  }
  return times.map((list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)]!);
}

/** The mean cosine between the embeddings of the same pictures, 1 where they are the same. */
export function likeness(a: Embeddings, b: Embeddings): number {
  let sum = 0;
  for (let i = 0; i < a.n; i++) {
    const [u, v] = [row(a, i), row(b, i)];
    let [dot, uu, vv] = [0, 0, 0];
    for (let d = 0; d < u.length; d++) {
      dot += u[d]! * v[d]!;
      uu += u[d]! ** 2;
      vv += v[d]! ** 2;
    }
    sum += dot / (Math.sqrt(uu * vv) || 1);
  }
  return sum / a.n;
}
