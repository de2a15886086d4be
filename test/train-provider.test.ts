import { InferenceSession } from "onnxruntime-node";
import { expect, it } from "vitest";
import { createBuilder } from "../src/graph/index.ts";
import { modelOf, writeModel } from "../src/onnx/index.ts";
import { type Provider, Tensor } from "../src/runtime/index.ts";
import { compile } from "../src/train/compile.ts";
import { createSampler, trainingStep } from "../src/train/index.ts";
import { toyConfig, toySet } from "./train/toy.ts";

/**
 * Why WebGPU has no device here, or `null` where it has one. The runtime says so in these words; whatever else goes
 * wrong with it is a failure of the test.
 */
async function noDevice(): Promise<string | null> {
  const g = createBuilder("device");
  const bytes = writeModel(modelOf(g.build({ y: g.Relu(g.input("x", "float32", [1])) })));
  try {
    const session = await InferenceSession.create(bytes, {
      executionProviders: ["webgpu"],
      logSeverityLevel: 4,
    });
    await session.release();
    return null;
  } catch (error) {
    return /Failed to get a WebGPU adapter.*/.exec(String(error))?.[0] ?? null;
  }
}

const missing = await noDevice();
if (missing !== null) console.log(`WebGPU is not tested: ${missing.trim()}`);

it.skipIf(missing !== null)("a step on WebGPU has the loss and the next weights of the CPU", async () => {
  const episode = { way: 3, shot: 2, query: 2 };
  const config = toyConfig({ episode, backbone: { kind: "conv4", width: 8 }, optimizer: { kind: "sgd" } });
  const step = trainingStep(config, episode);
  const states = [...step.start(3)].map(([name, { data, dims }]) => [
    name,
    new Tensor("float32", data, dims),
  ]);
  const scalars = Object.entries(step.scalars(1, 0.1)).map(([name, value]) => [
    name,
    new Tensor("float32", [value], []),
  ]);
  const feeds: Record<string, Tensor> = {
    ...createSampler(config, toySet(6, 4, 1)).feeds(0),
    ...Object.fromEntries([...states, ...scalars]),
  };
  const run = async (provider: Provider) => {
    const session = await compile(step.graph, { provider });
    try {
      return await session.run(feeds);
    } finally {
      await session.close();
    }
  };
  const [cpu, gpu] = [await run("cpu"), await run("webgpu")];
  expect(Object.keys(gpu)).toEqual(Object.keys(cpu));
  for (const name of Object.keys(cpu)) {
    const [expected, got] = [cpu, gpu].map((results) => results[name]!.data as Float32Array);
    const size = Math.max(...expected!.map(Math.abs));
    const away = Math.max(...expected!.map((value, i) => Math.abs(value - got![i]!)));
    expect(away, name).toBeLessThanOrEqual(1e-3 * size + 1e-6);
  }
});
