import { setImmediate } from "node:timers/promises";
import { episodeClasses, type PixelSet, planEpisodes } from "../data/index.ts";
import { meanAndInterval } from "../fewshot/index.ts";
import type { Tensor as Constant } from "../graph/index.ts";
import type { EpisodeShape } from "../methods/index.ts";
import { type SessionOptions, Tensor } from "../runtime/index.ts";
import { batcher, checkPixels, episodeRows } from "./batch.ts";
import { compile } from "./compile.ts";
import type { TrainConfig } from "./config.ts";
import { imageShape, type Task, validationStep } from "./step.ts";

export interface EpisodeScores {
  readonly episodes: number;
  readonly loss: number;
  /** Mean over episodes, 0 … 1. */
  readonly accuracy: number;
  /** 1.96·s/√episodes */
  readonly ci95: number;
}

export interface Validator {
  /** Answers the same episodes with these weights. */
  run(weights: ReadonlyMap<string, Tensor>): Promise<EpisodeScores>;
  close(): Promise<void>;
}

/** A config, and what its backbone `imported` stands for. */
export type Trained = TrainConfig & Pick<Task, "imported">;

export interface ValidatorOptions extends EpisodeShape {
  readonly episodes: number;
  readonly seed: number;
}

/**
 * A fixed list of episodes over a pixel set, answered by the config's method.
 *
 * @param names of the weights that {@link Validator.run} will be given.
 * @throws EPISODE_IMPOSSIBLE, CONFIG_INVALID
 */
export async function openValidator(
  config: Trained,
  set: PixelSet,
  names: Iterable<string>,
  { episodes, seed, way, shot, query }: ValidatorOptions,
  options: SessionOptions = {},
): Promise<Validator> {
  checkPixels(set, config, "the validation set");
  const spec = { way, shot, query };
  const plan = planEpisodes(episodeClasses(set.labels, set.groups), spec, seed);
  const batch = batcher(set, config.data);
  const session = await compile(validationStep(config, spec, new Set(names)), options);
  const shape = [way * (shot + query), ...imageShape(config)];
  const inputs = session.inputs.map(({ name }) => name).filter((name) => name !== "images");
  return {
    async run(weights) {
      const parameters = Object.fromEntries(inputs.map((name) => [name, weights.get(name)!]));
      const losses: number[] = [];
      const accuracies: number[] = [];
      for (let i = 0; i < episodes; i++) {
        const images = new Tensor("float32", batch(episodeRows(plan.episode(i))), shape);
        const { loss, accuracy } = await session.run({ images, ...parameters });
        losses.push(Number(loss!.data[0]));
        accuracies.push(Number(accuracy!.data[0]));
        // Others get their turn: the runtime computes on this thread.
        await setImmediate();
      }
      const { mean, ci95 } = meanAndInterval(accuracies);
      return { episodes, loss: meanAndInterval(losses).mean, accuracy: mean, ci95 };
    },
    close: () => session.close(),
  };
}

/** How the weights of a training answer episodes of another set, by the method that they were trained with. */
export async function testEpisodes(
  config: Trained,
  weights: ReadonlyMap<string, Constant<"float32">>,
  set: PixelSet,
  options: ValidatorOptions & SessionOptions,
): Promise<EpisodeScores> {
  const validator = await openValidator(config, set, weights.keys(), options, options);
  try {
    return await validator.run(
      new Map([...weights].map(([name, { data, dims }]) => [name, new Tensor("float32", data, dims)])),
    );
  } finally {
    await validator.close();
  }
}
