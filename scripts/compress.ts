/**
 * What compression costs and brings: float, float16, INT8 by each calibration, pruned; size, accuracy on the same X-SDD
 * episodes, and time by turns. Calibrated and fine-tuned on pictures of other data sets (../shared/corpus), so that no
 * picture of the test is seen. A second call goes on where the first one was stopped.
 */
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  fineTune,
  halveBundle,
  type Inputs,
  likeness,
  prepare,
  pruneBundle,
  quantizeBundle,
  rebundle,
  timeSideBySide,
} from "../src/compress/index.ts";
import { decodePicture, listClasses, openZip, type Preprocess, toInput } from "../src/data/index.ts";
import { removeDead, widenWeights } from "../src/graph/index.ts";
import { type Bundle, encoderOf, findBundle, readBundle, writeBundle } from "../src/models/index.ts";
import { readModel } from "../src/onnx/index.ts";
import { embedDataset, evaluate } from "../src/train/index.ts";
import { percent, publish } from "./results.ts";

const { values } = parseArgs({
  options: {
    /** Names or paths of bundles, joined by commas. */
    model: { type: "string", default: "mobilenet-v2,mobilenet-v1" },
    episodes: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    /** Of the files in docs/results. */
    name: { type: "string", default: "compress" },
    /** Of each X-SDD class the first so many; 0: all. */
    each: { type: "string", default: "0" },
    calibrate: { type: "string", default: "64" },
    tune: { type: "string", default: "1024" },
    steps: { type: "string", default: "600" },
    threads: { type: "string", default: "0" },
    only: { type: "string", default: "" },
  },
});
const [episodes, seed, each, steps, threads] = [
  values.episodes,
  values.seed,
  values.each,
  values.steps,
  values.threads,
].map(Number) as [number, number, number, number, number];
const session = threads > 0 ? { threads } : {};
const shared = fileURLToPath(new URL("../../shared", import.meta.url));
const cache = fileURLToPath(new URL("../node_modules/.cache/protoline-results", import.meta.url));
const corpora = ["kth_tips2a", "dtd10", "debian_game_textures", "grocery"] as const;

async function corpus(preprocess: Preprocess, count: number): Promise<Inputs> {
  const pictures: Float32Array[] = [];
  for (const name of corpora) {
    const zip = await openZip(join(shared, `corpus/${name}.zip`));
    const names = zip.names.filter((path) => /\.jpe?g$/i.test(path));
    const wanted = Math.ceil(count / corpora.length);
    const chosen = Array.from({ length: wanted }, (_, i) => names[Math.floor((i * names.length) / wanted)]!);
    for (const { bytes } of zip.files(chosen)) pictures.push(toInput(await decodePicture(bytes), preprocess));
  }
  return { pictures, shape: [preprocess.channels === "gray" ? 1 : 3, ...preprocess.size] };
}

const { classes } = await listClasses(join(shared, "datasets/x-sdd/images"));
const some = classes.map(({ label, images }) => ({
  label,
  images: each > 0 ? images.slice(0, each) : images,
}));
/** A row of the table of one model. */
interface Row {
  readonly name: string;
  readonly bytes: number;
  readonly ms: number;
  /** Of the float model in the same turns. */
  readonly floatMs: number;
  readonly likeness: number;
  readonly accuracy: readonly { readonly shot: number; readonly mean: number; readonly ci95: number }[];
}

async function measure(model: string): Promise<readonly Row[]> {
  const found = await findBundle(model, {
    cache: join(cache, "models"),
    mirror: process.env.PROTOLINE_MIRROR ?? join(shared, "models"),
  });
  // What is kept in half precision is compared with as it is computed.
  const float = rebundle(found, removeDead(widenWeights(readModel(found.model).graph)), "fp32", "in float32");
  const calibration = await corpus(float.manifest.preprocess, Number(values.calibrate));
  const tuning = (): Promise<Inputs> => corpus(float.manifest.preprocess, Number(values.tune));
  const int8 = async (options: Parameters<typeof quantizeBundle>[2]): Promise<Bundle> =>
    (await quantizeBundle(float, calibration, { ...session, ...options })).bundle;
  const told = (stage: string, done: number, total: number): void => {
    if (done % 20 === 0) console.error(`${stage} ${done} of ${total}`);
  };
  const whole = "pruned 30 %, made up for, not fine-tuned";
  const pruned = async (makeUp: boolean): Promise<Bundle> =>
    (
      await pruneBundle(float, await tuning(), {
        share: 0.3,
        seed,
        ...session,
        makeUp,
        fineTune: null,
        onProgress: told,
      })
    ).bundle;
  /** What pruneBundle does at the end, from the row before: its minutes are not spent twice. */
  async function tuned(): Promise<Bundle> {
    const student = await bundleOf(whole, () => pruned(true));
    const graph = await fineTune(prepare(float), prepare(student), await tuning(), {
      steps,
      seed,
      ...session,
      onProgress: ({ step, loss }) => told(`fine-tune, loss ${loss.toFixed(4)}`, step, steps),
    });
    return rebundle(student, graph, "tuned", "fine-tuned");
  }

  const rows: readonly (readonly [name: string, make: () => Promise<Bundle>])[] = [
    ["float32", async () => float],
    ["float16 weights", async () => halveBundle(float)],
    ["INT8, minmax", () => int8({ method: "minmax", keepWorst: 0 })],
    ["INT8, percentile", () => int8({ method: "percentile", keepWorst: 0 })],
    ["INT8, entropy", () => int8({ method: "entropy", keepWorst: 0 })],
    ["INT8, percentile, 8-bit weights", () => int8({ method: "percentile", weightBits: 8, keepWorst: 0 })],
    ["INT8, percentile, the 3 worst nodes in float", () => int8({ method: "percentile", keepWorst: 3 })],
    ["pruned 30 %, not made up for", () => pruned(false)],
    [whole, () => pruned(true)],
    [`pruned 30 %, ${steps} steps of fine-tuning`, tuned],
  ];

  /** A bundle of this row, made once. */
  async function bundleOf(name: string, make: () => Promise<Bundle>): Promise<Bundle> {
    const slug = `${model.replaceAll(/[^\w-]+/g, "-")}-${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`;
    const path = join(cache, `compress/${slug}-${values.calibrate}-${values.tune}-${seed}.onnx`);
    if (name !== "float32" && existsSync(path)) return readBundle(path);
    const bundle = await make();
    if (name !== "float32") await writeBundle(bundle, path);
    return bundle;
  }

  const measured: Row[] = [];
  const floatEncoder = await encoderOf(float, session);
  const reference = await floatEncoder.embed(calibration.pictures.slice(0, 16));
  for (const [name, make] of rows.filter(([row]) => row === "float32" || row.includes(values.only))) {
    const bundle = await bundleOf(name, make);
    const encoder = await encoderOf(bundle, session);
    try {
      const dataset = await embedDataset(some, encoder, { cacheDir: join(cache, "embeddings") });
      const { decision, priors } = float.manifest;
      const { results } = await evaluate({
        dataset,
        decision: { ...decision, views: { support: [], query: [] } },
        priors: { ...priors, baseMean: priors.baseMean ? Float32Array.from(priors.baseMean) : null },
        shots: [1, 5],
        episodes,
        seed,
      });
      const like = likeness(reference, await encoder.embed(calibration.pictures.slice(0, 16)));
      const [was, is] = await timeSideBySide([floatEncoder, encoder], calibration.pictures, 15);
      const row = {
        name,
        bytes: bundle.model.length,
        ms: is!,
        floatMs: was!,
        likeness: like,
        accuracy: results.map(({ shot, mean, ci95 }) => ({ shot, mean, ci95 })),
      };
      measured.push(row);
      console.error(JSON.stringify(row));
    } finally {
      await encoder.close();
    }
  }
  await floatEncoder.close();
  return measured;
}

const all = new Map<string, readonly Row[]>();
for (const model of values.model.split(",")) all.set(model, await measure(model));

const signed = (points: number): string => `${points > 0 ? "+" : ""}${points.toFixed(1)}`;
const pictures = some.reduce((sum, { images }) => sum + images.length, 0);
await publish({
  name: values.name,
  script: "compress",
  title: "Compression: size, time and accuracy before and after",
  about: [
    `X-SDD, ${pictures} pictures${each > 0 ? ` (the first ${each} of each class)` : ""}, 5-way, 15 queries a class, ${episodes} episodes that are the same for every row, the model's own decision without views; accuracy in percent, ± 1.96·s/√n. Calibrated on ${values.calibrate} pictures and pruned and fine-tuned on ${values.tune} of ${corpora.join(", ")}: none of the test.`,
    `Weights have 7 bits unless 8 are named: with 8, processors without VNNI overflow. Likeness is the mean cosine with the float embedding over 16 calibration pictures. Times are medians of 15 pictures, one by one, in turns with the float model in the same run${threads > 0 ? `, ${threads} thread` : ""}: the quotient is what counts${busy()}.`,
  ],
  tables: [...all].map(([title, measured]) => ({
    title,
    columns: [
      "model",
      "bytes",
      "of float",
      "ms of float's",
      "likeness",
      "1 shot",
      "5 shots",
      "points lost at 5",
    ],
    rows: measured.map(({ name, bytes, ms, floatMs, likeness: like, accuracy: [one, five] }) => [
      name,
      String(bytes),
      (bytes / measured[0]!.bytes).toFixed(3),
      (ms / floatMs).toFixed(2),
      like.toFixed(4),
      `${percent(one!.mean)} ± ${percent(one!.ci95)}`,
      `${percent(five!.mean)} ± ${percent(five!.ci95)}`,
      signed(100 * (measured[0]!.accuracy[1]!.mean - five!.mean)),
    ]),
  })),
  seed,
  data: Object.fromEntries(all),
});

/** What the reader of a time has to know of the processor. */
function busy(): string {
  return `; ${cpus().length} cores, see below for the processor, and INT8 gains most where it has VNNI`;
}
