import type { Value } from "../../graph/index.ts";
import type { Forward, Frame } from "../frame.ts";
import { batchNorm, conv, globalMean } from "../layers.ts";

export interface MobileOptions {
  /** Times the channels of every layer, > 0. Default 1. */
  readonly width?: number;
  /** Size of the embedding. Default 128. */
  readonly embeddingDim?: number;
}

/** Channels and stride of each block. */
const blocks = [
  [16, 1],
  [24, 2],
  [24, 1],
  [40, 2],
  [40, 1],
  [80, 2],
  [80, 1],
] as const;

/**
 * A compact network of inverted residuals (MobileNetV2, Sandler et al. 2018, arXiv:1801.04381) for images of 28 to 112
 * px: expansion by 4, depthwise 3x3, linear bottleneck. `[N, C, H, W]` → `[N, embeddingDim]`.
 */
export const mobile =
  ({ width = 1, embeddingDim = 128 }: MobileOptions = {}): Forward =>
  (f, x) => {
    // A multiple of eight, as the family keeps it.
    const channels = (n: number): number => Math.max(8, 8 * Math.round((n * width) / 8));
    let y = active(f, batchNorm(f, "norm", conv(f, "stem", x, { channels: channels(16) })));
    for (const [i, [out, stride]] of blocks.entries())
      y = f.scope(`block${i + 1}`, () => invertedResidual(f, y, channels(out), stride));
    y = conv(f, "head", y, { channels: embeddingDim, kernel: 1 });
    return globalMean(f, active(f, batchNorm(f, "headNorm", y)));
  };

/** ReLU6 */
const active = ({ g }: Frame, x: Value): Value => g.Clip(x, 0, 6);

function invertedResidual(f: Frame, x: Value, channels: number, stride: number): Value {
  const inner = 4 * Number(x.shape[1]);
  const expanded = active(f, batchNorm(f, "norm1", conv(f, "expand", x, { channels: inner, kernel: 1 })));
  const depthwise = conv(f, "depthwise", expanded, { channels: inner, stride, groups: inner });
  const filtered = active(f, batchNorm(f, "norm2", depthwise));
  const y = batchNorm(f, "norm3", conv(f, "project", filtered, { channels, kernel: 1 }));
  return stride === 1 && x.shape[1] === channels ? f.g.Add(x, y) : y;
}
