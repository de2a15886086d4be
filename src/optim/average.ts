import type { Builder, Value } from "../graph/index.ts";

/** Exponential moving average of a weight (Polyak and Juditsky 1992): a ← decay·a + (1−decay)·w. */
export const movingAverage = (g: Builder, average: Value, weight: Value, decay: number): Value =>
  g.Add(g.Mul(average, decay), g.Mul(weight, 1 - decay));
