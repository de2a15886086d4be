import { ProtolineError } from "../core/index.ts";
import type { Channels, Layer } from "./channels.ts";

export interface ChooseOptions {
  /** Share of the channels that can go, above 0 and below 1. */
  readonly share: number;
  /** What is left of a width is a multiple of this, where it was one before: the runtime works in such blocks. Default 8. */
  readonly multiple?: number;
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
 * The least important channels of every width, so many that `share` of all goes.
 *
 * Each width loses the same share, rounded to blocks; what rounding gives or takes, the next width makes up for, so that
 * the whole comes as near as it can.
 *
 * @param importance by root.
 * @throws INVALID_ARGUMENT for a share outside 0 … 1, MODEL_UNSUPPORTED where nothing can go.
 */
export function choose(
  { layers }: Channels,
  importance: ReadonlyMap<number, number>,
  { share, multiple = 8 }: ChooseOptions,
): Choice {
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
  const width = ({ groups, perGroup }: Layer): number => groups.length * perGroup;
  const total = layers.reduce((sum, layer) => sum + width(layer), 0);
  if (total === 0)
    throw new ProtolineError("MODEL_UNSUPPORTED", {
      expected: "convolutions whose channels can be followed through the graph",
      got: "none: all of them make the embedding, or go into operators that cannot be followed",
      todo: "Quantise this model instead.",
    });
  const gone = new Set<number>();
  const report: PrunedLayer[] = [];
  let owed = 0;
  let lost = 0;
  for (const layer of layers) {
    const before = width(layer);
    owed += share * before;
    const block = before % multiple === 0 && multiple % layer.perGroup === 0 ? multiple : layer.perGroup;
    const removed = Math.min(Math.round(owed / block) * block, before - block);
    const count = Math.max(0, removed) / layer.perGroup;
    owed -= count * layer.perGroup;
    lost += count * layer.perGroup;
    const order = [...layer.groups].sort((a, b) => (importance.get(a) ?? 0) - (importance.get(b) ?? 0));
    for (const group of order.slice(0, count)) gone.add(group);
    report.push({ name: layer.name, before, after: before - count * layer.perGroup });
  }
  return { gone, layers: report, share: lost / total };
}
