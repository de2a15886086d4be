/**
 * Frames while a gallery's encoder is trained beside them: `npx tsx bench/learn.ts`. A server in a process of its own answers a line at
 * a steady rate while it trains; the process that trains is halted and let go on in turn, some seconds each, so that whatever else the
 * machine does falls on both alike. Linux alone (signals, /proc). Writes docs/results/bench-learn.md. It asserts nothing.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { publish } from "../scripts/results.ts";
import { drawPart, partKinds } from "../src/cli/demo/parts.ts";
import { createRng } from "../src/core/index.ts";
import { modelSources } from "../src/models/index.ts";
import { buildServer } from "../src/server/index.ts";
import { openPool } from "../src/serving/index.ts";
import { openStore } from "../src/store/index.ts";
import {
  answerUntilTerm,
  enroll,
  quantile,
  type Seen,
  send,
  sendSteadily,
  sleep,
  startServer,
} from "./steady-line.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "compact" },
    rate: { type: "string", default: "10" },
    rounds: { type: "string", default: "20" },
    /** Of each half of a round. */
    seconds: { type: "string", default: "5" },
    /** The server itself; started by the bench. */
    serve: { type: "string" },
  },
});
if (values.serve !== undefined) {
  const store = await openStore("memory:");
  const encoder = await openPool(values.model, { workers: 1 });
  const app = buildServer({
    ...{ store, encoder, version: "bench", limits: { requestsPerMinute: 1e9 } },
    learning: {
      folder: values.serve,
      sources: modelSources(process.env),
      open: (path) => openPool(path, { workers: 1 }),
    },
  });
  await answerUntilTerm(app, encoder, store);
}
const [rate, rounds, seconds] = [Number(values.rate), Number(values.rounds), Number(values.seconds)];
const seed = 1;
const rng = createRng(seed);
const folder = await mkdtemp(join(tmpdir(), "protoline-bench-learn-"));
const server = await startServer(fileURLToPath(import.meta.url), [
  ...["--model", values.model, "--serve", join(folder, "learned")],
]);
const gallery = `${server.address}/v1/galleries/line-1`;

await send(`${server.address}/v1/galleries`, "POST", { name: "line-1" });
for (const [k, kind] of partKinds.entries())
  for (let i = 0; i < 10; i++) await enroll(gallery, kind, await drawPart(kind, rng.fork(100 * k + i)));
const frames = await Promise.all(partKinds.map((kind, k) => drawPart(kind, rng.fork(100 * k + 50))));

await send(`${gallery}/candidate`, "POST", { encoder: { steps: 10_000 } });
const doneSteps = async (): Promise<number> => {
  const { progress, error } = await send(`${gallery}/candidate`, "GET");
  if (error) throw new Error(JSON.stringify(error));
  return (progress as { done: number } | null)?.done ?? 0;
};
while ((await doneSteps()) < 2) await sleep(200);
const children = (await readFile(`/proc/${server.pid}/task/${server.pid}/children`, "utf8"))
  .trim()
  .split(" ");
const commands = await Promise.all(children.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8")));
const trainer = Number(children[commands.findIndex((command) => command.includes("learning"))]);

/** The first of each half is left out: what was under way when it began. */
const settleMs = 500;
interface Half extends Seen {
  readonly trains: boolean;
}
async function half(trains: boolean): Promise<Half> {
  process.kill(trainer, trains ? "SIGCONT" : "SIGSTOP");
  const more = (i: number): boolean => i < seconds * rate;
  return { trains, ...(await sendSteadily(gallery, frames, { rate, more, settleMs })) };
}

await half(false);
const halves: Half[] = [];
let steps = 0;
let trained = 0;
for (let round = 0; round < rounds; round++)
  // Either goes first in turn.
  for (const trains of round % 2 === 0 ? [true, false] : [false, true]) {
    const before = await doneSteps();
    const started = performance.now();
    halves.push(await half(trains));
    if (!trains) continue;
    steps += (await doneSteps()) - before;
    trained += (performance.now() - started) / 1000;
  }
process.kill(trainer, "SIGCONT");
const nice = (await readFile(`/proc/${trainer}/stat`, "utf8")).split(") ")[1]!.split(" ")[16]!;
await send(`${gallery}/candidate`, "DELETE");
await server.stop();
await rm(folder, { recursive: true });

const pooled = (of: readonly Half[], trains: boolean): number[] =>
  of.filter((one) => one.trains === trains).flatMap(({ ms }) => ms);
const ratioOf = (of: readonly Half[], q: number): number =>
  quantile(pooled(of, true), q) / quantile(pooled(of, false), q);
/** Rounds drawn with replacement: frames of one round share what the machine did then. */
const draws = Array.from({ length: 1000 }, (_, i) => {
  const draw = rng.fork(10_000 + i);
  return Array.from({ length: rounds }, () => draw.int(rounds)).flatMap((r) =>
    halves.slice(2 * r, 2 * r + 2),
  );
});
const ratio = (q: number): { value: number; low: number; high: number } => {
  const drawn = draws.map((of) => ratioOf(of, q));
  return { value: ratioOf(halves, q), low: quantile(drawn, 0.025), high: quantile(drawn, 0.975) };
};
const ratios = { p50: ratio(0.5), p95: ratio(0.95), p99: ratio(0.99) };
const text = ({ value, low, high }: typeof ratios.p50): string =>
  `${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
await publish({
  name: "bench-learn",
  script: "learn",
  folder: "bench",
  seed,
  title: "Frames while the encoder is trained beside them",
  about: [
    `A line sends ${rate} frames a second (JPEG, drawn parts) to one server with one worker (\`${values.model}\`); each frame is timed from when it was due. Meanwhile the server trains the gallery's encoder in a process of its own (niceness ${nice}); that process is halted and let go on in turn, ${seconds} s each, ${rounds} times, so that whatever else the machine does falls on both alike. The first ${settleMs} ms of each are left out. While it was let go on it made ${(steps / trained).toFixed(2)} steps a second. Load of the machine over the last minute at the end, this bench included: ${loadavg()[0]!.toFixed(1)}.`,
  ],
  tables: [
    {
      columns: ["the process that trains", "frames", "failed", "p50 ms", "p95 ms", "p99 ms", "longest ms"],
      rows: [true, false].map((trains) => {
        const ms = pooled(halves, trains);
        const failed = halves.reduce((sum, one) => sum + (one.trains === trains ? one.failed : 0), 0);
        return [
          trains ? "trains" : "is halted",
          ...[String(ms.length), String(failed)],
          ...[0.5, 0.95, 0.99, 1].map((q) => quantile(ms, q).toFixed(1)),
        ];
      }),
      notes: [
        `Trains over halted, with the interval that holds 95 of 100 draws of rounds: p50 ${text(ratios.p50)}, p95 ${text(ratios.p95)}, p99 ${text(ratios.p99)}; the goal for p99 is 1.2.`,
      ],
    },
  ],
  data: {
    ratios,
    load: loadavg(),
    halves: halves.map(({ trains, ms, failed }) => ({
      trains,
      failed,
      p50: quantile(ms, 0.5),
      p99: quantile(ms, 0.99),
    })),
  },
});
