/**
 * Where the time of a training step goes, by operator: `npx tsx bench/train-profile.ts [part of a benchmark's name]`.
 * Prints a table of what the runtime's own profile of the rewritten graph says. It asserts nothing.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { createRng } from "../src/core/index.ts";
import { probeGraph, probeResult, rewriteFor } from "../src/graph/index.ts";
import { modelOf, writeModel } from "../src/onnx/index.ts";
import { benchmarks, imagesShape, rate, stepOf, threads } from "./peers/task.ts";

interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  /** Microseconds. */
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

const wanted = process.argv[2] ?? "";
const benchmark = benchmarks.find(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()));
if (!benchmark) throw new Error(`no benchmark has ${wanted} in its name`);

const probe = await InferenceSession.create(writeModel(modelOf(probeGraph())), { logSeverityLevel: 4 })
  .then((session) => session.run({ x: new Tensor("float32", new Float32Array(4), [1, 4, 1, 1]) }))
  .then(({ y }) => y!.dims)
  .catch(() => null);
const step = stepOf(benchmark);
const folder = await mkdtemp(join(tmpdir(), "train-profile-"));
try {
  const graph = rewriteFor("cpu", probeResult(probe))(step.graph);
  const session = await InferenceSession.create(writeModel(modelOf(graph)), {
    intraOpNumThreads: threads,
    enableProfiling: true,
    profileFilePrefix: join(folder, "step"),
  });
  const dims = imagesShape(benchmark);
  const rng = createRng(2);
  const images = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => rng.normal());
  const feeds: Record<string, Tensor> = { images: new Tensor("float32", images, dims) };
  for (const [name, value] of step.start(1)) feeds[name] = new Tensor("float32", value.data, value.dims);
  for (const [name, value] of Object.entries(step.scalars(1, rate)))
    feeds[name] = new Tensor("float32", [value], []);
  const steps = 4;
  for (let i = 0; i < steps; i++) await session.run(feeds);
  session.endProfiling();
  await session.release();

  const [name] = await readdir(folder);
  const events: readonly ProfileEvent[] = JSON.parse(await readFile(join(folder, name!), "utf8"));
  const kernels = events.filter(({ cat, name }) => cat === "Node" && name.endsWith("_kernel_time"));
  // Every step runs the same kernels; the first one pays for memory and is left out.
  const counted = kernels.slice(kernels.length / steps);
  const byOperator = new Map<string, { ms: number; count: number }>();
  for (const { dur, args } of counted) {
    const operator = args?.op_name ?? "unknown";
    const { ms, count } = byOperator.get(operator) ?? { ms: 0, count: 0 };
    byOperator.set(operator, { ms: ms + dur / 1000 / (steps - 1), count: count + 1 / (steps - 1) });
  }
  const rows = [...byOperator].sort(([, a], [, b]) => b.ms - a.ms);
  const total = rows.reduce((sum, [, { ms }]) => sum + ms, 0);
  console.log(`${benchmark.name}: ${total.toFixed(0)} ms a step in kernels, mean of ${steps - 1}\n`);
  console.log("| operator | calls | ms a step | share |\n| --- | --- | --- | --- |");
  for (const [operator, { ms, count }] of rows.filter(([, { ms }]) => ms >= total / 200))
    console.log(
      `| ${operator} | ${count.toFixed(0)} | ${ms.toFixed(1)} | ${((100 * ms) / total).toFixed(0)} % |`,
    );
} finally {
  await rm(folder, { recursive: true, force: true });
}
