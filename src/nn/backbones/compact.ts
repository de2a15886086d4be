import type { Value } from "../../graph/index.ts";
import type { Forward, Frame } from "../frame.ts";
import { batchNorm, conv, flatten } from "../layers.ts";

export interface CompactOptions {
  /** Channels of the four stages; multiples of 16 are fastest. Default 32, 64, 128, 256. */
  readonly widths?: readonly [number, number, number, number];
  /** Channels of the last, 1x1 convolution. Default 512. */
  readonly head?: number;
}

/**
 * A small network of plain 3x3 convolutions for images of 64 to 224 px, because those are what the engine trains and
 * serves fastest: each stage halves the picture by a stride, and all but the first add one residual block (He et al.
 * 2016, arXiv:1512.03385); a 1x1 convolution widens the last maps.
 *
 * The embedding describes the maps of the last three stages and of the 1x1 convolution, each by the mean and the
 * deviation of its channels over space: the texture of a surface shows in the early ones, what a thing is in the late
 * ones. `[N, C, H, W]` → `[N, 2 (w₂ + w₃ + w₄ + head)]`, 1920 by default; the eight parts have length 1 each.
 */
export const compact =
  ({ widths = [32, 64, 128, 256], head = 512 }: CompactOptions = {}): Forward =>
  (f, x) => {
    let y = x;
    const described: Value[] = [];
    for (const [stage, channels] of widths.entries())
      f.scope(`stage${stage + 1}`, () => {
        const halved = f.g.Relu(batchNorm(f, "norm", conv(f, "conv", y, { channels, stride: 2 })));
        y = stage === 0 ? halved : f.scope("block", () => residual(f, halved, channels));
        if (stage > 0) described.push(...describe(f, y));
      });
    const last = f.g.Relu(batchNorm(f, "norm", conv(f, "head", y, { channels: head, kernel: 1 })));
    described.push(...describe(f, last));
    return f.g.Concat(...described, { axis: 1 });
  };

function residual(f: Frame, x: Value, channels: number): Value {
  const { g } = f;
  const inner = g.Relu(batchNorm(f, "norm1", conv(f, "conv1", x, { channels })));
  return g.Relu(g.Add(x, batchNorm(f, "norm2", conv(f, "conv2", inner, { channels }))));
}

/** Added under the roots, whose slope at 0 has no end. */
const floor = 1e-3;

/**
 * Mean and deviation over space of maps ≥ 0: their square roots (few channels are large, and would decide alone),
 * standardised channel by channel, at length 1. `[N, C, H, W]` → twice `[N, C]`.
 */
function describe(f: Frame, maps: Value): Value[] {
  const { g } = f;
  const space = g.ints([2, 3]);
  const mean = g.ReduceMean(maps, space);
  const off = g.Sub(maps, mean);
  const deviation = g.Sqrt(g.Add(g.ReduceMean(g.Mul(off, off), space), floor ** 2));
  return Object.entries({ mean: g.Add(mean, floor), deviation }).map(([name, value]) => {
    const standard = flatten(f, batchNorm(f, name, g.Sqrt(value), { affine: false }));
    return g.Div(standard, g.Sqrt(g.Add(g.ReduceSumSquare(standard, g.ints([-1])), 1e-12)));
  });
}
