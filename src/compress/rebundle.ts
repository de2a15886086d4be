import { sha256 } from "../core/index.ts";
import type { Graph } from "../graph/index.ts";
import { type Bundle, parseManifest } from "../models/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";

/**
 * A bundle with another graph of the same input and embedding: everything else is taken over, and the origin says what
 * was done.
 *
 * @param suffix of the name, as `int8`.
 * @param done what was done, as `quantised to INT8 (entropy)`.
 */
export function rebundle({ manifest }: Bundle, graph: Graph, suffix: string, done: string): Bundle {
  const model = writeModel(modelOf(graph));
  const { name, provenance } = manifest;
  return {
    model,
    manifest: parseManifest({
      ...manifest,
      name: `${name.slice(0, 63 - suffix.length)}-${suffix}`,
      model: { sha256: sha256(model), bytes: model.length },
      provenance: {
        ...provenance,
        origin: `${name} (${manifest.model.sha256.slice(0, 12)}) ${done}; ${provenance.origin}`,
      },
    }),
  };
}
