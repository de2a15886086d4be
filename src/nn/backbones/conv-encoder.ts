import type { Forward } from "../frame.ts";
import { conv, flatten, linear, maxPool } from "../layers.ts";

export interface ConvEncoderOptions {
  /** Channels of every convolution. Default 64. */
  readonly width?: number;
  /** Size of the embedding. Default 64. */
  readonly embeddingDim?: number;
}

/**
 * The encoder of many a first tutorial: three 3x3 convolutions, each with ReLU and 2x2 max-pooling, then a linear layer.
 * `[N, C, H, W]` → `[N, embeddingDim]` for any H and W from 8 on: the fan-in of the linear layer follows from them.
 */
export const convEncoder =
  ({ width = 64, embeddingDim = 64 }: ConvEncoderOptions = {}): Forward =>
  (f, x) => {
    let y = x;
    for (const layer of [1, 2, 3])
      y = maxPool(f, f.g.Relu(conv(f, `conv${layer}`, y, { channels: width, bias: true })));
    return linear(f, "embed", flatten(f, y), embeddingDim);
  };
