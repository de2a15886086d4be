import { createHash } from "node:crypto";
import { type Embeddings, stack } from "../../src/core/index.ts";
import type { Encoder, Manifest } from "../../src/models/index.ts";

/**
 * An encoder without a model: the picture itself at 6 x 6 pixels, RGB, as 108 numbers. Parts of different colours and
 * halves are far apart, and what it does is plain to see in a failing test.
 */
export function fakeEncoder({ name = "fake", decision, delayMs = 0 }: FakeOptions = {}): Encoder {
  const side = 6;
  const embeddingDim = side * side * 3;
  const manifest: Manifest = {
    format: 1,
    name,
    version: "1",
    model: { sha256: createHash("sha256").update(name).digest("hex"), bytes: 0 },
    input: "input",
    output: "embedding",
    embeddingDim,
    pooling: "none",
    preprocess: {
      size: [side, side],
      fit: "stretch",
      interpolation: "bilinear",
      padding: 0,
      channels: "rgb",
      mean: [0, 0, 0],
      std: [255, 255, 255],
      standardize: "none",
    },
    decision: {
      views: { support: [], query: [] },
      transform: { power: null, normalize: true, center: "none" },
      head: { kind: "prototype", metric: "cosine" },
      openSet: { falseRejectRate: 0.05 },
      ambiguity: { margin: 0.1 },
      ...decision,
    },
    priors: { baseMean: null, limits: { deviation: 0.34, oneShot: null } },
    provenance: { origin: "made by a test", license: "Apache-2.0", trainedOn: "nothing" },
  };
  return {
    manifest,
    embeddingDim,
    modelHash: manifest.model.sha256,
    async embed(inputs): Promise<Embeddings> {
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      return stack([...inputs], embeddingDim);
    },
    async close() {},
  };
}

interface FakeOptions {
  readonly name?: string;
  readonly decision?: Partial<Manifest["decision"]>;
  readonly delayMs?: number;
}
