import { createHash } from "node:crypto";
import { createRng } from "../../src/core/index.ts";
import { createBuilder, tensor, type Value } from "../../src/graph/index.ts";
import type { Bundle } from "../../src/models/index.ts";
import { scatteringBundle } from "../../src/models/index.ts";
import { modelOf, writeModel } from "../../src/onnx/index.ts";

export interface TinyOptions {
  /** Default `[N, 3, 8, 8]`. */
  readonly input?: readonly (number | string)[];
  /** What becomes of the maps `[N, 4, 8, 8]`. Default: their averages, `[N, 4]`. */
  readonly head?: (g: ReturnType<typeof createBuilder>, maps: Value) => Record<string, Value>;
}

/** A model file: one 3x3 convolution to four maps, ReLU, then `head`. */
export function tinyModel({ input = ["N", 3, 8, 8], head }: TinyOptions = {}): Uint8Array {
  const rng = createRng(1);
  const g = createBuilder("tiny");
  const x = g.input("image", "float32", input);
  const depth = typeof input[1] === "number" ? input[1] : 3;
  const weights = tensor(
    "float32",
    Array.from({ length: 4 * depth * 9 }, () => rng.normal()),
    [4, depth, 3, 3],
  );
  const maps = g.Relu(g.Conv(x, weights, { pads: [1, 1, 1, 1] }));
  const outputs = head?.(g, maps) ?? { embedding: g.Flatten(g.GlobalAveragePool(maps), { axis: 1 }) };
  return writeModel(modelOf(g.build(outputs)));
}

/** A bundle around {@link tinyModel}, or around `model`. */
export function tinyBundle(model = tinyModel()): Bundle {
  const { manifest } = scatteringBundle();
  return {
    model,
    manifest: {
      ...manifest,
      name: "tiny",
      model: { sha256: createHash("sha256").update(model).digest("hex"), bytes: model.length },
      embeddingDim: 4,
      preprocess: { ...manifest.preprocess, size: [8, 8], channels: "rgb", mean: [0, 0, 0], std: [1, 1, 1] },
    },
  };
}
