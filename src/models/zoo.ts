import type { Preprocess } from "../data/types.ts";
import { defaultDecision } from "../fewshot/index.ts";
import type { Manifest } from "./types.ts";

/** A published backbone: everything of its manifest, and where its file is found. */
export interface ZooRow extends Omit<Manifest, "format" | "model"> {
  /** One line for the reader. */
  readonly description: string;
  /** Name of the file in a cache or mirror. */
  readonly file: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Public address of exactly these bytes, or `null` where there is none. */
  readonly address: string | null;
}

/** Whole picture stretched to 224 px, RGB; `mean` and `std` in units of a 0 … 255 pixel. */
function stretched224(mean: readonly number[], std: readonly number[]): Preprocess {
  return {
    size: [224, 224],
    fit: "stretch",
    interpolation: "bilinear",
    padding: 0,
    channels: "rgb",
    mean,
    std,
    standardize: "none",
  };
}

const imagenet = stretched224([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);

/** As `npx tsx scripts/priors.ts --model NAME` finds them, a mean over X-SDD and coins; limits at these rates. */
const rates = [0.2, 0.1, 0.05, 0.02, 0.01];
const priorsOf = (deviation: number, oneShot: readonly number[]): Manifest["priors"] => ({
  baseMean: null,
  limits: { deviation, oneShot: oneShot.map((threshold, i) => ({ rate: rates[i]!, threshold })) },
});

export const zoo: readonly ZooRow[] = [
  {
    name: "mobilenet-v1",
    version: "1.0",
    description: "MobileNetV1 1.0, 224 px: the most accurate of the three on parts and surfaces",
    file: "mobilenet-v1-224.onnx",
    bytes: 12_790_607,
    sha256: "33fc143c6d451bc71a3491e52f3d67f150fac851cc6dc07b8b65937974080d72",
    address: null,
    input: "input",
    output: "embedding",
    embeddingDim: 1024,
    pooling: "none",
    preprocess: stretched224([128, 128, 128], [128, 128, 128]),
    decision: defaultDecision,
    priors: priorsOf(0.274, [0.713, 0.757, 0.789, 0.818, 0.838]),
    provenance: {
      origin:
        "google-coral/test_data mobilenet_v1_1.0_224_quant_embedding_extractor.tflite, uint8 weights written out as float32",
      license: "Apache-2.0",
      trainedOn: "ImageNet (ILSVRC 2012)",
    },
  },
  {
    name: "mobilenet-v2",
    version: "1.0",
    description: "MobileNetV2 1.0, 224 px: twice as fast as V1, better on photographs, weaker on steel",
    file: "mobilenet-v2-224.onnx",
    bytes: 8_847_328,
    sha256: "f9bd8b0f2f2dda42bf5623a6061b973c89f09e2b07e514141965887423219e18",
    address: null,
    input: "input",
    output: "embedding",
    embeddingDim: 1280,
    pooling: "none",
    preprocess: imagenet,
    decision: defaultDecision,
    priors: priorsOf(0.297, [0.686, 0.728, 0.757, 0.789, 0.809]),
    provenance: {
      origin: "ONNX model zoo weights as kept in BruceDai/test-data, cut at the embedding",
      license: "Apache-2.0",
      trainedOn: "ImageNet (ILSVRC 2012)",
    },
  },
  {
    name: "mobilenet-v3-small",
    version: "1.0",
    description: "MobileNetV3-small, 224 px: the fastest, a third of the size of V1, close to it in accuracy",
    file: "mobilenet-v3-small-224.onnx",
    bytes: 3_717_623,
    sha256: "b28b7cb2d2f34487934bf19bdaf5f29c91223b6808714e02489abc2ea205ffc1",
    address: null,
    input: "input",
    output: "embedding",
    embeddingDim: 576,
    pooling: "none",
    preprocess: imagenet,
    decision: defaultDecision,
    priors: priorsOf(0.324, [0.748, 0.8, 0.836, 0.87, 0.892]),
    provenance: {
      origin:
        "torchvision DEFAULT weights as kept in swimleftproducts/seedo, weights moved into the one file",
      license: "BSD-3-Clause",
      trainedOn: "ImageNet (ILSVRC 2012)",
    },
  },
];

export function zooRow(name: string): ZooRow | undefined {
  return zoo.find((row) => row.name === name);
}

/** The manifest of a zoo model, whose published file carries none itself. */
export function zooManifest(row: ZooRow): Manifest {
  const { description: _, file: __, address: ___, bytes, sha256, ...rest } = row;
  return { format: 1, ...rest, model: { sha256, bytes } };
}
