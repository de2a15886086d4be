import type { Value } from "../../graph/index.ts";
import type { Forward, Frame } from "../frame.ts";
import { batchNorm, conv, globalMean } from "../layers.ts";

export interface ResNet18Options {
  /** Channels of the four stages. Default 64, 128, 256, 512. */
  readonly widths?: readonly [number, number, number, number];
}

/**
 * ResNet-18 (He et al. 2016, arXiv:1512.03385) for images around 84 px: one 3x3 convolution at full size takes the place
 * of the 7x7 one at half size and its pooling. `[N, C, H, W]` → `[N, widths[3]]`.
 */
export const resNet18 =
  ({ widths = [64, 128, 256, 512] }: ResNet18Options = {}): Forward =>
  (f, x) => {
    let y = f.g.Relu(batchNorm(f, "norm", conv(f, "stem", x, { channels: widths[0] })));
    for (const [stage, channels] of widths.entries())
      for (const block of [1, 2]) {
        const stride = stage > 0 && block === 1 ? 2 : 1;
        y = f.scope(`stage${stage + 1}/block${block}`, () => basicBlock(f, y, channels, stride));
      }
    return globalMean(f, y);
  };

function basicBlock(f: Frame, x: Value, channels: number, stride: number): Value {
  const { g } = f;
  const inner = g.Relu(batchNorm(f, "norm1", conv(f, "conv1", x, { channels, stride })));
  const outer = batchNorm(f, "norm2", conv(f, "conv2", inner, { channels }));
  const same = stride === 1 && x.shape[1] === channels;
  const shortcut = same
    ? x
    : batchNorm(f, "shortcutNorm", conv(f, "shortcut", x, { channels, kernel: 1, stride, padding: 0 }));
  return g.Relu(g.Add(outer, shortcut));
}
