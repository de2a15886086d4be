export { type FileAnswer, type Means, type Recognizers, recognizePieces, workOf } from "./kinds.ts";
export { localExecutor } from "./local.ts";
export { type QueueOptions, type QueueWorker, queueExecutor, startWorker } from "./queue.ts";
export { type EmbedMeans, embedWork, type ReembedOptions, reembed, samplesPerPiece } from "./reembed.ts";
export { type JobOptions, results, runJob } from "./run.ts";
export type { Executor, JobProgress, JobReport, Piece, Work } from "./types.ts";
