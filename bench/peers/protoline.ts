/** Protoline's side of bench/train: `protoline.ts FOLDER portable|rewritten`; the protocol of peer.py. */
import { createInterface } from "node:readline";
import { simplify } from "../../src/graph/index.ts";
import { modelOf, writeModel } from "../../src/onnx/index.ts";
import { openSession, Tensor } from "../../src/runtime/index.ts";
import { compile } from "../../src/train/compile.ts";
import { rate, readTask, stepOf, threads } from "./task.ts";

const [folder, form] = process.argv.slice(2);
const { benchmark, images } = await readTask(folder!);
const started = performance.now();
const step = stepOf(benchmark);
const session =
  form === "rewritten"
    ? await compile(step.graph, { threads })
    : await openSession(writeModel(modelOf(simplify(step.graph))), { threads });
const buildMs = performance.now() - started;

const pixels = new Tensor("float32", images.data as Float32Array, images.dims);
let states: ReadonlyMap<string, Tensor> = new Map(
  [...step.start(1)].map(([name, { data, dims }]) => [name, new Tensor("float32", data, dims)]),
);
const fetches = session.outputs.map(({ name }) => name);

async function run(count: number): Promise<number> {
  const feeds: Record<string, Tensor> = { images: pixels, ...Object.fromEntries(states) };
  for (const [name, value] of Object.entries(step.scalars(count, rate)))
    feeds[name] = new Tensor("float32", [value], []);
  const results = await session.run(feeds, fetches);
  states = new Map([...states].map(([name, value]) => [name, results[`next/${name}`] ?? value]));
  return Number(results.loss!.data[0]);
}

const say = (message: unknown): boolean => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ version: `Node ${process.version}`, buildMs });
let count = 0;
for await (const _ of createInterface({ input: process.stdin })) {
  const before = performance.now();
  const loss = await run(++count);
  say({ ms: performance.now() - before, loss });
}
