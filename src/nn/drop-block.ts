import type { Value } from "../graph/index.ts";
import type { Frame } from "./frame.ts";

export interface DropBlockOptions {
  /** Share of the map that stays. */
  readonly keep: number;
  /** Steps in which that share falls from 1 to `keep`, in even parts. Default: it is `keep` from the first. */
  readonly keepAfter?: number;
  /** Side of a dropped square, at most the side of the map. Default 5. */
  readonly block?: number;
}

/**
 * DropBlock (Ghiasi, Lin and Le 2018, arXiv:1810.12890): in training, squares of each channel are set to 0 and what stays
 * is scaled so that the sum is kept. γ = (1 − keep)/b² · HW/((H − b + 1)(W − b + 1)) seeds a place. `keepAfter` is the
 * paper's schedule, in which MetaOptNet's ResNet-12 is trained: 0.9 after 20 epochs of 1000 steps.
 */
export function dropBlock(f: Frame, x: Value, { keep, keepAfter, block = 5 }: DropBlockOptions): Value {
  if (f.mode === "infer" || keep >= 1) return x;
  const { g } = f;
  const [n, c, h, w] = x.shape as readonly [number, number, number, number];
  const b = Math.min(block, h, w);
  const [rows, columns] = [h - b + 1, w - b + 1];
  const most = (((1 - keep) / b ** 2) * (h * w)) / (rows * columns);
  const gamma = keepAfter === undefined ? most : g.Mul(g.Min(g.Div(f.step(), keepAfter), 1), most);
  const seeds = g.Cast(g.Less(f.uniform([n, c, rows, columns]), gamma), { to: 1 });
  // A window that reaches back over b − 1 places sees every seed whose square covers the place.
  const reach = b - 1;
  const dropped = g.MaxPool(seeds, { kernel_shape: [b, b], pads: [reach, reach, reach, reach] });
  const kept = g.Sub(1, dropped);
  const share = g.ReduceMean(kept, undefined, { keepdims: 0 });
  return g.Mul(x, g.Div(kept, g.Max(share, 1e-6)));
}
