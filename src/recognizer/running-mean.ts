import { type Embeddings, row } from "../core/index.ts";
import { applyTransform, type TransformSpec } from "../fewshot/index.ts";

/** Frames before the mean is believed; until then the gallery's own centre serves. */
const warmUp = 32;
/** The mean forgets: each frame weighs at least 1 / horizon. */
const horizon = 1000;

/** The running mean of a line's frames, after power and L2, for `center: "running"`. */
export interface RunningMean {
  /** `[dim]`, or `undefined` before {@link warmUp} frames. */
  current(): Float32Array | undefined;
  /** Takes in the first view of a frame, raw, `[views, dim]`. */
  observe(views: Embeddings): void;
}

export function createRunningMean({ power, normalize }: TransformSpec): RunningMean {
  let mean: Float32Array | undefined;
  let frames = 0;
  return {
    current: () => (frames >= warmUp ? mean : undefined),
    observe(views) {
      const frame = applyTransform(row(views, 0), { power, normalize, center: "none" });
      frames++;
      // A new array each time: a recognition under way keeps the one that it began with.
      const weight = 1 / Math.min(frames, horizon);
      mean = mean ? mean.map((value, i) => value + weight * (frame[i]! - value)) : Float32Array.from(frame);
    },
  };
}
