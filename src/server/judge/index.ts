export { createJudge, type Judge, spread } from "./judge.ts";
export type { LeftOut } from "./leave-out.ts";
export type { ShadowAnswer } from "./worker.ts";
