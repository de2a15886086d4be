export { Tensor } from "onnxruntime-node";
export { availableProviders, type Provider, providers, providerWorks } from "./providers.ts";
export {
  loadedModels,
  openSession,
  type Session,
  type SessionOptions,
  type TensorInfo,
} from "./session.ts";
