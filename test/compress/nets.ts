import { createHash } from "node:crypto";
import { createRng, type Rng } from "../../src/core/index.ts";
import { defaultDecision } from "../../src/fewshot/index.ts";
import {
  createBuilder,
  type Graph,
  type NdArray,
  sizeOf,
  type Tensor,
  tensor,
} from "../../src/graph/index.ts";
import { type Bundle, parseManifest } from "../../src/models/index.ts";
import { modelOf, writeModel } from "../../src/onnx/index.ts";

/** Pixels of a side of the tiny nets' images. */
export const side = 12;
export const shape: readonly number[] = [3, side, side];

export const normals = (rng: Rng, dims: readonly number[], deviation = 1): Tensor<"float32"> =>
  tensor(
    "float32",
    Float32Array.from({ length: sizeOf(dims) }, () => deviation * rng.normal()),
    dims,
  );

/**
 * Everything that ties channels in one small encoder: a residual stream of two blocks with depthwise convolutions
 * between (as MobileNetV2's), a concatenation, a grouped convolution, batch normalisation, and a product at the end.
 */
export function tinyNet(seed = 1): Graph {
  const rng = createRng(seed);
  const g = createBuilder("tiny");
  const conv = (name: string, o: number, i: number, k: number) => [
    g.constant(normals(rng, [o, i, k, k], 1 / Math.sqrt(i * k * k)), `${name}/w`),
    g.constant(normals(rng, [o], 0.1), `${name}/b`),
  ];
  const same = { pads: [1, 1, 1, 1] };
  const six = [tensor("float32", [0], []), tensor("float32", [6], [])] as const;
  let x = g.Relu(g.Conv(g.input("images", "float32", ["N", ...shape]), ...conv("stem", 16, 3, 3), same));
  for (const block of ["a", "b"]) {
    const wide = g.Clip(g.Conv(x, ...conv(`${block}/expand`, 32, 16, 1)), ...six);
    const deep = g.Clip(g.Conv(wide, ...conv(`${block}/deep`, 32, 1, 3), { ...same, group: 32 }), ...six);
    x = g.Add(g.Conv(deep, ...conv(`${block}/project`, 16, 32, 1)), x);
  }
  const left = g.Relu(g.Conv(x, ...conv("left", 8, 16, 1)));
  const grouped = g.Conv(x, ...conv("grouped", 16, 8, 3), { ...same, group: 2 });
  const [scale, shift] = [normals(rng, [16], 0.2), normals(rng, [16], 0.2)].map((v, i) =>
    g.constant(
      tensor(
        "float32",
        v.data.map((n) => n + (i === 0 ? 1 : 0)),
      ),
      `norm/${i}`,
    ),
  );
  const mean = g.constant(normals(rng, [16], 0.2), "norm/mean");
  const variance = g.constant(
    tensor(
      "float32",
      normals(rng, [16], 0.2).data.map((v) => 1 + v * v),
    ),
    "norm/variance",
  );
  const right = g.Relu(g.BatchNormalization(grouped, scale, shift, mean, variance));
  const joined = g.MaxPool(g.Concat(left, right, { axis: 1 }), { kernel_shape: [2, 2], strides: [2, 2] });
  const flat = g.Flatten(g.Relu(g.Conv(joined, ...conv("last", 8, 24, 3), { ...same, strides: [2, 2] })));
  const places = Number(flat.shape[1]);
  const w = g.constant(normals(rng, [10, places], 1 / Math.sqrt(places)), "head/w");
  const embedding = g.Gemm(flat, w, g.constant(normals(rng, [10], 0.1), "head/b"), { transB: 1 });
  return g.build({ embedding });
}

/** Pictures as the nets take them: smooth waves of many kinds, so that channels differ. */
export function pictures(count: number, seed = 1): Float32Array[] {
  const rng = createRng(seed);
  return Array.from({ length: count }, () => {
    const waves = Array.from({ length: 3 }, () => [rng.normal(), rng.normal(), 3 * rng.normal()] as const);
    return Float32Array.from({ length: sizeOf(shape) }, (_, i) => {
      const [a, b, c] = waves[Math.floor(i / (side * side))]!;
      const at = i % (side * side);
      return Math.sin(a * (at % side) + b * Math.floor(at / side) + c) + 0.2 * rng.normal();
    });
  });
}

export const batchOf = (list: readonly Float32Array[]): NdArray => ({
  dims: [list.length, ...shape],
  data: Float64Array.from(list.flatMap((picture) => [...picture])),
});

/** A bundle around an encoder of 12-pixel images. */
export function bundleOf(graph: Graph, name = "tiny"): Bundle {
  const model = writeModel(modelOf(graph));
  return {
    model,
    manifest: parseManifest({
      format: 1,
      name,
      model: { sha256: createHash("sha256").update(model).digest("hex"), bytes: model.length },
      input: "images",
      output: "embedding",
      embeddingDim: 10,
      preprocess: {
        size: [side, side],
        fit: "stretch",
        interpolation: "bilinear",
        channels: "rgb",
        mean: [128, 128, 128],
        std: [64, 64, 64],
      },
      decision: defaultDecision,
      provenance: { origin: "a test", license: "none", trainedOn: "nothing" },
    }),
  };
}
