export { type Asked, type CandidateState, type Candidates, createCandidates } from "./candidates.ts";
export { createShadow, type Difference, type Shadow, type ShadowState } from "./shadow.ts";
