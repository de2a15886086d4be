import { openSession, type SessionOptions, Tensor } from "../runtime/index.ts";
import type { Bundle } from "./bundle-bytes.ts";
import { encoderOver } from "./encode.ts";
import { findBundle } from "./find.ts";
import type { ModelSources } from "./sources.ts";
import type { Encoder } from "./types.ts";

export interface EncoderOptions extends SessionOptions {
  /** Where models are kept. Default: from the environment, see {@link modelSources}. */
  readonly sources?: ModelSources;
}

/**
 * Opens an encoder: a built-in one (`compact`, `scattering`), a zoo model that is in the cache or in a mirror folder, an imported
 * model by name, or a bundle by path. Nothing is downloaded.
 * Throws MODEL_NOT_FOUND, MODEL_HASH_MISMATCH, BUNDLE_INVALID and what {@link openSession} throws.
 */
export async function openEncoder(nameOrPath: string, options: EncoderOptions = {}): Promise<Encoder> {
  const { sources, ...sessionOptions } = options;
  return encoderOf(await findBundle(nameOrPath, sources), sessionOptions);
}

/** An encoder over a bundle in memory. */
export async function encoderOf({ manifest, model }: Bundle, options: SessionOptions = {}): Promise<Encoder> {
  const session = await openSession(model, options);
  return encoderOver(manifest, {
    inputs: session.inputs,
    async run(data, shape) {
      const feeds = { [manifest.input]: new Tensor("float32", data, shape) };
      return (await session.run(feeds, [manifest.output]))[manifest.output]!;
    },
    close: () => session.close(),
  });
}
