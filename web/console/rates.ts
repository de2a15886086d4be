import type { MapReply } from "../../src/server/protocol-console.ts";

/** Rates with intervals, and how both move with the limits. */

export interface Rate {
  readonly hits: number;
  readonly of: number;
  /** Holds the true rate in about 95 of 100 cases (Wilson 1927). */
  readonly interval: readonly [low: number, high: number];
}

export function rateOf(hits: number, of: number): Rate {
  if (of === 0) return { hits, of, interval: [0, 1] };
  const z = 1.959964;
  const share = hits / of;
  const middle = (share + (z * z) / (2 * of)) / (1 + (z * z) / of);
  const half = (z * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of))) / (1 + (z * z) / of);
  return { hits, of, interval: [hits === 0 ? 0 : middle - half, hits === of ? 1 : middle + half] };
}

/**
 * A left-out picture: the logarithm of its distance over the limit of its nearest class, with its own class known and with
 * it unknown (`null` where there is no other). Above 0 it is unknown.
 */
export interface Distance {
  readonly excess: number;
  readonly strange: number | null;
}

/** Logarithms beyond are of pictures that are all but equal, or far from everything: they would only stretch the scale. */
const farthest = 8;
const logOf = (excess: number): number => Math.max(-farthest, Math.min(farthest, Math.log(excess)));

/** Of the pictures that can be left out and of whose nearest class a limit is known. */
export const distancesOf = (samples: MapReply["samples"]): readonly Distance[] =>
  samples.flatMap(({ leftOut }) =>
    leftOut && leftOut.excess !== null
      ? [{ excess: logOf(leftOut.excess), strange: leftOut.strange === null ? null : logOf(leftOut.strange) }]
      : [],
  );

/** What both rates are when every limit is multiplied by e to the power of `shift`. */
export function ratesAt(
  pictures: readonly Distance[],
  shift: number,
): { readonly falseReject: Rate; readonly falseAccept: Rate } {
  const strange = pictures.flatMap((picture) => picture.strange ?? []);
  return {
    falseReject: rateOf(pictures.filter(({ excess }) => excess > shift).length, pictures.length),
    falseAccept: rateOf(strange.filter((excess) => excess <= shift).length, strange.length),
  };
}

/** Shifts between which the rates move, from where nothing is known to where everything is. */
export function shiftRange(pictures: readonly Distance[]): readonly [number, number] {
  const all = pictures.flatMap(({ excess, strange }) => (strange === null ? [excess] : [excess, strange]));
  const finite = all.filter((value) => Math.abs(value) < farthest);
  if (finite.length === 0) return [-1, 1];
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const margin = 0.02 * (high - low) + 1e-6;
  return [low - margin, high + margin];
}
