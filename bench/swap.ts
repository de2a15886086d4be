/**
 * Frames while everything changes: `npx tsx bench/swap.ts`. A server in a process of its own answers a line at a steady rate, first
 * undisturbed, then while classes are enrolled, revisions are published and candidates of two models are promoted in turn, then
 * undisturbed again. Writes docs/results/bench-swap.md. It asserts nothing.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { publish } from "../scripts/results.ts";
import { drawPart, partKinds } from "../src/cli/demo/parts.ts";
import { createRng, joinBytes, sha256 } from "../src/core/index.ts";
import { findBundle, writeBundle } from "../src/models/index.ts";
import { buildServer } from "../src/server/index.ts";
import { openPool } from "../src/serving/index.ts";
import { openStore } from "../src/store/index.ts";
import { answerUntilTerm, enroll, quantile, send, sendSteadily, sleep, startServer } from "./steady-line.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    rate: { type: "string", default: "10" },
    /** Classes that are enrolled, a picture each; every tenth publishes a revision. */
    classes: { type: "string", default: "200" },
    /** Of them a second, at most. */
    pace: { type: "string", default: "5" },
    /** The server itself, over this store; started by the bench. */
    serve: { type: "string" },
  },
});
/** The second is the first under another name and hash, so that a frame costs the same by either. */
const models = ["compact", "compact-next"] as const;
const nextIn = (folder: string): string => join(folder, "next.onnx");
if (values.serve !== undefined) {
  const store = await openStore(values.serve);
  const beside = dirname(values.serve.replace("sqlite:", ""));
  const [first, second] = models;
  const encoder = await openPool(first, { workers: 1 });
  const app = buildServer({
    ...{ store, encoder, version: "bench", limits: { requestsPerMinute: 1e9 } },
    models: new Map([[second, () => openPool(nextIn(beside), { workers: 1 })]]),
  });
  await answerUntilTerm(app, encoder, store);
}
const [seconds, rate] = [Number(values.seconds), Number(values.rate)];
const [classes, pace] = [Number(values.classes), Number(values.pace)];
const seed = 1;
const rng = createRng(seed);
const folder = await mkdtemp(join(tmpdir(), "protoline-bench-swap-"));
const { manifest, model: graph } = await findBundle(models[0]);
// A comment behind it (ModelProto.doc_string), so that it has a hash of its own.
const model = joinBytes([graph, Uint8Array.of(6 * 8 + 2, 4), new TextEncoder().encode("next")]);
const itself = { sha256: sha256(model), bytes: model.length };
await writeBundle({ model, manifest: { ...manifest, name: models[1], model: itself } }, nextIn(folder));
const server = await startServer(fileURLToPath(import.meta.url), [
  "--serve",
  `sqlite:${join(folder, "bench.db")}`,
]);
const gallery = `${server.address}/v1/galleries/line-1`;

await send(`${server.address}/v1/galleries`, "POST", {
  name: "line-1",
  refresh: { kind: "after", samples: 10 },
});
for (const [k, kind] of partKinds.entries())
  for (let i = 0; i < 10; i++) await enroll(gallery, kind, await drawPart(kind, rng.fork(100 * k + i)));
const frames = await Promise.all(partKinds.map((kind, k) => drawPart(kind, rng.fork(100 * k + 50))));

const line = async (what: string, until: () => boolean) => ({
  what,
  ...(await sendSteadily(gallery, frames, { rate, more: () => !until() })),
});
const forSeconds = () => {
  const end = performance.now() + 1000 * seconds;
  return () => performance.now() > end;
};
/** Makes a candidate, waits until it has been shadowed for a while, and promotes it. */
async function promote(asked: object): Promise<void> {
  await send(`${gallery}/candidate`, "POST", asked);
  for (;;) {
    const { phase, error } = await send(`${gallery}/candidate`, "GET");
    if (phase === "failed") throw new Error(JSON.stringify(error));
    if (phase === "shadow") break;
    await sleep(200);
  }
  await sleep(2000);
  await send(`${gallery}/candidate/promote`, "POST");
}
async function change(): Promise<void> {
  const enrolling = (async () => {
    const start = performance.now();
    for (let i = 0; i < classes; i++) {
      await sleep(start + (1000 * i) / pace - performance.now());
      const background = { r: (37 * i) % 256, g: (91 * i) % 256, b: (151 * i) % 256 };
      await enroll(
        gallery,
        `class ${i}`,
        await sharp({ create: { width: 128, height: 128, channels: 3, background } })
          .jpeg()
          .toBuffer(),
      );
    }
  })();
  for (const model of [models[1], models[0]]) await promote({ model, tune: false });
  await enrolling;
}

await line("warm up", forSeconds());
const before = await line("undisturbed, before", forSeconds());
const headOf = async (): Promise<number> => ((await send(gallery, "GET")).head as { number: number }).number;
const first = await headOf();
let done = false;
const changing = change().finally(() => {
  done = true;
});
const during = await line("while all of it changes", () => done);
await changing;
const revisions = (await headOf()) - first;
const after = await line("undisturbed, after", forSeconds());
await server.stop();
await rm(folder, { recursive: true });

const ms = (value: number): string => value.toFixed(1);
const quiet = [...before.ms, ...after.ms];
const ratio = quantile(during.ms, 0.99) / quantile(quiet, 0.99);
await publish({
  name: "bench-swap",
  script: "swap",
  folder: "bench",
  seed,
  title: "Frames while classes, revisions and models change",
  about: [
    `A line sends ${rate} frames a second (JPEG, drawn parts) to one server with one worker for the frames of each model; each frame is timed from when it was due. Meanwhile ${classes} classes are enrolled, at most ${pace} a second, ${revisions} revisions are published, and candidates of a second model and then of the first again are made (all kept pictures embedded), shadowed for 2 s and promoted; the second is \`compact\` under another name, so that a frame costs the same by either. Load of the machine over the last minute at the end, this bench included: ${loadavg()[0]!.toFixed(1)}.`,
  ],
  tables: [
    {
      columns: ["", "frames", "failed", "p50 ms", "p95 ms", "p99 ms", "longest ms", "answered by"],
      rows: [before, during, after].map((it) => [
        it.what,
        String(it.ms.length),
        String(it.failed),
        ...[0.5, 0.95, 0.99, 1].map((q) => ms(quantile(it.ms, q))),
        [...it.models].sort().join(", "),
      ]),
      notes: [
        `p99 while it changes is ${ratio.toFixed(2)} × that of the undisturbed frames; the goal is 1.2.`,
      ],
    },
  ],
  data: {
    ratio,
    revisions,
    load: loadavg(),
    phases: [before, during, after].map(({ what, ms: all, failed }) => ({
      ...{ what, frames: all.length, failed },
      p99: quantile(all, 0.99),
    })),
  },
});
