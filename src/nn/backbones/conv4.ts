import type { Forward } from "../frame.ts";
import { batchNorm, conv, flatten, maxPool } from "../layers.ts";

export interface Conv4Options {
  /** Channels of every block. Default 64. */
  readonly width?: number;
}

/**
 * Four blocks of 3x3 convolution, batch norm, ReLU and 2x2 max-pooling, flattened: `[N, C, H, W]` → `[N, D]`, D = 64
 * at 28 px, 1600 at 84 px (Vinyals et al. 2016, arXiv:1606.04080; Snell et al. 2017, arXiv:1703.05175).
 */
export const conv4 =
  ({ width = 64 }: Conv4Options = {}): Forward =>
  (f, x) => {
    let y = x;
    for (const block of [1, 2, 3, 4])
      y = f.scope(`block${block}`, () =>
        maxPool(f, f.g.Relu(batchNorm(f, "norm", conv(f, "conv", y, { channels: width })))),
      );
    return flatten(f, y);
  };
