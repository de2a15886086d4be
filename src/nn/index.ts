export { type BackboneSpec, createBackbone, type ImportedModel } from "./backbones/index.ts";
export { type DropBlockOptions, dropBlock } from "./drop-block.ts";
export {
  createFrame,
  type Forward,
  type Frame,
  type FrameRecord,
  initialize,
  type Mode,
  type NoiseSpec,
  type ParameterSpec,
  parametersOf,
  stepInput,
} from "./frame.ts";
export { constant, glorotUniform, heNormal, type Init, lecunUniform, truncatedNormal } from "./init.ts";
export {
  type BatchNormOptions,
  batchNorm,
  type ConvOptions,
  conv,
  flatten,
  globalMean,
  type LinearOptions,
  layerNorm,
  linear,
  maxPool,
} from "./layers.ts";
