import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRng } from "../../src/core/index.ts";
import { type Tensor, tensor } from "../../src/graph/index.ts";
import type { EpisodeShape } from "../../src/methods/index.ts";
import { parseTrainConfig, type Step, trainingStep } from "../../src/train/index.ts";

/** One training step that every engine of the bench takes. */
export interface Benchmark extends EpisodeShape {
  readonly name: string;
  readonly backbone: "conv4" | "resnet12";
  readonly size: number;
  readonly channels: "gray" | "rgb";
}

export const benchmarks: readonly Benchmark[] = [
  {
    name: "Conv-4, 84 px RGB, 5w5s15q",
    backbone: "conv4",
    size: 84,
    channels: "rgb",
    way: 5,
    shot: 5,
    query: 15,
  },
  {
    name: "Conv-4, 28 px gray, 60w5s5q",
    backbone: "conv4",
    size: 28,
    channels: "gray",
    way: 60,
    shot: 5,
    query: 5,
  },
  {
    name: "Conv-4, 28 px gray, 60w1s5q",
    backbone: "conv4",
    size: 28,
    channels: "gray",
    way: 60,
    shot: 1,
    query: 5,
  },
  {
    name: "ResNet-12, 84 px RGB, 5w1s15q",
    backbone: "resnet12",
    size: 84,
    channels: "rgb",
    way: 5,
    shot: 1,
    query: 15,
  },
];

export const threads = 2;
export const rate = 1e-3;

/** The step as `protoline train` would run it. */
export function stepOf({ backbone, size, channels, way, shot, query }: Benchmark): Step {
  const planes = channels === "gray" ? [0] : [0, 0, 0];
  const config = parseTrainConfig({
    name: "bench",
    data: { dataset: "none", size, channels, mean: planes, std: planes.map(() => 1) },
    backbone: { kind: backbone },
    method: { kind: "protonet" },
    episode: { way, shot, query },
    episodes: 1,
    optimizer: { kind: "adam" },
    rate,
  });
  return trainingStep(config, { way, shot, query });
}

/** `[way × (shot + query), C, H, W]` */
export const imagesShape = ({ channels, size, way, shot, query }: Benchmark): number[] => [
  way * (shot + query),
  channels === "gray" ? 1 : 3,
  size,
  size,
];

/** Starting values of what is trained, in the order in which the network asks for them. */
const trained = (start: ReadonlyMap<string, Tensor<"float32">>) =>
  [...start].filter(([name]) => !/:|\/(mean|variance)$/.test(name));

/** Writes what a peer needs into a folder: `task.json`, `weights.f32` and `images.f32` (raw, little-endian). */
export async function writeTask(folder: string, benchmark: Benchmark): Promise<void> {
  const { backbone, way, shot, query } = benchmark;
  const parameters = trained(stepOf(benchmark).start(1)).map(([, value]) => value);
  const shape = imagesShape(benchmark);
  const rng = createRng(2);
  const images = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => rng.normal());
  const dims = parameters.map((value) => value.dims);
  const task = { backbone, way, shot, query, images: shape, parameters: dims, threads, rate };
  await writeFile(join(folder, "benchmark.json"), JSON.stringify(benchmark));
  await writeFile(join(folder, "task.json"), JSON.stringify(task));
  await writeFile(
    join(folder, "weights.f32"),
    Buffer.concat(parameters.map(({ data }) => Buffer.from(data.buffer))),
  );
  await writeFile(join(folder, "images.f32"), Buffer.from(images.buffer));
}

export async function readTask(folder: string) {
  const benchmark: Benchmark = JSON.parse(await readFile(join(folder, "benchmark.json"), "utf8"));
  const bytes = await readFile(join(folder, "images.f32"));
  const images = tensor("float32", new Float32Array(new Uint8Array(bytes).buffer), imagesShape(benchmark));
  return { benchmark, images };
}
