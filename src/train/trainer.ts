import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { createRng, ProtolineError, quote } from "../core/index.ts";
import { episodeClasses, type PixelSet, planEpisodes } from "../data/index.ts";
import { meanAndInterval } from "../fewshot/index.ts";
import { type Tensor as Constant, sizeOf, tensor } from "../graph/index.ts";
import { factorAt } from "../optim/index.ts";
import { type Provider, type SessionOptions, Tensor } from "../runtime/index.ts";
import { batcher, episodeRows } from "./batch.ts";
import { readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { compile } from "./compile.ts";
import type { TrainConfig } from "./config.ts";
import { diverged, firstNotFinite } from "./diverged.ts";
import { openLog } from "./log.ts";
import { averageOf, imageShape, type Step, trainingStep, validationStep } from "./step.ts";

export interface TrainOptions {
  readonly config: TrainConfig;
  readonly train: PixelSet;
  /** Classes that training never sees. Without them there is no validation and no early stopping. */
  readonly validation?: PixelSet;
  /** Folder of the run: `config.json`, `log.jsonl`, `last.ckpt`, `best.ckpt`. */
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
  readonly loss: number;
  readonly accuracy: number;
  /** Since the start or the resume. */
  readonly episodesPerSecond: number;
  readonly secondsLeft: number;
  /** Set where this step was followed by a validation. */
  readonly validation?: Validated;
}

export interface Validated {
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly ci95: number;
}

export interface TrainResult {
  /** Steps done in all. */
  readonly step: number;
  /** The validation whose weights were kept; `null` without validation. */
  readonly best: Validated | null;
  /** Why it ended: all episodes done, no better validation for as long as `patience` says, or the signal. */
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
  const { episode, episodes: total, seed, data } = config;
  checkPixels(options.train, config, "the training set");
  const plan = planEpisodes(episodeClasses(options.train.labels, options.train.groups), episode, seed);
  const batch = batcher(options.train, data);
  const step = trainingStep(config, episode);

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
  const validate = options.validation && (await validator(config, options.validation, sessionOptions));
  const log = await openLog(join(out, "log.jsonl"), done);
  let states: States = toRuntime(begun?.states ?? step.start(seed));
  const shape = [episode.way * (episode.shot + episode.query), ...imageShape(config)];
  const fetches = session.outputs.map(({ name }) => name);
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
      const feeds: Record<string, Tensor> = {
        images: new Tensor("float32", batch(episodeRows(plan.episode(done))), shape),
        ...Object.fromEntries(states),
        ...noiseOf(step, seed, now),
      };
      for (const [name, value] of Object.entries(step.scalars(now, rate)))
        feeds[name] = new Tensor("float32", [value], []);
      const results = await session.run(feeds, fetches);
      const [loss, accuracy, norm] = ["loss", "accuracy", "norm"].map((name) => numberOf(results[name]!)) as [
        number,
        number,
        number,
      ];
      if (!Number.isFinite(loss) || !Number.isFinite(norm))
        throw diverged(now, await firstNotFinite(step.graph, feeds, sessionOptions), loss, norm);
      states = new Map([...states.keys()].map((name) => [name, results[`next/${name}`]!]));
      done = now;
      await log.write({ step: now, loss, accuracy, norm, rate, ms: round(performance.now() - at) });

      let validation: Validated | undefined;
      if (validate && (done % config.validation.every === 0 || done === total)) {
        validation = await validate.run(states, done);
        const { episodes } = config.validation;
        await log.write({ step: done, validation: { episodes, ...without(validation) } });
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
        episodesPerSecond: perSecond,
        secondsLeft,
        ...(validation && { validation }),
      });
      if (ended === "stopped") break;
      // Signals and timers get their turn: the runtime computes on this thread.
      await setImmediate();
    }
  } finally {
    await log.close();
    await session.close();
    await validate?.close();
  }
  const kept = best && (await readCheckpoint<Note>(join(out, "best.ckpt")));
  return { step: done, best, ended, weights: shipped(config, kept?.states ?? toConstants(states)) };
}

/** Whether validation has not become better for as long as `patience` says. */
const stale = ({ validation: { patience, every } }: TrainConfig, done: number, best: Validated | null) =>
  patience !== null && best !== null && done - best.step >= patience * every;

const without = ({ loss, accuracy, ci95 }: Validated) => ({ loss, accuracy, ci95 });
const round = (ms: number): number => Math.round(ms * 10) / 10;
const numberOf = ({ data }: Tensor): number => Number(data[0]);

const toRuntime = (states: ReadonlyMap<string, Constant<"float32">>): States =>
  new Map([...states].map(([name, { data, dims }]) => [name, new Tensor("float32", data, dims)]));
const toConstants = (states: States): Map<string, Constant<"float32">> =>
  new Map([...states].map(([name, { data, dims }]) => [name, tensor("float32", data as Float32Array, dims)]));

/** The weights that are validated and shipped: their averages, where there are any. */
function shipped<T>({ average }: TrainConfig, states: ReadonlyMap<string, T>): Map<string, T> {
  const plain = [...states].filter(([name]) => !name.includes(":"));
  return new Map(
    plain.map(([name, value]) => [name, average === null ? value : (states.get(averageOf(name)) ?? value)]),
  );
}

/** Uniform noise of a step: of seed, step and place alone. */
function noiseOf({ noise }: Step, seed: number, step: number): Record<string, Tensor> {
  const root = createRng(seed).fork(-step);
  return Object.fromEntries(
    noise.map(({ name, shape }, i) => {
      const rng = root.fork(i);
      const dims = shape as readonly number[];
      const data = Float32Array.from({ length: sizeOf(dims) }, rng.next);
      return [name, new Tensor("float32", data, dims)];
    }),
  );
}

/** Validates on the same episodes each time; they depend on the config's seed alone. */
async function validator(config: TrainConfig, set: PixelSet, options: SessionOptions) {
  checkPixels(set, config, "the validation set");
  const { episodes, way, shot, query } = config.validation;
  const spec = { way, shot, query };
  const plan = planEpisodes(episodeClasses(set.labels, set.groups), spec, config.seed + 1);
  const batch = batcher(set, config.data);
  const session = await compile(validationStep(config, spec), options);
  const shape = [way * (shot + query), ...imageShape(config)];
  const inputs = session.inputs.map(({ name }) => name).filter((name) => name !== "images");
  return {
    async run(states: States, step: number): Promise<Validated> {
      const weights = shipped(config, states);
      const parameters = Object.fromEntries(inputs.map((name) => [name, weights.get(name)!]));
      const losses: number[] = [];
      const accuracies: number[] = [];
      for (let i = 0; i < episodes; i++) {
        const images = new Tensor("float32", batch(episodeRows(plan.episode(i))), shape);
        const { loss, accuracy } = await session.run({ images, ...parameters });
        losses.push(numberOf(loss!));
        accuracies.push(numberOf(accuracy!));
        await setImmediate();
      }
      const { mean, ci95 } = meanAndInterval(accuracies);
      return { step, loss: meanAndInterval(losses).mean, accuracy: mean, ci95 };
    },
    close: () => session.close(),
  };
}

function checkPixels({ channels, height, width }: PixelSet, config: TrainConfig, what: string): void {
  const expected = imageShape(config).join(" x ");
  const got = [channels, height, width].join(" x ");
  if (expected !== got)
    throw new ProtolineError("CONFIG_INVALID", {
      expected: `${what} in images of ${expected} (channels, height, width), as the config says`,
      got,
      todo: "Correct data.size or data.channels in the config, or load the data set in that size.",
    });
}

function checkResume(note: Note, config: TrainConfig, out: string, resume: boolean): void {
  const folder = quote(out, 200);
  if (!resume)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "an empty folder for a new run",
      got: `${folder}, where a run has come to step ${note.step}`,
      todo: "Resume it (--resume), or name another folder.",
    });
  if (JSON.stringify(note.config) !== JSON.stringify(config))
    throw new ProtolineError("CONFIG_INVALID", {
      expected: `the config that the run in ${folder} began with`,
      got: "another one",
      todo: "Resume with the config.json of that folder and the same seed, or begin anew in another folder.",
    });
}
