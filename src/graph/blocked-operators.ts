import { type Operator, op, operators, type Typed, windowAttributes } from "./operators.ts";

/**
 * The operators of ONNX Runtime's own layout on CPUs, in which the channels lie in blocks: memory is
 * `[N, C/block, H, W, block]`, while the shape that a tensor reports stays `[N, C, H, W]`. The runtime calls the
 * domain internal, so its version is pinned and its presence is probed; only rewrites use it.
 */
export const BLOCKED = "com.microsoft.nchwc";

const sameType = ([x]: readonly Typed[]): Typed[] => [{ dtype: x!.dtype, shape: x!.shape }];

export const blockedOperators: Readonly<Record<string, Operator>> = {
  /** Plain to blocked. Channels must be a multiple of the block. */
  ReorderInput: op(1, { channels_last: ["int", 0] }, sameType) as unknown as Operator,
  /** Blocked to plain. */
  ReorderOutput: op(1, { channels: ["int", 0], channels_last: ["int", 0] }, sameType) as unknown as Operator,
  MaxPool: op(1, { ...windowAttributes, kernel_shape: ["ints"] }, ([x], a, outputs) =>
    operators.MaxPool.infer([x!], { ...a, ceil_mode: 0, storage_order: 0 }, outputs).slice(0, 1),
  ) as unknown as Operator,
  /** x, weights in blocks, bias, and a tensor that is added to the result before the activation. */
  Conv: op(
    [2, 4],
    {
      ...windowAttributes,
      kernel_shape: ["ints"],
      group: ["int", 1],
      activation: ["string"],
      activation_params: ["floats"],
    },
    (x, a, outputs) => operators.Conv.infer(x.slice(0, 3), a, outputs),
  ) as unknown as Operator,
};
