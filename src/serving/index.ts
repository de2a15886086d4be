export { type Admission, type AdmissionOptions, type Arrival, createAdmission } from "./admission.ts";
export { type Batcher, type BatcherOptions, type BatcherState, createBatcher } from "./batcher.ts";
export { giveWay } from "./give-way.ts";
export { type EncoderPool, openPool, type PoolOptions } from "./pool.ts";
export { type EmbedRequest, embeddingFor } from "./request.ts";
