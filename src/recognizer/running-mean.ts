import { type Embeddings, row } from "../core/index.ts";
import { applyTransform, type TransformSpec } from "../fewshot/index.ts";

/**
 * Frames between two means that are handed out, the first included: fewer say little, and each new mean makes the
 * decision fit its thresholds again.
 */
const period = 64;
/** The mean forgets: each frame weighs at least 1 / horizon. */
const horizon = 1000;

/** The running mean of a line's frames, after power and L2, for `center: "running"`. */
export interface RunningMean {
  /** `[dim]`, the same array for {@link period} frames; `undefined` before as many. */
  current(): Float32Array | undefined;
  /** Takes in the first view of a frame, raw, `[views, dim]`. */
  observe(views: Embeddings): void;
}

export function createRunningMean({ power, normalize }: TransformSpec): RunningMean {
  let handedOut: Float32Array | undefined;
  let mean: Float32Array | undefined;
  let frames = 0;
  return {
    current: () => handedOut,
    observe(views) {
      const frame = applyTransform(row(views, 0), { power, normalize, center: "none" }, null);
      frames++;
      const weight = 1 / Math.min(frames, horizon);
      mean ??= new Float32Array(frame.length);
      for (let i = 0; i < frame.length; i++) mean[i] = mean[i]! + weight * (frame[i]! - mean[i]!);
      if (frames % period === 0) handedOut = mean.slice();
    },
  };
}
