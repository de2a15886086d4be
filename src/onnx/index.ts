export type { Model } from "./model.ts";
export { readModel } from "./read.ts";
export { type ModelSummary, summarize } from "./summarize.ts";
export { upgrade } from "./upgrade.ts";
export { modelOf, writeModel } from "./write.ts";
