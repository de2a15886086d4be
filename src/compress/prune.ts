import { ProtolineError } from "../core/index.ts";
import type { Channels } from "./channels.ts";

export interface ChooseOptions {
  /** Share of the channels that can go, above 0 and below 1. */
  readonly share: number;
  /** What is left of a width is a multiple of this, where it was one before: the runtime works in such blocks. Default 8. */
  readonly multiple?: number;
  /**
   * `even`: every width loses the same share. `global`: the least important go wherever they are, down to a quarter of a
   * width; only for importances that compare between widths, as the gradient's do. Default `even`.
   */
  readonly spread?: "even" | "global";
}

export interface PrunedLayer {
  readonly name: string;
  readonly before: number;
  readonly after: number;
}

export interface Choice {
  readonly gone: ReadonlySet<number>;
  readonly layers: readonly PrunedLayer[];
  /** Channels that went, of all that could: what `share` came to after rounding. */
  readonly share: number;
}

/**
 * The least important channels, so many that `share` of all goes, or as near as whole blocks allow.
 *
 * @param importance by root.
 * @throws INVALID_ARGUMENT for a share outside 0 … 1, MODEL_UNSUPPORTED where nothing can go.
 */
export function choose(
  { layers }: Channels,
  importance: ReadonlyMap<number, number>,
  { share, multiple = 8, spread = "even" }: ChooseOptions,
): Choice {
  check(share, multiple);
  const widths = layers.map(({ name, groups, perGroup }): Width => {
    const before = groups.length * perGroup;
    const block = before % multiple === 0 && multiple % perGroup === 0 ? multiple : perGroup;
    const weight = (group: number): number => importance.get(group) ?? 0;
    return {
      name,
      before,
      perGroup,
      block,
      weight,
      order: [...groups].sort((a, b) => weight(a) - weight(b)),
    };
  });
  const total = widths.reduce((sum, { before }) => sum + before, 0);
  if (total === 0)
    throw new ProtolineError("MODEL_UNSUPPORTED", {
      expected: "convolutions whose channels can be followed through the graph",
      got: "none: all of them make the embedding, or go into operators that cannot be followed",
      todo: "Leave this model whole; quantize may still make it smaller.",
    });
  const removed = spread === "even" ? evenly(widths, share) : globally(widths, share * total);
  const gone = new Set(widths.flatMap(({ order, perGroup }, i) => order.slice(0, removed[i]! / perGroup)));
  return {
    gone,
    layers: widths.map(({ name, before }, i) => ({ name, before, after: before - removed[i]! })),
    share: removed.reduce((sum, count) => sum + count, 0) / total,
  };
}

interface Width {
  readonly name: string;
  readonly before: number;
  readonly perGroup: number;
  /** Channels that go at once. */
  readonly block: number;
  readonly weight: (group: number) => number;
  /** Least important first. */
  readonly order: readonly number[];
}

/** The same share of each width; what rounding gives or takes, the next width makes up for. */
function evenly(widths: readonly Width[], share: number): number[] {
  let owed = 0;
  return widths.map(({ before, block }) => {
    owed += share * before;
    const count = Math.max(0, Math.min(Math.round(owed / block) * block, before - block));
    owed -= count;
    return count;
  });
}

/** Of a width, this share stays at least: a layer that is starved cannot be made up for. */
const leastKept = 0.25;

/** Block by block, always the one whose channels matter least. */
function globally(widths: readonly Width[], wanted: number): number[] {
  const removed = widths.map(() => 0);
  let count = 0;
  while (count < wanted) {
    let [best, least] = [-1, Number.POSITIVE_INFINITY];
    for (const [i, { before, block, perGroup, order, weight }] of widths.entries()) {
      const left = before - removed[i]! - block;
      if (left < Math.max(block, leastKept * before)) continue;
      const from = removed[i]! / perGroup;
      const next = order.slice(from, from + block / perGroup);
      const mean = next.reduce((sum, group) => sum + weight(group), 0) / block;
      if (mean < least) [best, least] = [i, mean];
    }
    const chosen = widths[best];
    if (!chosen) break;
    removed[best]! += chosen.block;
    count += chosen.block;
  }
  return removed;
}

function check(share: number, multiple: number): void {
  if (!(share > 0 && share < 1))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a share of the channels between 0 and 1, as 0.3",
      got: String(share),
      todo: "Correct the share.",
    });
  if (!Number.isInteger(multiple) || multiple < 1)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a whole number of channels as block, 1 or more",
      got: String(multiple),
      todo: "Correct the multiple.",
    });
}
