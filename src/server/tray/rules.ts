import { row, stack } from "../../core/index.ts";
import { applyTransform, cosineDistance, prototypes, type TransformSpec } from "../../fewshot/index.ts";
import type { Sample } from "../../store/store.ts";
import type { TrayFrame } from "./types.ts";

/** Cosine distance below which two frames are near-identical: one of them is kept. */
const sameBelow = 0.02;
/** Pictures that the scale of a class is taken from, at most: 120 have 7,140 pairs. */
const mostPictures = 120;
/** Frames of a class that nobody taught scatter more than those that the gallery is centred on. */
const scatter = 1.2;
/** Where no class has two pictures to tell it. */
const defaultReach = 0.4;

/** Where frames are compared: as the gallery's decision sees them, centred on its classes. */
export interface Space {
  /** Mean distance up to which groups are one: a fifth more than nine of ten pairs of a class are apart. */
  readonly reach: number;
  /** Raw, `[dim]`, to what is compared, `[dim]`. */
  place(raw: Float32Array): Float32Array;
}

export function spaceOf(samples: readonly Sample[], { power, normalize }: TransformSpec): Space {
  const plain = { power, normalize, center: "none" } as const;
  const some = samples.slice(-mostPictures);
  const rows = some.map(({ embeddings }) => applyTransform(embeddings[0]!, plain, null));
  const labels = some.map(({ label }) => label);
  const [first] = rows;
  let center: Float32Array | null = null;
  if (first && new Set(labels).size > 1) {
    const means = prototypes(stack(rows, first.length), labels).prototypes;
    center = new Float32Array(first.length);
    for (let c = 0; c < means.n; c++)
      row(means, c).forEach((value, d) => {
        center![d] = center![d]! + value / means.n;
      });
  }
  const spec = { power, normalize, center: center ? ("gallery" as const) : ("none" as const) };
  const place = (raw: Float32Array): Float32Array => applyTransform(raw, spec, center);
  const placed = some.map(({ embeddings }) => place(embeddings[0]!));
  const within: number[] = [];
  for (let i = 0; i < placed.length; i++)
    for (let j = 0; j < i; j++)
      if (labels[i] === labels[j]) within.push(cosineDistance(placed[i]!, placed[j]!));
  within.sort((a, b) => a - b);
  const usual = within[Math.floor(0.9 * within.length)];
  const reach = usual === undefined ? defaultReach : Math.max(2 * sameBelow, scatter * usual);
  return { place, reach };
}

/** The frame that `vector` looks the same as, or -1. */
export function sameAs(vector: Float32Array, others: readonly Float32Array[]): number {
  return others.findIndex((other) => cosineDistance(vector, other) < sameBelow);
}

/**
 * Which frame gives way: of the older half the least distant. So the newest half is always there, and beside it the most
 * distant of all that came before.
 *
 * @param frames oldest first; see {@link TrayFrame.excess}. Those of which it is not known give way first.
 */
export function givesWay(frames: readonly Pick<TrayFrame, "excess">[]): number {
  const older = Math.max(1, frames.length >> 1);
  const excess = (i: number): number => frames[i]!.excess ?? 0;
  let least = 0;
  for (let i = 1; i < older; i++) if (excess(i) < excess(least)) least = i;
  return least;
}

/**
 * Groups by average linkage: the two nearest groups are joined as long as their mean distance is below `reach`.
 * Indices, largest group first. A few hundred vectors at most: the work grows with the cube.
 */
export function cluster(vectors: readonly Float32Array[], reach: number): number[][] {
  const groups = vectors.map((_, i) => [i]);
  const apart = vectors.map((a, i) => vectors.map((b, j) => (i === j ? Number.NaN : cosineDistance(a, b))));
  const alive = new Set(vectors.keys());
  for (;;) {
    let best: [number, number, number] | null = null;
    for (const i of alive)
      for (const j of alive) if (j < i && apart[i]![j]! < (best?.[2] ?? reach)) best = [j, i, apart[i]![j]!];
    if (!best) break;
    const [into, from] = best;
    const [n, m] = [groups[into]!.length, groups[from]!.length];
    alive.delete(from);
    for (const k of alive) {
      if (k === into) continue;
      const mean = (n * apart[into]![k]! + m * apart[from]![k]!) / (n + m);
      apart[into]![k] = mean;
      apart[k]![into] = mean;
    }
    groups[into]!.push(...groups[from]!);
  }
  return [...alive].map((i) => groups[i]!.sort((a, b) => a - b)).sort((a, b) => b.length - a.length);
}
