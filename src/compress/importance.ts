import { type Graph, numbersOf } from "../graph/index.ts";
import type { Channels } from "./channels.ts";

/**
 * How much a group of channels matters by the size of its weights (Li et al. 2017, arXiv:1608.08710, with squares, as He
 * et al. 2018, arXiv:1808.06866): the square sum of its part of each constant, as a share of the whole constant, added
 * up. Shares, so that a large tensor does not drown a small one.
 *
 * @returns importance by root.
 */
export function normImportance(graph: Graph, { slots, root }: Channels): Map<number, number> {
  const importance = new Map<number, number>();
  for (const { constant, axis, role, ids } of slots) {
    const value = graph.initializers.get(constant)!;
    // A bias may be large in a channel that is always the same, and says little.
    if (role === "scales" && value.dims.length === 1) continue;
    const numbers = numbersOf(value);
    const after = value.dims.slice(axis + 1).reduce((product, n) => product * n, 1);
    const squares = new Float64Array(ids.length);
    numbers.forEach((w, i) => {
      squares[Math.floor(i / after) % ids.length]! += w * w;
    });
    const total = squares.reduce((sum, v) => sum + v, 0) || 1;
    ids.forEach((id, i) => {
      const key = root(id);
      importance.set(key, (importance.get(key) ?? 0) + squares[i]! / total);
    });
  }
  return importance;
}
