import { createRng, ProtolineError } from "../core/index.ts";

/** Shares of the rows, each ≥ 0; they are scaled to sum 1. A side of share 0 stays empty. */
export interface SplitShares {
  readonly train: number;
  readonly val: number;
  readonly test: number;
}

/** Rows of each side, ascending. */
export type SplitRows = Readonly<Record<keyof SplitShares, readonly number[]>>;

const sides = ["train", "val", "test"] as const;

/**
 * Splits the rows of a data set so that no group (part, serial, photograph, film) is on two sides, and each class has
 * its shares as nearly as its groups allow. A class with as many groups as there are sides is on all of them, as long as
 * its groups hold no other class; one with fewer cannot be. With the labels for groups, the classes themselves are split.
 *
 * @param labels `[n]`
 * @param groups `[n]`; `null`: every row stands alone.
 * @param seed any integer.
 * @throws INVALID_ARGUMENT
 */
export function splitByGroup(
  labels: readonly string[],
  groups: readonly string[] | null,
  shares: SplitShares,
  seed: number,
): SplitRows {
  const sum = shares.train + shares.val + shares.test;
  if (sides.some((side) => !(shares[side] >= 0)) || !(sum > 0 && sum < Number.POSITIVE_INFINITY))
    throw invalid("shares of at least 0 that are not all 0", sides.map((side) => shares[side]).join(", "));
  if (groups && groups.length !== labels.length)
    throw invalid(`${labels.length} groups, one a row`, `${groups.length}`);

  const rng = createRng(seed);
  const byGroup = grouped(labels, groups);
  // Large groups first: the small ones even out what those leave.
  const order = rng.shuffle(byGroup).sort((a, b) => b.rows.length - a.rows.length);
  const open = sides.filter((side) => shares[side] > 0);
  const classes = new Map<string, Tally>();
  for (const { counts } of order)
    for (const [label, count] of counts) {
      const tally = classes.get(label) ?? newTally();
      classes.set(label, tally);
      tally.rows += count;
      tally.groups++;
      tally.groupsLeft++;
    }
  const all = { ...newTally(), rows: labels.length };

  const result = { train: [] as number[], val: [] as number[], test: [] as number[] };
  for (const { rows, counts } of order) {
    const costs = open.map((side) => {
      // Growth of the squared distance from the side's share, of all rows and of each class.
      const growth = ({ rows: total, given }: Tally, count: number): number =>
        count * (2 * (given[side] - (total * shares[side]) / sum) + count);
      let cost = growth(all, rows.length);
      for (const [label, count] of counts) {
        const tally = classes.get(label)!;
        if (tally.groups < open.length) continue;
        cost += growth(tally, count);
        const without = open.filter((other) => tally.given[other] === 0);
        if (tally.given[side] === 0 && tally.groupsLeft <= without.length) cost -= 1e12;
      }
      return cost;
    });
    const side = open[costs.indexOf(Math.min(...costs))]!;
    result[side].push(...rows);
    all.given[side] += rows.length;
    for (const [label, count] of counts) {
      const tally = classes.get(label)!;
      tally.given[side] += count;
      tally.groupsLeft--;
    }
  }
  for (const side of sides) result[side].sort((a, b) => a - b);
  return result;
}

interface Tally {
  rows: number;
  groups: number;
  /** Groups that are not given to a side yet. */
  groupsLeft: number;
  readonly given: Record<keyof SplitShares, number>;
}

const newTally = (): Tally => ({ rows: 0, groups: 0, groupsLeft: 0, given: { train: 0, val: 0, test: 0 } });

interface Group {
  readonly rows: number[];
  /** Rows of each class. */
  readonly counts: Map<string, number>;
}

function grouped(labels: readonly string[], groups: readonly string[] | null): Group[] {
  const byName = new Map<string, Group>();
  labels.forEach((label, row) => {
    const name = groups ? groups[row]! : `${row}`;
    const group = byName.get(name) ?? { rows: [], counts: new Map<string, number>() };
    byName.set(name, group);
    group.rows.push(row);
    group.counts.set(label, (group.counts.get(label) ?? 0) + 1);
  });
  return [...byName.values()];
}

function invalid(expected: string, got: string): ProtolineError {
  return new ProtolineError("INVALID_ARGUMENT", { expected, got, todo: "Correct the split." });
}
