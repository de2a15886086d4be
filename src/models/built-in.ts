import { fileURLToPath } from "node:url";
import { readBundle } from "./bundle.ts";
import type { Bundle } from "./bundle-bytes.ts";
import { scatteringBundle } from "./scattering.ts";

interface BuiltIn {
  readonly description: string;
  bundle(): Promise<Bundle>;
}

/** The encoders that come with the package, by name. */
export const builtIn = {
  compact: {
    description: "This project's own encoder, 112 px: small, and trained for textures and things alike",
    bundle: () => readBundle(fileURLToPath(new URL("../../trained/encoder/encoder.onnx", import.meta.url))),
  },
  scattering: {
    description: "Wavelet scattering, 128 px grey: has no weights",
    bundle: async () => scatteringBundle(),
  },
} as const satisfies Readonly<Record<string, BuiltIn>>;

export const isBuiltIn = (name: string): name is keyof typeof builtIn => Object.hasOwn(builtIn, name);
