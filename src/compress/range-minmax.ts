import type { RangeRule } from "./histogram.ts";

/** Everything that was seen is kept: one outlier makes all steps coarse. */
export const minMax: RangeRule = ({ min, max }) => ({ low: min, high: max });
