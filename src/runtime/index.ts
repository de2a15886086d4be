export { Tensor } from "onnxruntime-node";
export { availableProviders, type Provider, providers, providerWorks, requireProvider } from "./providers.ts";
export {
  loadedModels,
  openSession,
  type Session,
  type SessionOptions,
  type TensorInfo,
} from "./session.ts";
