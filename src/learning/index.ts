export { defaultSteps, type FurtherOptions, type FurtherProgress, trainFurther } from "./further.ts";
export { type LearnEncoderOptions, type LearnedEncoder, learnEncoder } from "./learn-encoder.ts";
export type { NewModel } from "./messages.ts";
export { type TrainingPart, trainingPart } from "./pictures.ts";
