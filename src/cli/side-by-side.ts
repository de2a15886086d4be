import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import type { Inputs, OnStage } from "../compress/index.ts";
import { type Embeddings, ProtolineError, quote } from "../core/index.ts";
import type { Bundle, Encoder } from "../models/index.ts";
import type { Context } from "./context.ts";
import { leftOutText } from "./evaluation-data.ts";
import { integer, integerList, positiveInteger } from "./parse.ts";
import type { Progress } from "./progress.ts";
import { kindOf, sources } from "./resources.ts";
import { bytesText, percent, plural, table } from "./text.ts";

/** What `quantize` and `prune` ask for to measure before and after. */
export interface CompareFlags {
  readonly evaluate?: string;
  readonly way: number;
  readonly shot: readonly number[];
  readonly queries: number;
  readonly episodes: number;
  readonly seed: number;
}

export const withCompareOptions = (command: Command): Command =>
  command
    .option(
      "--evaluate <folder>",
      "a folder a class, to measure accuracy on before and after, on the same tasks",
    )
    .option("--way <n>", "classes a task of --evaluate", positiveInteger, 5)
    .option("--shot <list>", "pictures shown of each class", integerList, [5])
    .option("--queries <n>", "further pictures of each class that are asked about", positiveInteger, 15)
    .option("--episodes <n>", "tasks", positiveInteger, 1000)
    .option("--seed <n>", "equal seeds give equal tasks and equal draws", integer, 1);

/** The bundle behind a name or path. */
export async function findModel(model: string): Promise<Bundle> {
  const { findBundle } = await import("../models/index.ts");
  const { manifest, model: bytes } = await findBundle(model, await sources());
  return { manifest, model: bytes };
}

/**
 * Whether a bundle may be written there: a folder that holds something else is not replaced.
 *
 * @throws INVALID_ARGUMENT
 */
export async function checkTarget(out: string): Promise<void> {
  const kind = await kindOf(out);
  const other =
    kind === "folder"
      ? out.endsWith(".onnx") || ((await readdir(out)).length > 0 && !existsSync(join(out, "model.onnx")))
      : kind === "file" && !out.endsWith(".onnx");
  if (other)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "a name ending in .onnx for one file, or a folder that is new or holds a bundle",
      got: `${quote(out, 200)}, which is something else`,
      todo: "Name another place with --out.",
    });
}

/** Pictures under a folder as the bundle takes them; those that cannot be read are named. */
export async function readPictures(
  context: Context,
  { manifest }: Bundle,
  folder: string,
  most: number,
): Promise<Inputs> {
  const { listImages } = await import("../data/index.ts");
  const { readInputs } = await import("../compress/index.ts");
  const { images } = await listImages(folder);
  const progress = await context.progress("read", Math.min(most, images.length));
  const read = await readInputs(images, manifest.preprocess, {
    most,
    onProgress: (done) => progress.update(done),
  }).finally(() => progress.stop());
  for (const { path, message } of read.rejected) context.warn(`${quote(path, 200)} is left out: ${message}`);
  return read;
}

/** A bar for stages that follow each other. */
export async function stages(context: Context): Promise<{ readonly on: OnStage; stop(): void }> {
  const progress: Progress = await context.progress("compress", 1);
  return { on: (stage, done, total) => progress.update(done, stage, total), stop: () => progress.stop() };
}

/** One model of a comparison. */
export interface Measured {
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds for one picture, the median. */
  readonly ms: number;
  /** Mean cosine with the embeddings of the first. */
  readonly likeness: number;
  readonly accuracy: readonly { readonly shot: number; readonly mean: number; readonly ci95: number }[];
}

/** Measures bundles beside each other: size, time by turns, likeness and accuracy on the same tasks. */
export async function measure(
  context: Context,
  bundles: readonly Bundle[],
  { pictures }: Inputs,
  flags: CompareFlags,
): Promise<readonly Measured[]> {
  const { encoderOf } = await import("../models/index.ts");
  const { likeness, timeSideBySide } = await import("../compress/index.ts");
  const { threads, provider } = context;
  const encoders: Encoder[] = [];
  try {
    for (const bundle of bundles) encoders.push(await encoderOf(bundle, { threads, provider }));
    const few = pictures.slice(0, 16);
    const times = await timeSideBySide(encoders, few);
    const embedded: Embeddings[] = [];
    for (const encoder of encoders) embedded.push(await encoder.embed(few));
    const accuracy: Measured["accuracy"][] = [];
    for (const [i, encoder] of encoders.entries()) {
      const { results, warning } = await accuracyOf(context, encoder, flags);
      // The same for all, as they have the same pictures.
      if (i === 0 && warning !== null) context.warn(warning);
      accuracy.push(results);
    }
    return bundles.map(({ manifest, model }, i) => ({
      name: manifest.name,
      bytes: model.length,
      ms: times[i]!,
      likeness: likeness(embedded[0]!, embedded[i]!),
      accuracy: accuracy[i]!,
    }));
  } finally {
    for (const encoder of encoders) await encoder.close();
  }
}

async function accuracyOf(
  context: Context,
  encoder: Encoder,
  { evaluate: folder, way, shot, queries, episodes, seed }: CompareFlags,
): Promise<{ readonly results: Measured["accuracy"]; readonly warning: string | null }> {
  if (folder === undefined) return { results: [], warning: null };
  const { embedDataset, evaluate } = await import("../train/index.ts");
  const { listClasses } = await import("../data/index.ts");
  const { classes } = await listClasses(folder);
  const { decision, priors, name } = encoder.manifest;
  const total = classes.reduce((sum, { images }) => sum + images.length, 0);
  const progress = await context.progress(`evaluate ${name}`, total);
  try {
    const dataset = await embedDataset(classes, encoder, {
      views: [...new Set([...decision.views.support, ...decision.views.query])],
      onProgress: ({ done }) => progress.update(done, "pictures"),
    });
    const measured = await evaluate({
      dataset,
      decision,
      priors: { ...priors, baseMean: priors.baseMean ? Float32Array.from(priors.baseMean) : null },
      way,
      shots: shot,
      queries,
      episodes,
      seed,
      onProgress: ({ done, total: all }) => progress.update(done, "tasks", all),
    });
    const results = measured.results.map(({ shot, mean, ci95 }) => ({ shot, mean, ci95 }));
    return { results, warning: leftOutText(measured) };
  } finally {
    progress.stop();
  }
}

/** The comparison as a table; the first row is what the others are measured against. */
export function compareTable(measured: readonly Measured[], { paint }: Pick<Context, "paint">): string {
  const [first] = measured;
  const ratio = (value: number, of: number): string => `${(value / of).toFixed(2)} ×`;
  return table(
    [
      "model",
      "size",
      "of it",
      "ms a picture",
      "of it",
      "likeness",
      ...first!.accuracy.map(({ shot }) => plural(shot, "shot")),
    ],
    measured.map(({ name, bytes, ms, likeness, accuracy }) => [
      name,
      bytesText(bytes),
      ratio(bytes, first!.bytes),
      ms.toFixed(1),
      ratio(ms, first!.ms),
      likeness.toFixed(4),
      ...accuracy.map(({ mean, ci95 }) => `${percent(mean, 2)} ± ${percent(ci95, 2)}`),
    ]),
    paint,
  );
}

/** What a figure in milliseconds is worth. */
export const machineNote = (): string =>
  `measured by turns on ${cpus().length} cores of ${(cpus()[0]?.model ?? "an unnamed processor").trim()}: compare the two, not with other machines; 8-bit kernels gain most where the processor has VNNI`;
