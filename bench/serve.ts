/**
 * What a server takes: `npx tsx bench/serve.ts`. Connections that send one frame after another: tensors, small and large
 * pictures; the same encoder asked directly in the same run; frames while pictures are enrolled; and more than it admits.
 * Prints tables and writes docs/results/bench-serve.md. It asserts nothing.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { drawPart, partKinds } from "../src/cli/demo/parts.ts";
import { createRng } from "../src/core/index.ts";
import { decodePicture, toInput } from "../src/data/index.ts";
import { modelSources, openEncoder } from "../src/models/index.ts";
import { Recognizer } from "../src/recognizer/index.ts";
import { buildServer, listen } from "../src/server/index.ts";
import { createAdmission, openPool } from "../src/serving/index.ts";
import { openStore } from "../src/store/index.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "compact" },
    seconds: { type: "string", default: "6" },
    workers: { type: "string", default: "1" },
    /** The server itself, over this store; started by the bench. */
    serve: { type: "string" },
  },
});
const [seconds, workers] = [Number(values.seconds), Number(values.workers)];
if (values.serve !== undefined) {
  const served = await openStore(values.serve);
  const pool = await openPool(values.model, { workers, threads: 1 });
  const admission = createAdmission({ withinMs: 50, least: workers });
  // As `protoline serve`, but for the bound on requests a minute: all senders have one address here.
  const app = buildServer({
    ...{ store: served, encoder: pool, version: "bench", admission },
    limits: { requestsPerMinute: 1e9 },
  });
  console.log(await listen(app, { port: 0 }));
  await new Promise((resolve) => process.once("SIGTERM", resolve));
  await app.close();
  await pool.close();
  await served.close();
  process.exit(0);
}
const folder = await mkdtemp(join(tmpdir(), "protoline-bench-serve-"));
const store = `sqlite:${join(folder, "bench.db")}`;
const rng = createRng(1);
const lines: string[] = [];
const print = (text: string): void => {
  console.log(text);
  lines.push(text);
};
const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;

interface Load {
  readonly perSecond: number;
  readonly ms: readonly number[];
  readonly refused: number;
  readonly failed: number;
}

interface Frame {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer>;
}

const jpeg = (bytes: Uint8Array): Frame => ({
  path: "/v1/galleries/default/recognize",
  headers: { "content-type": "image/jpeg" },
  body: new Uint8Array(bytes),
});

/** `[1, …shape]` for the Open Inference Protocol, its numbers as bytes, and those of the reply. */
function tensorFrame(model: string, input: Float32Array, shape: readonly number[]): Frame {
  const json = Buffer.from(
    JSON.stringify({
      inputs: [{ name: "image", datatype: "FP32", shape: [1, ...shape] }],
      parameters: { binary_data_output: true },
    }),
  );
  return {
    path: `/v2/models/${model}/infer`,
    headers: { "inference-header-content-length": String(json.length) },
    body: new Uint8Array(
      Buffer.concat([json, new Uint8Array(input.buffer, input.byteOffset, input.byteLength)]),
    ),
  };
}

const agent = new Agent({ keepAlive: true });
/** The status, when the last byte is here. Not `fetch`, which takes several times the processor time, of the same cores. */
const send = (url: string, { headers, body }: Frame): Promise<number> =>
  new Promise((resolve, reject) => {
    const sent = request(url, {
      agent,
      method: "POST",
      headers: { ...headers, "content-length": body.length },
    });
    sent.once("error", reject);
    sent.once("response", (reply) => {
      reply.resume();
      reply.once("end", () => resolve(reply.statusCode!));
      reply.once("error", reject);
    });
    sent.end(body);
  });

/** All connections open at the same moment; answers to frames of this time are counted, and not timed. */
const settlingMs = 1000;

/** `connections` that each send a frame as soon as the last is answered, or refused. */
async function load(
  address: string,
  frame: Frame,
  connections: number,
  during?: () => Promise<void>,
): Promise<Load> {
  const ms: number[] = [];
  let [answered, refused, failed] = [0, 0, 0];
  const url = `${address}${frame.path}`;
  const began = performance.now();
  let going = true;
  const one = async (): Promise<void> => {
    while (going) {
      const started = performance.now();
      const status = await send(url, frame).catch(() => null);
      if (status === 200) {
        answered++;
        if (started - began > settlingMs) ms.push(performance.now() - started);
      }
      if (status === 503) {
        refused++;
        await new Promise((resolve) => setTimeout(resolve, (1 + Math.random()) * 500));
      } else if (status !== 200) failed++;
    }
  };
  const senders = Array.from({ length: connections }, one);
  await (during?.() ?? new Promise((resolve) => setTimeout(resolve, 1000 * seconds)));
  going = false;
  await Promise.all(senders);
  const took = (performance.now() - began) / 1000;
  return { perSecond: answered / took, ms: ms.sort((a, b) => a - b), refused, failed };
}
const cells = ({ perSecond, ms, refused, failed }: Load): string =>
  [perSecond.toFixed(0), ...[0.5, 0.95, 0.99].map((q) => quantile(ms, q).toFixed(1)), refused, failed].join(
    " | ",
  );

try {
  const sources = modelSources(process.env);
  const encoder = await openEncoder(values.model, { sources, threads: 1 });
  const recognizer = await Recognizer.open({ model: encoder, store });
  for (const kind of partKinds)
    await recognizer.enroll(
      kind,
      await Promise.all(Array.from({ length: 10 }, (_, i) => drawPart(kind, rng.fork(i)))),
    );
  await recognizer.close();
  const part = await drawPart("gear", rng.fork(999));
  const small = await sharp(part).resize(128, 128).jpeg({ quality: 90 }).toBuffer();
  const large = await sharp(part).resize(1920, 1080, { fit: "fill" }).jpeg({ quality: 90 }).toBuffer();

  const input = toInput(await decodePicture(small), encoder.manifest.preprocess);
  const raw = async (batch: number): Promise<number> => {
    const inputs = Array.from({ length: batch }, () => input);
    await encoder.embed(inputs);
    const began = performance.now();
    let n = 0;
    for (; performance.now() - began < 1000 * Math.min(seconds, 3); n += batch) await encoder.embed(inputs);
    return (1000 * n) / (performance.now() - began);
  };

  const child = spawn(
    process.execPath,
    [
      ...["--import", "tsx", fileURLToPath(import.meta.url), "--serve", store],
      ...["--model", values.model, "--workers", String(workers)],
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const address = (
    await new Promise<string>((resolve) => child.stdout.setEncoding("utf8").once("data", resolve))
  ).trim();
  const { channels, size } = encoder.manifest.preprocess;
  const tensor = tensorFrame(encoder.manifest.name, input, [channels === "gray" ? 1 : 3, ...size]);

  print(`# Serving\n`);
  print(
    `${values.model}, ${workers} worker(s) of one thread; the senders run on the same ${cpus().length} cores, ${seconds} s each. Milliseconds from the request to its last byte, of requests after the first second, in which all connections open at once. Refused is 503 by admission control; after one a sender waits 0.5 to 1 s, of which the reply asks for one.\n`,
  );
  print(
    `Before the run the machine had a load average of ${loadavg()[0]!.toFixed(1)} from other work: compare rows of this page with each other alone.\n`,
  );
  const [direct1, direct8] = [await raw(1), await raw(8)];
  print(
    `The encoder asked directly, on one thread, without decoding: ${direct1.toFixed(0)} pictures a second one by one, ${direct8.toFixed(0)} by eights.\n`,
  );
  print(
    "| frame | connections | answers a second | p50 | p95 | p99 | refused | failed |\n| --- | --- | --- | --- | --- | --- | --- | --- |",
  );
  let best = 0;
  for (const [name, frame] of [
    ["tensor", tensor],
    ["128 px JPEG", jpeg(small)],
    ["1080p JPEG", jpeg(large)],
  ] as const) {
    // What is measured is a server that has run for a while.
    await load(address, frame, 2);
    for (const connections of [1, 8, 32, 128]) {
      const loaded = await load(address, frame, connections);
      if (frame === tensor) best = Math.max(best, loaded.perSecond);
      print(`| ${name} | ${connections} | ${cells(loaded)} |`);
    }
  }
  const direct3 = await raw(1);
  print(
    `\nTensors at best: ${(best / Math.max(direct1, direct3)).toFixed(2)} of what the encoder gives directly, which was ${direct3.toFixed(0)} a second after the run.`,
  );

  const pictures = await Promise.all(
    Array.from({ length: 10 }, (_, i) => drawPart("bolt", rng.fork(5000 + i))),
  );
  let classes = 0;
  const enrolling = async (): Promise<void> => {
    const end = performance.now() + 1000 * seconds;
    while (performance.now() < end) {
      const form = new FormData();
      for (const [i, bytes] of pictures.entries()) {
        // A pixel more or less, so that no picture is known already.
        const own = await sharp(bytes)
          .resize(200 + (classes % 50), 200 + Math.floor(classes / 50) + i)
          .jpeg()
          .toBuffer();
        form.append("image", new Blob([new Uint8Array(own)], { type: "image/jpeg" }), `${i}.jpg`);
      }
      await fetch(`${address}/v1/galleries/default/classes/bolt%20${classes++}/samples`, {
        method: "POST",
        body: form,
      });
    }
  };
  print("\n## While pictures are enrolled\n");
  print(
    "| 128 px JPEG, 2 connections | answers a second | p50 | p95 | p99 | refused | failed |\n| --- | --- | --- | --- | --- | --- | --- |",
  );
  print(`| alone | ${cells(await load(address, jpeg(small), 2))} |`);
  const during = await load(address, jpeg(small), 2, enrolling);
  print(`| while ${classes} classes of ten pictures are enrolled | ${cells(during)} |`);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
  await encoder.close();
  print(
    `\nMade by \`npx tsx bench/serve.ts\` on ${new Date().toISOString().slice(0, 10)} with ${cpus().length} cores of ${cpus()[0]!.model}, Node ${process.versions.node}.`,
  );
  await writeFile(new URL("../docs/results/bench-serve.md", import.meta.url), `${lines.join("\n")}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
