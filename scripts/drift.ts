/**
 * What the monitor of a line says on real pictures: how often it alarms where nothing has changed, and after how many
 * frames it finds drifts that were planted. `drift.ts --mirror ../shared/models`.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { createRng, type Rng, row, stack } from "../src/core/index.ts";
import { listClasses } from "../src/data/index.ts";
import { fitDecision } from "../src/fewshot/index.ts";
import { openEncoder } from "../src/models/index.ts";
import { createDriftWatch, detectDrift, type SeenFrame, wilson } from "../src/monitor/index.ts";
import { Recognizer } from "../src/recognizer/index.ts";
import { percent, publish } from "./results.ts";

const { values } = parseArgs({
  options: {
    mirror: { type: "string", default: process.env.PROTOLINE_MIRROR ?? "../shared/models" },
    model: { type: "string", default: "mobilenet-v2" },
    runs: { type: "string", default: "30" },
    quiet: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
  },
});
const [runs, quiet, seed] = [values.runs, values.quiet, values.seed].map(Number) as [number, number, number];
const newClass = "surface scratch";
const shot = 10;
const [referenceFrames, windowFrames, level, windows] = [256, 64, 0.01, 14];
/** Clean frames between the reference and the drift. */
const before = windowFrames;

const folder = fileURLToPath(new URL("../../shared/datasets/x-sdd/images", import.meta.url));
const { classes } = await listClasses(folder);
const encoder = await openEncoder(values.model, { sources: { cache: "none", mirror: values.mirror } });
const recognizer = await Recognizer.open({ model: encoder, store: "memory:", gallery: "drift" });
const root = createRng(seed);
const queries: { readonly path: string; readonly label: string }[] = [];
for (const [i, { label, images }] of classes.entries()) {
  const order = root.fork(i).shuffle(images);
  if (label !== newClass) await recognizer.enroll(label, order.slice(0, shot), { who: "drift" });
  for (const path of order.slice(label === newClass ? 0 : shot)) queries.push({ path, label });
}
const { samples, decision: spec, priors } = recognizer;
const decision = fitDecision(
  {
    embeddings: stack(samples.flatMap(({ embeddings }) => embeddings)),
    labels: samples.flatMap(({ label, embeddings }) => embeddings.map(() => label)),
  },
  spec,
  priors,
);

/** Another camera: another curve and tint, fewer pixels, noise, stronger compression. */
async function otherCamera(bytes: Buffer, rng: Rng): Promise<Buffer> {
  const { width, height } = await sharp(bytes).metadata();
  const small = await sharp(bytes)
    .toColourspace("srgb")
    .removeAlpha()
    .gamma(1.2)
    .linear([1.05, 1, 0.95], [0, 0, 0])
    .resize(Math.round(width * 0.75), Math.round(height * 0.75))
    .raw()
    .toBuffer({ resolveWithObject: true });
  const noisy = small.data.map((value) => Math.max(0, Math.min(255, Math.round(value + 4 * rng.normal()))));
  return sharp(noisy, { raw: { ...small.info } })
    .resize(width, height)
    .jpeg({ quality: 60 })
    .toBuffer();
}

type Change = (bytes: Buffer, rng: Rng) => Promise<Buffer>;
const changes: Readonly<Record<string, Change>> = {
  clean: async (bytes) => bytes,
  "brightness −10 %": (bytes) => sharp(bytes).linear(0.9, 0).png().toBuffer(),
  "brightness −30 %": (bytes) => sharp(bytes).linear(0.7, 0).png().toBuffer(),
  "blur, σ 0.7 pixels": (bytes) => sharp(bytes).blur(0.7).png().toBuffer(),
  "blur, σ 1.5 pixels": (bytes) => sharp(bytes).blur(1.5).png().toBuffer(),
  "another camera": otherCamera,
};

interface Looked extends SeenFrame {
  readonly truth: string;
}
async function look(name: string): Promise<Looked[]> {
  const frames: Looked[] = [];
  for (const [i, { path, label: truth }] of queries.entries()) {
    const bytes = await changes[name]!(await readFile(join(path)), root.fork(1000 + i));
    const views = await recognizer.embed([bytes]);
    const { kind, candidates } = decision.decide(views, { topK: 1 });
    const { label, distance } = candidates[0]!;
    frames.push({
      embedding: decision.transform(row(views, 0)),
      distance,
      label: kind === "unknown" ? null : label,
      truth,
    });
  }
  process.stderr.write(`${name}: ${frames.length} frames\n`);
  return frames;
}

const seen = new Map<string, Looked[]>();
for (const name of Object.keys(changes)) seen.set(name, await look(name));
await recognizer.close();
await encoder.close();
const clean = seen.get("clean")!;
const known = clean.flatMap(({ truth }, i) => (truth === newClass ? [] : [i]));
const strangers = clean.flatMap(({ truth }, i) => (truth === newClass ? [i] : []));

interface Run {
  /** Frames from the drift's first to the end of the window that alarmed; `null` where none did. */
  readonly found: number | null;
  readonly tests: readonly string[];
  /** Least adjusted p-value of any window. */
  readonly least: number;
  readonly windows: number;
}

/** Frames one after another, no picture twice. */
function watch(frames: readonly Looked[], driftAt: number, run: number): Run {
  const options = { referenceFrames, windowFrames, level, windows, seed: 10_000 * run };
  const line = createDriftWatch(options);
  let [least, judged] = [1, 0];
  for (const frame of frames) {
    const full = line.observe(frame);
    if (!full) continue;
    judged++;
    const report = detectDrift(full.reference, full.current, full.options);
    least = Math.min(least, report.findings[0]!.adjusted);
    if (report.alarm && full.frame > driftAt)
      return {
        found: full.frame - driftAt,
        tests: [...new Set(report.findings.filter(({ alarm }) => alarm).map(({ test }) => test))],
        least,
        windows: judged,
      };
  }
  return { found: null, tests: [], least, windows: judged };
}

const driftAt = referenceFrames + before;
/** After `driftAt` frames those of `drifted`, of the same pictures or of others. */
const planted: {
  readonly name: string;
  readonly frames: (order: readonly number[], rng: Rng) => Looked[];
}[] = [
  ...Object.keys(changes)
    .filter((name) => name !== "clean")
    .map((name) => ({
      name,
      frames: (order: readonly number[]) =>
        order.map((i, at) => (at < driftAt ? clean[i]! : seen.get(name)![i]!)),
    })),
  ...[0.1, 0.3].map((share) => ({
    name: `a new class in ${100 * share} % of the frames`,
    frames: (order: readonly number[], rng: Rng) => {
      const others = rng.shuffle(strangers);
      const frames = order.slice(0, driftAt).map((i) => clean[i]!);
      for (const i of order.slice(driftAt)) {
        const stranger = rng.next() < share;
        if (stranger && others.length === 0) break;
        frames.push(clean[stranger ? others.pop()! : i]!);
      }
      return frames;
    },
  })),
];

const rows: string[][] = [];
const data: unknown[] = [];
const middle = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
for (const { name, frames } of planted) {
  const found = Array.from({ length: runs }, (_, run) => {
    const rng = root.fork(5000 + run);
    return watch(frames(rng.shuffle(known), rng), driftAt, run);
  });
  const took = found.flatMap((one) => (one.found === null ? [] : [one.found]));
  const tests = new Map<string, number>();
  for (const one of found) for (const test of one.tests) tests.set(test, (tests.get(test) ?? 0) + 1);
  const unknown = (of: readonly Looked[]): number =>
    of.filter(({ label }) => label === null).length / of.length;
  const after = frames(known, root.fork(1)).slice(driftAt);
  rows.push([
    name,
    `${took.length} of ${runs}`,
    took.length === 0 ? "–" : String(middle(took)),
    took.length === 0 ? "–" : String(Math.max(...took)),
    [...tests]
      .sort(([, a], [, b]) => b - a)
      .map(([test, n]) => `${test} ${n}`)
      .join(", "),
    `${percent(unknown(known.map((i) => clean[i]!)))} → ${percent(unknown(after))}`,
  ]);
  data.push({ name, found });
  console.error(rows.at(-1)!.join(" | "));
}

const calm = Array.from({ length: quiet }, (_, run) => {
  const rng = root.fork(9000 + run);
  const order = rng.shuffle(known).slice(0, referenceFrames + windows * windowFrames);
  return watch(
    order.map((i) => clean[i]!),
    0,
    500 + run,
  );
});
const looked = calm.reduce((sum, { windows: n }) => sum + n, 0);
const quietRows = [0.01, 0.05, 0.1].map((at) => {
  const alarms = calm.filter(({ least }) => least <= at / windows).length;
  const [low, high] = wilson({ hits: alarms, of: quiet });
  return [
    String(at),
    `${alarms} of ${quiet}`,
    `${percent(low)} to ${percent(high)}`,
    low <= at ? "yes" : "no",
  ];
});
data.push({ name: "nothing", calm });

await publish({
  name: "drift",
  title: "Drift of a line, planted in real pictures",
  about: [
    `X-SDD, ${values.model}: six classes are known from ${shot} pictures each (all but "${newClass}"), decision as it comes. The other pictures are the frames, in random order, none twice: ${referenceFrames} for the reference, ${before} as they are, then the drift. Windows of ${windowFrames} frames that share none; level ${level} for ${windows} windows together.`,
    "`frames` counts from the first drifted frame to the end of the window that alarmed, so that a multiple of the window is the least that can be; the median and the most of the runs that found it. `tests` counts the runs in which that test was among those that alarmed then. Brightness: all values times 0.9 or 0.7; blur: Gaussian; another camera: gamma, tint, three quarters of the pixels, noise of 4 of 255, JPEG of quality 60.",
  ],
  tables: [
    {
      columns: ["drift", "found", "frames, median", "frames, most", "tests", "unknown %, before → after"],
      rows,
    },
    {
      title: "Where nothing has changed",
      columns: ["level of a period", "periods with an alarm", "95 % interval, %", "level held"],
      rows: quietRows,
      notes: [
        `${quiet} periods of at most ${windows} windows, ${looked} windows in all. The pictures of all periods are the same ones in another order.`,
      ],
    },
  ],
  seed,
  data,
});
