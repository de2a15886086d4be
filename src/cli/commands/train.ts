import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { ProtolineError, quote } from "../../core/index.ts";
import type { PixelSet } from "../../data/index.ts";
import type { Teacher, TrainConfig, TrainProgress, TrainResult } from "../../train/index.ts";
import { action, type Context, examples } from "../context.ts";
import { integer } from "../parse.ts";
import { sources } from "../resources.ts";
import { percent, plural, seconds } from "../text.ts";

interface TrainFlags {
  readonly data?: string;
  readonly out?: string;
  readonly resume?: boolean;
  readonly seed?: number;
}

export function train(program: Command): void {
  program
    .command("train")
    .description("train an encoder on episodes of a data set, and keep it as a bundle")
    .argument("<config>", "JSON file that says everything: data, backbone, method, optimizer, episodes")
    .option("--data <folder>", "where data sets lie, each in a folder of its name (default: PROTOLINE_DATA)")
    .option("--out <folder>", "log, checkpoints and bundle (default: runs/NAME of the config)")
    .option("--resume", "go on from the last checkpoint in that folder")
    .option(
      "--seed <n>",
      "instead of the config's; equal seeds give equal episodes and starting weights",
      integer,
    )
    .addHelpText(
      "after",
      `${examples(
        ["protoline train configs/omniglot-60w5s.json --data datasets", "a prototypical network on Omniglot"],
        ["protoline train configs/omniglot-60w5s.json --data datasets --resume", "after a power cut"],
        ["protoline enroll parts/ --model runs/omniglot-conv4-60w5s/bundle", "what came out, at work"],
      )}\n\nlog.jsonl holds a line a step (loss, accuracy, norm, rate, ms) and a line a validation. With one thread (threads: 1 in\nthe config) a run that was killed and resumed is the same to the last bit as one that was not.`,
    )
    .action(action<[string], TrainFlags>(run));
}

async function run(context: Context, [path]: [string], flags: TrainFlags): Promise<void> {
  const room = await import("../../train/index.ts");
  const { dataSources, findDataset } = await import("../../data/index.ts");
  const { requireProvider } = await import("../../runtime/index.ts");
  const { writeBundle } = await import("../../models/index.ts");
  const read = room.parseTrainConfig(await readJson(path), quote(basename(path)));
  const config: TrainConfig = {
    ...read,
    seed: flags.seed ?? read.seed,
    threads: context.threads ?? read.threads,
  };
  const dataset = findDataset(config.data.dataset);
  // Before the minutes of decoding.
  if (context.provider) await requireProvider(context.provider);
  context.note(JSON.stringify(config));
  const imported = await room.readImported(config, await sources());
  const out = flags.out ?? join("runs", config.name);
  const root = flags.data ?? dataSources(process.env).folder;
  const trainSet = await load(context, config, config.data.train, root);
  const validation = config.data.validation && (await load(context, config, config.data.validation, root));

  const teacher = await openTeacher(config, trainSet);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  const progress = await context.progress("train", config.episodes);
  const started = performance.now();
  const result = await room
    .train({
      config,
      train: trainSet,
      ...(validation && { validation }),
      ...(teacher && { teacher }),
      ...(imported && { imported }),
      ...(config.initial !== null && { initial: await room.readInitial(config.initial) }),
      out,
      resume: flags.resume ?? false,
      ...(context.provider && { provider: context.provider }),
      signal: stop.signal,
      onProgress: (state) => {
        progress.update(state.step, detail(state));
        if (state.validation || state.step % 100 === 0) context.note(`step ${state.step}: ${detail(state)}`);
      },
    })
    .finally(async () => {
      await teacher?.close();
      progress.stop();
      process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    });
  const bundle = join(out, "bundle");
  const { interpolation, invert, license } = dataset;
  const exported = room.exportBundle({
    config,
    ...(imported && { imported }),
    weights: result.weights,
    pixels: { interpolation, invert },
    provenance: {
      origin: `trained by protoline train on ${config.data.dataset} (${config.data.train}), ${plural(result.step, "step")}, seed ${config.seed}`,
      license,
      trainedOn: `${dataset.description}; ${dataset.citation}`,
    },
  });
  const centred = exported.manifest.decision.transform.center === "base";
  await writeBundle(centred ? await room.withBaseMean(exported, trainSet, invert) : exported, bundle);
  report(context, result, bundle, performance.now() - started);
}

const detail = ({ loss, accuracy, stepsPerSecond, secondsLeft, validation }: TrainProgress): string =>
  `loss ${loss.toFixed(4)}, accuracy ${percent(accuracy)}, ${stepsPerSecond.toFixed(2)} steps/s, ${Math.ceil(secondsLeft / 60)} min left${validation ? `; validation ${percent(validation.accuracy, 2)} ± ${percent(validation.ci95, 2)}` : ""}`;

async function load(
  context: Context,
  { data }: TrainConfig,
  split: TrainConfig["data"]["train"],
  root: string,
): Promise<PixelSet> {
  const { loadDataset } = await import("../../data/index.ts");
  const progress = await context.progress(`load ${split}`, 1);
  const set = await loadDataset(data.dataset, {
    root,
    split,
    size: data.size,
    channels: data.channels === "gray" ? 1 : 3,
    cacheDir: join((await sources()).cache, "pixels"),
    onProgress: (done, total) => progress.update(done, "", total),
  }).finally(() => progress.stop());
  const classes = new Set(set.labels).size;
  context.note(
    `${data.dataset} ${split}: ${plural(set.labels.length, "picture")} of ${plural(classes, "class", "classes")}`,
  );
  return set;
}

/** The teachers that the config names, for the method `distill`. */
async function openTeacher(config: TrainConfig, train: PixelSet): Promise<Teacher | null> {
  if (config.method.kind !== "distill") return null;
  const room = await import("../../train/index.ts");
  const { openEncoder } = await import("../../models/index.ts");
  const found = await sources();
  const options = { sources: found, ...(config.threads !== null && { threads: config.threads }) };
  const encoders = await Promise.all(config.method.teachers.map((name) => openEncoder(name, options)));
  const cacheDir = join(found.cache, "teachers");
  const teacher = await room.openTeacher({ config, train, encoders, cacheDir });
  return {
    ...teacher,
    async close() {
      await teacher.close();
      await Promise.all(encoders.map((encoder) => encoder.close()));
    },
  };
}

function report(
  { json, print, note }: Context,
  { step, best, ended }: TrainResult,
  bundle: string,
  ms: number,
): void {
  if (json) {
    print(JSON.stringify({ step, best, ended, bundle, ms }));
    return;
  }
  print(`${bundle}: ${plural(step, "step")} in ${seconds(ms)}`);
  if (best)
    print(`best validation ${percent(best.accuracy, 2)} ± ${percent(best.ci95, 2)} after step ${best.step}`);
  if (ended === "early") note("ended early: validation had not become better for as long as patience says");
  if (ended === "stopped") note("stopped; --resume goes on from here");
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new ProtolineError("CONFIG_INVALID", {
      expected: `a readable JSON file at ${quote(path, 200)}`,
      got: error instanceof Error ? quote(error.message, 200) : String(error),
      todo: "Check the path, and the file with a JSON editor.",
      cause: error,
    });
  }
}
