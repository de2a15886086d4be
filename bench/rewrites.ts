/**
 * What the CPU rewrites bring: one training step of a Conv-4 prototypical network with Adam, as the portable graph and
 * rewritten, alternating in one process. Prints a table; asserts nothing.
 *
 *     npx tsx bench/rewrites.ts [runs]
 *
 * `ms` is the median wall time; `cpu` the median processor time over the threads, which says more on a busy machine.
 */
import { cpus } from "node:os";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { createRng } from "../src/core/index.ts";
import { type Graph, probeGraph, probeResult, rewriteFor } from "../src/graph/index.ts";
import { modelOf, writeModel } from "../src/onnx/index.ts";
import { conv4Step, type EpisodeShape } from "../test/graph/step.ts";

const THREADS = 2;
const episodes: Readonly<Record<string, EpisodeShape>> = {
  "84 px, 5-way 5-shot 15 queries": { way: 5, shot: 5, query: 15, size: 84, channels: 3 },
  "28 px, 60-way 5-shot 5 queries": { way: 60, shot: 5, query: 5, size: 28, channels: 1 },
  "28 px, 60-way 1-shot 5 queries": { way: 60, shot: 1, query: 5, size: 28, channels: 1 },
};

const open = (graph: Graph): Promise<InferenceSession> =>
  InferenceSession.create(writeModel(modelOf(graph)), {
    intraOpNumThreads: THREADS,
    logSeverityLevel: 3,
    // Waiting threads would count as working ones.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

const runs = Number(process.argv[2] ?? 9);
const probed = await (await open(probeGraph())).run({
  x: new Tensor("float32", new Float32Array(4), [1, 4, 1, 1]),
});
const probe = probeResult(probed.y!.dims);
console.log(`${cpus()[0]!.model}, ${THREADS} threads, blocks of ${probe.block}, ${runs} runs`);
console.log("| episode | build, ms | compile, ms | portable ms | cpu | rewritten ms | cpu |");
console.log("|---|---|---|---|---|---|---|");
for (const [name, episode] of Object.entries(episodes)) {
  const begun = performance.now();
  const { graph, start } = conv4Step(episode);
  const rewritten = rewriteFor("cpu", probe)(graph);
  const built = performance.now();
  const fast = await open(rewritten);
  const compiled = performance.now();
  const { way, shot, query, size, channels } = episode;
  const dims = [way * (shot + query), channels, size, size];
  const rng = createRng(1);
  const pixels = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => rng.normal());
  const feeds = {
    x: new Tensor("float32", pixels, dims),
    ...Object.fromEntries(
      [...start].map(([key, value]) => [key, new Tensor("float32", value.data as Float32Array, value.dims)]),
    ),
  };
  const rivals = [await open(graph), fast].map((session) => ({
    session,
    ms: [] as number[],
    cpu: [] as number[],
  }));
  for (let i = 0; i < runs; i++)
    for (const { session, ms, cpu } of rivals) {
      const [before, since] = [process.cpuUsage(), performance.now()];
      await session.run(feeds);
      ms.push(performance.now() - since);
      const { user, system } = process.cpuUsage(before);
      cpu.push((user + system) / 1000 / THREADS);
    }
  const columns = rivals.flatMap(({ ms, cpu }) => [median(ms), median(cpu)]);
  const times = [built - begun, compiled - built, ...columns].map((ms) => ms.toFixed(0));
  console.log(`| ${name} | ${times.join(" | ")} |`);
  for (const { session } of rivals) await session.release();
}
