/**
 * One training step (forward, loss, gradients, Adam) of a prototypical network, in Protoline and in its peers:
 * `npx tsx bench/train.ts`. Writes docs/results/bench-train.md. It asserts nothing.
 *
 * `scripts/peer-environments.sh` makes the peers' environments; a peer without one is left out. Engines live in processes
 * of their own and take turns step by step, so that whatever else the machine does meets all of them alike.
 */
import { spawn } from "node:child_process";
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, homedir, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Benchmark, benchmarks, threads, writeTask } from "./peers/task.ts";

const { values: options } = parseArgs({
  options: {
    peers: {
      type: "string",
      default: process.env.PROTOLINE_PEERS ?? join(homedir(), ".cache/protoline/peers"),
    },
    steps: { type: "string", default: "9" },
    "warm-up": { type: "string", default: "2" },
    seconds: { type: "string", default: "600" },
    only: { type: "string", default: "" },
    out: {
      type: "string",
      default: fileURLToPath(new URL("../docs/results/bench-train.md", import.meta.url)),
    },
  },
});
const [steps, warmUp] = [Number(options.steps), Number(options["warm-up"])];
/** How long a benchmark goes on beginning rounds; an engine whose step takes a tenth of it has one turn in three. */
const budgetMs = 1000 * Number(options.seconds);

interface Engine {
  readonly name: string;
  readonly program: string;
  readonly args: (folder: string) => readonly string[];
  /** Upper limits of Protoline's median, and of its peak memory, as shares of this engine's. */
  readonly goals: Readonly<Record<Benchmark["backbone"], number | null>>;
  readonly memoryGoal: number | null;
}

const file = (name: string): string => fileURLToPath(new URL(`peers/${name}`, import.meta.url));
const protoline = (form: string): Pick<Engine, "program" | "args"> => ({
  program: process.execPath,
  args: (folder) => ["--import", "tsx", file("protoline.ts"), folder, form],
});
const python = (peer: string, script: string, ...form: string[]): Pick<Engine, "program" | "args"> => ({
  program: join(options.peers, peer, "bin/python"),
  args: (folder) => [file(script), folder, ...form],
});
const none = { conv4: null, resnet12: null };

const engines: readonly Engine[] = [
  { name: "Protoline", ...protoline("rewritten"), goals: none, memoryGoal: null },
  { name: "Protoline, portable graph", ...protoline("portable"), goals: none, memoryGoal: null },
  {
    name: "PyTorch",
    ...python("torch", "pytorch.py", "default"),
    goals: { conv4: 0.4, resnet12: 0.8 },
    memoryGoal: 1.2,
  },
  {
    name: "PyTorch, channels_last",
    ...python("torch", "pytorch.py", "channels_last"),
    goals: { conv4: 0.62, resnet12: null },
    memoryGoal: null,
  },
  {
    name: "PaddlePaddle",
    ...python("paddle", "paddle_cpu.py"),
    goals: { conv4: 0.14, resnet12: null },
    memoryGoal: null,
  },
];

/** An engine at work: `ask` sends a line and gives the next answer. */
interface Running {
  readonly pid: number;
  next(): Promise<Record<string, unknown>>;
  ask(): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

function start({ name, program, args }: Engine, folder: string): Running {
  const child = spawn(program, args(folder), {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, OMP_NUM_THREADS: `${threads}`, MKL_NUM_THREADS: `${threads}` },
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<Record<string, unknown>> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${name} ended with code ${await ended} before it answered`);
      if (value.startsWith("{")) return JSON.parse(value);
    }
  };
  return {
    pid: child.pid!,
    next,
    ask() {
      child.stdin.write("step\n");
      return next();
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}

const there = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Peak resident memory of a process in MiB; `null` where the system has no /proc. */
async function peakMemory(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
  return kilobytes ? Number(kilobytes) / 1024 : null;
}

/** Clock ticks that the machine was busy, and those that a process was. */
async function busyTicks(pid: number): Promise<{ all: number; own: number }> {
  const [all, own] = await Promise.all(
    ["/proc/stat", `/proc/${pid}/stat`].map((path) => readFile(path, "utf8").catch(() => "")),
  );
  const [user, nice, system, , , irq, soft] = (all!.split("\n")[0] ?? "")
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const [utime, stime] = own!
    .slice(own!.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  return { all: user! + nice! + system! + irq! + soft!, own: utime! + stime! };
}

interface Measured {
  readonly engine: Engine;
  readonly version: string;
  readonly buildMs: number | null;
  readonly losses: number[];
  readonly ms: number[];
  /** Processor time of each step over all threads, to the clock tick of 10 ms. */
  readonly processorMs: number[];
  memory: number | null;
  slowest: number;
}

async function measure(benchmark: Benchmark, able: readonly Engine[]) {
  const folder = await mkdtemp(join(tmpdir(), "bench-train-"));
  const running: Running[] = [];
  try {
    await writeTask(folder, benchmark);
    const measured: Measured[] = [];
    for (const engine of able) {
      const child = start(engine, folder);
      running.push(child);
      const { version, buildMs = null } = await child.next();
      measured.push({
        engine,
        version: version as string,
        buildMs: buildMs as number | null,
        losses: [],
        ms: [],
        processorMs: [],
        memory: null,
        slowest: 0,
      });
    }
    let [busy, others] = [0, 0];
    const began = performance.now();
    for (let round = -warmUp; round < steps && (round < 3 || performance.now() - began < budgetMs); round++)
      for (let turn = 0; turn < able.length; turn++) {
        // Each round begins with another engine; threads of the one before stop spinning in the pause.
        const e = (turn + round + warmUp) % able.length;
        const slow = measured[e]!.slowest > budgetMs / 10;
        if (slow && (round < 0 || round % 3 !== 0)) continue;
        await sleep(50);
        const before = await busyTicks(running[e]!.pid);
        const { ms, loss } = await running[e]!.ask();
        const after = await busyTicks(running[e]!.pid);
        measured[e]!.losses.push(loss as number);
        measured[e]!.slowest = Math.max(measured[e]!.slowest, ms as number);
        if (round < 0) continue;
        measured[e]!.ms.push(ms as number);
        const own = after.own - before.own;
        measured[e]!.processorMs.push(10 * own);
        busy += after.all - before.all;
        others += after.all - before.all - own;
      }
    for (const [e, child] of running.entries()) measured[e]!.memory = await peakMemory(child.pid);
    return { benchmark, measured, others: others / busy };
  } finally {
    await Promise.all(running.map((child) => child.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
};
/** A share of the processors that other programs may take before times are no longer held against the goals. */
const quiet = 0.1;

/** Protoline's share of a peer, beside the goal; on a machine that was not quiet, without a verdict. */
function against(ratio: number, goal: number | null, others = 0): string {
  if (goal === null) return ratio.toFixed(2);
  const verdict = others > quiet ? ", not judged" : ratio > goal ? ", missed" : "";
  return `${ratio.toFixed(2)} (goal ≤ ${goal.toFixed(2)}${verdict})`;
}

const runtimeVersion: string = createRequire(import.meta.url)("onnxruntime-node/package.json").version;

const isPeer = ({ name }: Engine): boolean => !name.startsWith("Protoline");

function table(
  print: (line: string) => unknown,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  for (const cells of [head, head.map(() => "---"), ...rows]) print(`| ${cells.join(" | ")} |`);
}

const able: Engine[] = [];
for (const engine of engines)
  if (await there(engine.program)) able.push(engine);
  else
    console.log(`${engine.name} is left out: no ${engine.program}; scripts/peer-environments.sh makes it.`);

const chosen = benchmarks.filter(({ name }) => new RegExp(options.only, "i").test(name));
const loadBefore = loadavg();

type Result = Awaited<ReturnType<typeof measure>>;

/** The widest vectors of the processor, which decide what a product costs. */
async function vectors(): Promise<string> {
  const info = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  if (info === "") return "vectors unknown";
  return ["avx512f", "avx2"].find((flag) => info.includes(flag)) ?? "neither avx2 nor avx512f";
}

/** The tables of what has been measured until now. */
async function report(results: readonly Result[]): Promise<string> {
  const lines: string[] = [];
  const print = (line: string): number => lines.push(line);
  const versions = [...new Set(results.flatMap(({ measured }) => measured.map(({ version }) => version)))];
  const loads = [loadBefore, loadavg()].map(([minute]) => minute!.toFixed(1)).join(" before, ");
  print("# Training bench\n");
  print(
    `\`${["npx tsx bench/train.ts", ...process.argv.slice(2)].join(" ")}\`, ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC. ${cpus().length} cores ` +
      `(${cpus()[0]?.model.trim()}, ${await vectors()}), ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${threads} threads for every engine. ` +
      `${versions.join(", ")}, onnxruntime-node ${runtimeVersion}. Load average ${loads} after.\n`,
  );
  print(
    "One step is forward, loss, gradients and Adam of a prototypical network on one episode, float32, batch norm in training mode.",
  );
  print(
    "All engines start from the same weights and images. They take turns step by step, each in a process of its own.\n",
  );
  print("## Milliseconds a step\n");
  print(
    `Medians after ${warmUp} to warm up; in brackets the fastest step and how many there were; below a peer's time, Protoline's as a share of it.`,
  );
  print(
    "The last column is what other programs took of the busy processors meanwhile; over 10 %, times are not judged.\n",
  );
  table(
    print,
    ["benchmark", ...able.map(({ name }) => name), "others"],
    results.map(({ benchmark, measured, others }) => [
      benchmark.name,
      ...measured.map(({ engine, ms }) => {
        const share = !isPeer(engine)
          ? ""
          : `<br>${against(median(measured[0]!.ms) / median(ms), engine.goals[benchmark.backbone], others)}`;
        return `${median(ms).toFixed(0)} (${Math.min(...ms).toFixed(0)}; ${ms.length})${share}`;
      }),
      `${(100 * others).toFixed(0)} %`,
    ]),
  );
  print("\n## Processor milliseconds a step\n");
  print("Medians over both threads, spinning included: a figure that other programs disturb less.\n");
  table(
    print,
    ["benchmark", ...able.map(({ name }) => name)],
    results.map(({ benchmark, measured }) => [
      benchmark.name,
      ...measured.map(({ engine, processorMs }) => {
        const share = isPeer(engine)
          ? `<br>${(median(measured[0]!.processorMs) / median(processorMs)).toFixed(2)}`
          : "";
        return `${median(processorMs).toFixed(0)}${share}`;
      }),
    ]),
  );
  print("\n## Peak memory of the process, MiB\n");
  table(
    print,
    ["benchmark", ...able.map(({ name }) => name)],
    results.map(({ benchmark, measured }) => [
      benchmark.name,
      ...measured.map(({ engine, memory }) => {
        if (memory === null || measured[0]!.memory === null) return "unknown";
        const share = !isPeer(engine)
          ? ""
          : `<br>${against(measured[0]!.memory / memory, engine.memoryGoal)}`;
        return `${memory.toFixed(0)}${share}`;
      }),
    ]),
  );
  print("\n## The same computation\n");
  print("Loss of the first step, and of the second, which the first one's gradients decide.\n");
  table(
    print,
    ["benchmark", ...able.map(({ name }) => name), "first, Protoline to PyTorch"],
    results.map(({ benchmark, measured }) => {
      const first = (name: string) =>
        measured.find(({ engine }) => engine.name === name)?.losses[0] ?? Number.NaN;
      const difference = Math.abs(first("Protoline") / first("PyTorch") - 1);
      return [
        benchmark.name,
        ...measured.map(({ losses }) =>
          losses
            .slice(0, 2)
            .map((loss) => loss.toFixed(4))
            .join(", "),
        ),
        Number.isNaN(difference)
          ? "no PyTorch"
          : `${difference.toExponential(0)}${difference > 1e-3 ? ", over 1e-3" : ""}`,
      ];
    }),
  );
  print("\n## Building and compiling the graph, ms\n");
  table(
    print,
    ["benchmark", "Protoline", "Protoline, portable graph"],
    results.map(({ benchmark, measured }) => [
      benchmark.name,
      ...measured.slice(0, 2).map(({ buildMs }) => `${buildMs?.toFixed(0)}`),
    ]),
  );
  return `${lines.join("\n")}\n`;
}

const results: Result[] = [];
for (const benchmark of chosen) {
  const result = await measure(benchmark, able);
  results.push(result);
  await writeFile(options.out, await report(results));
  for (const { engine, ms, memory, losses } of result.measured)
    console.log(
      benchmark.name,
      "|",
      engine.name,
      "|",
      median(ms).toFixed(0),
      "ms |",
      memory?.toFixed(0),
      "MiB |",
      losses[0],
    );
}

console.log(await report(results));
