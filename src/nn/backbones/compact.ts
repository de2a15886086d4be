import type { Value } from "../../graph/index.ts";
import type { Forward, Frame } from "../frame.ts";
import { batchNorm, conv, globalMean } from "../layers.ts";

export interface CompactOptions {
  /** Channels of the four stages; multiples of 16 are fastest. Default 32, 64, 128, 256. */
  readonly widths?: readonly [number, number, number, number];
  /** Size of the embedding. Default 512. */
  readonly embeddingDim?: number;
}

/**
 * A small network of plain 3x3 convolutions for images of 64 to 224 px, because those are what the engine trains and
 * serves fastest: each stage halves the picture by a stride, and all but the first add one residual block (He et al.
 * 2016, arXiv:1512.03385); a 1x1 convolution widens the last maps before the mean over space.
 * `[N, C, H, W]` → `[N, embeddingDim]`, all ≥ 0.
 */
export const compact =
  ({ widths = [32, 64, 128, 256], embeddingDim = 512 }: CompactOptions = {}): Forward =>
  (f, x) => {
    let y = x;
    for (const [stage, channels] of widths.entries())
      y = f.scope(`stage${stage + 1}`, () => {
        const halved = f.g.Relu(batchNorm(f, "norm", conv(f, "conv", y, { channels, stride: 2 })));
        return stage === 0 ? halved : f.scope("block", () => residual(f, halved, channels));
      });
    return globalMean(
      f,
      f.g.Relu(batchNorm(f, "norm", conv(f, "head", y, { channels: embeddingDim, kernel: 1 }))),
    );
  };

function residual(f: Frame, x: Value, channels: number): Value {
  const { g } = f;
  const inner = g.Relu(batchNorm(f, "norm1", conv(f, "conv1", x, { channels })));
  return g.Relu(g.Add(x, batchNorm(f, "norm2", conv(f, "conv2", inner, { channels }))));
}
