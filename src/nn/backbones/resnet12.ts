import { dropBlock } from "../drop-block.ts";
import type { Forward } from "../frame.ts";
import { batchNorm, conv, globalMean, maxPool } from "../layers.ts";

export interface ResNet12Options {
  /** Channels of the four blocks. Default 64, 160, 320, 640; the other usual ones are 64, 128, 256, 512. */
  readonly widths?: readonly [number, number, number, number];
  /** Share that DropBlock keeps of the last two blocks' maps in training. Default 1: no DropBlock; 0.9 is usual. */
  readonly keep?: number;
  /** Steps after which it is `keep`, from 1 at first. Default: from the first step. */
  readonly keepAfter?: number;
}

/**
 * ResNet-12 (Lee et al. 2019, arXiv:1904.03758): four blocks of three 3x3 convolutions with batch norm and LeakyReLU
 * (0.1), a 1x1 shortcut, 2x2 max-pooling; at the end the mean over space. `[N, C, H, W]` → `[N, widths[3]]`.
 */
export const resNet12 =
  ({ widths = [64, 160, 320, 640], keep = 1, keepAfter }: ResNet12Options = {}): Forward =>
  (f, x) => {
    const { g } = f;
    let y = x;
    for (const [i, channels] of widths.entries())
      y = f.scope(`block${i + 1}`, () => {
        let z = y;
        for (const layer of [1, 2, 3]) {
          z = batchNorm(f, `norm${layer}`, conv(f, `conv${layer}`, z, { channels }));
          if (layer < 3) z = g.LeakyRelu(z, { alpha: 0.1 });
        }
        const shortcut = batchNorm(f, "shortcutNorm", conv(f, "shortcut", y, { channels, kernel: 1 }));
        const pooled = maxPool(f, g.LeakyRelu(g.Add(z, shortcut), { alpha: 0.1 }));
        return i < 2 ? pooled : dropBlock(f, pooled, { keep, keepAfter });
      });
    return globalMean(f, y);
  };
