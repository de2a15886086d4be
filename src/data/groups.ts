import type { Rng } from "../core/index.ts";

/** The rows of each group. */
export type GroupSizes = readonly (readonly number[])[];

/** The rows of each side. */
export interface Sides {
  readonly support: readonly number[];
  readonly query: readonly number[];
}

/** Whether the groups can be dealt so that one side has `shot` rows or more and the other `query` or more. */
export function canSplit(groups: GroupSizes, shot: number, query: number): boolean {
  // Rows that stand alone can be dealt in any way.
  if (groups.every((rows) => rows.length === 1)) return groups.length >= shot + query;
  return pathTo(groups, shot, query) !== undefined;
}

/** Deals the groups at random, in proportion to what each side needs. Only where {@link canSplit}. */
export function splitGroups(rng: Rng, groups: GroupSizes, shot: number, query: number): Sides {
  const share = shot / (shot + query);
  for (let attempt = 0; attempt < 50; attempt++) {
    const sides = deal(groups, () => rng.next() < share);
    if (sides.support.length >= shot && sides.query.length >= query) return sides;
  }
  // A split that chance hardly finds: the groups in random order, and the first way that their sizes allow.
  const order = rng.shuffle(groups);
  const chosen = pathTo(order, shot, query)!;
  return deal(order, (i) => chosen.has(i));
}

export function deal(groups: GroupSizes, toSupport: (group: number) => boolean): Sides {
  const support: number[] = [];
  const query: number[] = [];
  groups.forEach((rows, i) => {
    (toSupport(i) ? support : query).push(...rows);
  });
  return { support, query };
}

/** Subset sums: the groups of a support side of `shot` to `total − query` rows, as few rows as possible. */
function pathTo(groups: GroupSizes, shot: number, query: number): Set<number> | undefined {
  const total = groups.reduce((sum, rows) => sum + rows.length, 0);
  // reached[s]: the last group of a side of s rows; all groups before it in that side have smaller numbers.
  const reached: (number | undefined)[] = [-1];
  for (let g = 0; g < groups.length; g++) {
    const size = groups[g]!.length;
    for (let sum = total - size; sum >= 0; sum--) if (reached[sum] !== undefined) reached[sum + size] ??= g;
  }
  for (let sum = shot; sum <= total - query; sum++) {
    if (reached[sum] === undefined) continue;
    const chosen = new Set<number>();
    for (let left = sum; left > 0; ) {
      const g = reached[left]!;
      chosen.add(g);
      left -= groups[g]!.length;
    }
    return chosen;
  }
  return undefined;
}
