export type { Affine } from "./affine.ts";
export {
  halveBundle,
  type OnStage,
  type PruneBundleOptions,
  type PrunedBundle,
  pruneBundle,
  type QuantizeBundleOptions,
  type QuantizedBundle,
  quantizeBundle,
} from "./bundles.ts";
export {
  type CalibrateOptions,
  type CalibrationMethod,
  calibrate,
  calibrationMethods,
  type Inputs,
  type Seen,
} from "./calibrate.ts";
export { type Channels, channelsOf, type Layer } from "./channels.ts";
export { likeness, timeSideBySide } from "./compare.ts";
export { cut } from "./cut.ts";
export { type FineTuneOptions, fineTune } from "./fine-tune.ts";
export { float16Weights } from "./float16.ts";
export { foldNorms } from "./fold-norms.ts";
export type { Range } from "./histogram.ts";
export { type ReadInputs, readInputs } from "./pictures.ts";
export { prepare } from "./prepare.ts";
export { type Choice, choose, type PrunedLayer } from "./prune.ts";
export { type QuantizeOptions, quantize, quantizedValues } from "./quantize.ts";
export { rebundle } from "./rebundle.ts";
export { type NodeSensitivity, sensitivity } from "./sensitivity.ts";
