import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { createRng, ProtolineError, quote } from "../core/index.ts";
import type { PixelSet } from "../data/index.ts";
import { type Tensor as Constant, sizeOf, tensor } from "../graph/index.ts";
import type { ImportedModel } from "../nn/index.ts";
import { factorAt } from "../optim/index.ts";
import { type Provider, Tensor } from "../runtime/index.ts";
import { createSampler } from "./batch.ts";
import { readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { compile } from "./compile.ts";
import { parseTrainConfig, type TrainConfig } from "./config.ts";
import { diverged, firstNotFinite } from "./diverged.ts";
import { openLog } from "./log.ts";
import { averageOf, type Step, trainingStep } from "./step.ts";
import type { Teacher } from "./teacher.ts";
import { openEventLog } from "./tensorboard.ts";
import { type EpisodeScores, openValidator } from "./validate.ts";

export interface TrainOptions {
  readonly config: TrainConfig;
  readonly train: PixelSet;
  /** Classes that training never sees. Without them there is no validation and no early stopping. */
  readonly validation?: PixelSet;
  /** For the method `distill`, see {@link openTeacher}. */
  readonly teacher?: Teacher;
  /** What the backbone `imported` stands for, see {@link readImported}. */
  readonly imported?: ImportedModel;
  /** Weights to start from instead, where a parameter of that name and shape is trained. */
  readonly initial?: ReadonlyMap<string, Constant<"float32">>;
  /** Folder of the run: `config.json`, `log.jsonl`, `last.ckpt`, `best.ckpt`, and event files for TensorBoard. */
  readonly out: string;
  /** Go on from `last.ckpt` where there is one. Default false: an older run in the folder is an error. */
  readonly resume?: boolean;
  readonly provider?: Provider;
  readonly onProgress?: (progress: TrainProgress) => void;
  /** Ends the run after the step under way, with a checkpoint to resume from. */
  readonly signal?: AbortSignal;
}

export interface TrainProgress {
  readonly step: number;
  readonly total: number;
  /** Mean over the step's episodes. */
  readonly loss: number;
  readonly accuracy: number;
  /** Since the start or the resume. */
  readonly stepsPerSecond: number;
  readonly secondsLeft: number;
  /** Set where this step was followed by a validation. */
  readonly validation?: Validated;
}

export interface Validated extends EpisodeScores {
  readonly step: number;
}

export interface TrainResult {
  /** Steps done in all. */
  readonly step: number;
  /** The validation whose weights were kept; `null` without validation. */
  readonly best: Validated | null;
  /** Why it ended: all steps done, no better validation for as long as `patience` says, or the signal. */
  readonly ended: "done" | "early" | "stopped";
  /** Parameters and statistics to ship: the best by validation or else the last; averages where the config has them. */
  readonly weights: ReadonlyMap<string, Constant<"float32">>;
}

interface Note {
  readonly config: TrainConfig;
  readonly step: number;
  readonly best: Validated | null;
}

type States = ReadonlyMap<string, Tensor>;

/**
 * Trains a network on episodes. Episode i of a seed is always the same, and with `threads: 1` so is every number: a run
 * that was killed and resumed has the curve of one that was not, to the last bit.
 *
 * @throws EPISODE_IMPOSSIBLE, CONFIG_INVALID and CHECKPOINT_INVALID before the first step; TRAINING_DIVERGED at the
 *   step where a number is not finite, naming the node.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { config, out, signal, onProgress } = options;
  const { episodes: total, episodesPerStep: perStep, seed } = config;
  const sampler = createSampler(config, options.train, options.teacher);
  const task = { ...config, ...(options.imported && { imported: options.imported }) };
  const step = trainingStep(task, sampler.shape);

  await mkdir(out, { recursive: true });
  const last = join(out, "last.ckpt");
  const begun = await readCheckpoint<Note>(last);
  if (begun) checkResume(begun.note, config, out, options.resume ?? false);
  let done = begun?.note.step ?? 0;
  let best = begun?.note.best ?? null;
  await writeFile(join(out, "config.json"), `${JSON.stringify(config, null, 2)}\n`);

  const sessionOptions = {
    ...(config.threads !== null && { threads: config.threads }),
    ...(options.provider && { provider: options.provider }),
  };
  const session = await compile(step.graph, sessionOptions);
  const start = step.start(seed);
  begin(start, options.initial);
  const validate =
    options.validation &&
    (await openValidator(
      task,
      options.validation,
      start.keys(),
      { ...config.validation, seed: seed + 1 },
      sessionOptions,
    ));
  const log = await openLog(join(out, "log.jsonl"), done);
  const events = await openEventLog(out, done);
  let states: States = toRuntime(begun?.states ?? start);
  const noSums = toRuntime(step.sums);
  const save = async (): Promise<void> => {
    await log.flush();
    await writeCheckpoint<Note>(last, { note: { config, step: done, best }, states: toConstants(states) });
  };
  const started = performance.now();
  const firstStep = done;
  let ended: TrainResult["ended"] = stale(config, done, best) ? "early" : "done";

  try {
    while (done < total && ended !== "early") {
      const at = performance.now();
      const now = done + 1;
      const rate = config.rate * factorAt(config.schedule, now, total);
      const scalars = Object.entries(step.scalars(now, rate)).map(
        ([name, value]) => [name, new Tensor("float32", [value], [])] as const,
      );
      let sums = noSums;
      let [loss, accuracy, norm] = [0, 0, 0];
      for (let number = done * perStep; number < now * perStep; number++) {
        const feeds: Record<string, Tensor> = {
          ...(await sampler.feeds(number)),
          ...Object.fromEntries([...states, ...sums, ...scalars]),
          ...noiseOf(step, seed, number + 1),
        };
        const results = await session.run(feeds, step.fetches(number + 1 === now * perStep));
        const own = numberOf(results.loss!);
        norm = numberOf(results.norm!);
        if (!Number.isFinite(own) || !Number.isFinite(norm))
          throw diverged(now, await firstNotFinite(step.graph, feeds, sessionOptions), own, norm);
        loss += own / perStep;
        accuracy += numberOf(results.accuracy!) / perStep;
        states = advance(states, results);
        sums = advance(sums, results);
        // Signals and timers get their turn: the runtime computes on this thread.
        await setImmediate();
      }
      done = now;
      await events.write(now, { "train/loss": loss, "train/accuracy": accuracy, "train/norm": norm, rate });
      await log.write({ step: now, loss, accuracy, norm, rate, ms: round(performance.now() - at) });

      let validation: Validated | undefined;
      if (validate && (done % config.validation.every === 0 || done === total)) {
        const scores = await validate.run(shipped(config, states));
        await log.write({ step: done, validation: scores });
        await events.write(done, { "validation/loss": scores.loss, "validation/accuracy": scores.accuracy });
        validation = { step: done, ...scores };
        if (!best || validation.accuracy > best.accuracy) {
          best = validation;
          await writeCheckpoint<Note>(join(out, "best.ckpt"), {
            note: { config, step: done, best },
            states: toConstants(states),
          });
        }
        if (stale(config, done, best)) ended = "early";
      }
      if (signal?.aborted) ended = "stopped";
      if (done % config.checkpointEvery === 0 || done === total || ended !== "done") await save();
      const perSecond = (1000 * (done - firstStep)) / (performance.now() - started);
      const secondsLeft = (total - done) / perSecond;
      onProgress?.({
        step: done,
        total,
        loss,
        accuracy,
        stepsPerSecond: perSecond,
        secondsLeft,
        ...(validation && { validation }),
      });
      if (ended === "stopped") break;
    }
  } finally {
    await log.close();
    await events.close();
    await session.close();
    await validate?.close();
  }
  const kept = best && (await readCheckpoint<Note>(join(out, "best.ckpt")));
  return { step: done, best, ended, weights: shipped(config, kept?.states ?? toConstants(states)) };
}

/** Puts the parameters of an earlier run in the place of those of the same name and shape; optimizers begin anew. */
function begin(
  start: Map<string, Constant<"float32">>,
  initial: ReadonlyMap<string, Constant<"float32">> = new Map(),
): void {
  for (const [name, value] of initial) {
    if (name.includes(":") || start.get(name)?.dims.join() !== value.dims.join()) continue;
    start.set(name, value);
    if (start.has(averageOf(name))) start.set(averageOf(name), value);
  }
}

/** Whether validation has not become better for as long as `patience` says. */
const stale = ({ validation: { patience, every } }: TrainConfig, done: number, best: Validated | null) =>
  patience !== null && best !== null && done - best.step >= patience * every;

const round = (ms: number): number => Math.round(ms * 10) / 10;
const numberOf = ({ data }: Tensor): number => Number(data[0]);

const toRuntime = (states: ReadonlyMap<string, Constant<"float32">>): States =>
  new Map([...states].map(([name, { data, dims }]) => [name, new Tensor("float32", data, dims)]));
const toConstants = (states: States): Map<string, Constant<"float32">> =>
  new Map([...states].map(([name, { data, dims }]) => [name, tensor("float32", data as Float32Array, dims)]));

/** What the next run is fed: what came out of this one, where it did. */
const advance = (states: States, results: Readonly<Record<string, Tensor>>): States =>
  new Map([...states].map(([name, value]) => [name, results[`next/${name}`] ?? value]));

/** The weights of a run's states that are validated and shipped: their averages, where there are any. */
export function shipped<T>(
  { average }: Pick<TrainConfig, "average">,
  states: ReadonlyMap<string, T>,
): Map<string, T> {
  const plain = [...states].filter(([name]) => !name.includes(":"));
  return new Map(
    plain.map(([name, value]) => [name, average === null ? value : (states.get(averageOf(name)) ?? value)]),
  );
}

/** Uniform noise of episode or batch 1, 2, …: of seed, number and place alone. */
function noiseOf({ noise }: Step, seed: number, number: number): Record<string, Tensor> {
  const root = createRng(seed).fork(-number);
  return Object.fromEntries(
    noise.map(({ name, shape }, i) => {
      const rng = root.fork(i);
      const dims = shape as readonly number[];
      // A loop: Float32Array.from takes five times as long, a percent of a step of ResNet-12.
      const data = new Float32Array(sizeOf(dims));
      for (let at = 0; at < data.length; at++) data[at] = rng.next();
      return [name, new Tensor("float32", data, dims)];
    }),
  );
}

function checkResume(note: Note, config: TrainConfig, out: string, resume: boolean): void {
  const folder = quote(out, 200);
  if (!resume)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "an empty folder for a new run",
      got: `${folder}, where a run has come to step ${note.step}`,
      todo: "Resume it (--resume), or name another folder.",
    });
  // Parsed again: a field that a newer version added has its default.
  if (!isDeepStrictEqual(parseTrainConfig(note.config), config))
    throw new ProtolineError("CONFIG_INVALID", {
      expected: `the config that the run in ${folder} began with`,
      got: "another one",
      todo: "Resume with the config.json of that folder and the same seed, or begin anew in another folder.",
    });
}
