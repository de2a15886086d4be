import { InferenceSession, listSupportedBackends } from "onnxruntime-node";
import { ProtolineError } from "../core/index.ts";

/** Execution providers of ONNX Runtime that Protoline knows by name. */
export const providers = ["cpu", "webgpu", "cuda", "coreml", "dml"] as const;
export type Provider = (typeof providers)[number];

/** y = Identity(x) on one float, opset 13: the smallest model that makes a provider start its device. */
const probeModel = Buffer.from(
  "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBcFoPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCAhAN",
  "base64",
);

const probes = new Map<Provider, Promise<boolean>>();

/**
 * Whether `provider` works on this machine. Being compiled in is not enough (WebGPU needs an adapter, CUDA its
 * libraries), so a session of one node is started and dropped. Asked once a process.
 */
export function providerWorks(provider: Provider): Promise<boolean> {
  let probe = probes.get(provider);
  if (!probe) {
    probe = startProbe(provider);
    probes.set(provider, probe);
  }
  return probe;
}

async function startProbe(provider: Provider): Promise<boolean> {
  if (!listSupportedBackends().some(({ name }) => name === provider)) return false;
  try {
    const session = await InferenceSession.create(probeModel, {
      executionProviders: [provider],
      logSeverityLevel: 4,
    });
    await session.release();
    return true;
  } catch {
    return false;
  }
}

/** @throws PROVIDER_UNAVAILABLE where it does not work on this machine, naming those that do. */
export async function requireProvider(provider: Provider): Promise<void> {
  if (provider === "cpu" || (await providerWorks(provider))) return;
  throw new ProtolineError("PROVIDER_UNAVAILABLE", {
    expected: `one of ${(await availableProviders()).join(", ")}, which work on this machine`,
    got: provider,
    todo: "Choose one of those, or allow falling back to the CPU.",
  });
}

/** The providers that work on this machine, `cpu` first. */
export async function availableProviders(): Promise<readonly Provider[]> {
  const works = await Promise.all(providers.map(providerWorks));
  return providers.filter((_, i) => works[i]);
}
