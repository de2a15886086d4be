import { type AdamOptions, adam, adamw } from "./adam.ts";
import type { Optimizer } from "./optimizer.ts";
import { type SgdOptions, sgd } from "./sgd.ts";

export { type AdamOptions, adam, adamw } from "./adam.ts";
export { movingAverage } from "./average.ts";
export { clipByNorm, globalNorm } from "./clip.ts";
export type { Optimizer, Updated, UpdateParts } from "./optimizer.ts";
export { factorAt, type Schedule } from "./schedules.ts";
export { type SgdOptions, sgd } from "./sgd.ts";

/** An optimizer by name with its options, as a config file says it. */
export type OptimizerSpec =
  | ({ readonly kind: "sgd" } & SgdOptions)
  | ({ readonly kind: "adam" | "adamw" } & AdamOptions);

export function createOptimizer(spec: OptimizerSpec): Optimizer {
  if (spec.kind === "sgd") return sgd(spec);
  return spec.kind === "adam" ? adam(spec) : adamw(spec);
}
