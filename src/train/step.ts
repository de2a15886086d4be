import {
  type Builder,
  createBuilder,
  type Graph,
  gradients,
  sizeOf,
  type Tensor,
  tensor,
  type Value,
} from "../graph/index.ts";
import { createMethod, type EpisodeShape } from "../methods/index.ts";
import { createBackbone, createFrame, initialize, type NoiseSpec, parametersOf } from "../nn/index.ts";
import { clipByNorm, createOptimizer, globalNorm, movingAverage } from "../optim/index.ts";
import type { TrainConfig } from "./config.ts";

/** What decides the graphs of a config. */
export type Task = Pick<
  TrainConfig,
  "data" | "backbone" | "method" | "optimizer" | "clip" | "labelSmoothing" | "average"
>;

/** One step of training as a graph, and the states that go round from step to step. */
export interface Step {
  /**
   * Inputs: `images` `[way × (shot + query), C, H, W]`, every state by name, the scalars and the noise. Outputs: `loss`,
   * `accuracy`, `norm` (of all gradients), each `[]`, and `next/NAME` for each state.
   */
  readonly graph: Graph;
  /** Starting values of all states: parameters, running statistics, optimizer slots, averages. */
  start(seed: number): Map<string, Tensor<"float32">>;
  /** What step `step` (1, 2, …) at this learning rate is fed beside images, states and noise. */
  scalars(step: number, rate: number): Readonly<Record<string, number>>;
  readonly noise: readonly NoiseSpec[];
}

/** `[C, H, W]` */
export const imageShape = ({ data: { channels, size } }: Pick<TrainConfig, "data">): readonly number[] => [
  channels === "gray" ? 1 : 3,
  size,
  size,
];

/** Name of what is kept beside a parameter. */
const beside = (what: string, parameter: string): string => `${what}:${parameter}`;
/** Name of the moving average of a parameter. */
export const averageOf = (parameter: string): string => beside("average", parameter);

const imagesOf = (g: Builder, task: Task, { way, shot, query }: EpisodeShape): Value =>
  g.input("images", "float32", [way * (shot + query), ...imageShape(task)]);

/** Mean cross-entropy of the queries and the share of those whose best class is right, each `[]`. */
function score(
  g: Builder,
  logits: Value,
  { way, query }: EpisodeShape,
  smoothing: number,
): { readonly loss: Value; readonly accuracy: Value } {
  const n = way * query;
  const target = new Float32Array(n * way).fill(smoothing / way);
  for (let i = 0; i < n; i++) target[i * way + Math.floor(i / query)]! += 1 - smoothing;
  const surprise = g.Mul(g.LogSoftmax(logits, { axis: 1 }), tensor("float32", target, [n, way]));
  const truth = Array.from({ length: n }, (_, i) => Math.floor(i / query));
  const right = g.Equal(g.ArgMax(logits, { axis: 1, keepdims: 0 }), tensor("int64", truth));
  return {
    loss: g.Mul(g.ReduceSum(surprise, undefined, { keepdims: 0 }), -1 / n),
    accuracy: g.ReduceMean(g.Cast(right, { to: 1 }), undefined, { keepdims: 0 }),
  };
}

/** Forward, loss, gradients and optimizer as one graph. */
export function trainingStep(task: Task, episode: EpisodeShape): Step {
  const g = createBuilder("train");
  const f = createFrame(g, "train", ({ name, shape }) => g.input(name, "float32", shape));
  const images = imagesOf(g, task, episode);
  const logits = createMethod(task.method)(f, createBackbone(task.backbone), images, episode);
  const { loss, accuracy } = score(g, logits, episode, task.labelSmoothing);

  const trained = f.specs.filter(({ role }) => role !== "statistic");
  const weights = trained.map(({ name }) => g.value(name));
  const raw = gradients(g, loss, weights);
  const norm = globalNorm(g, raw);
  const clipped = task.clip === null ? raw : clipByNorm(g, raw, norm, task.clip);

  const optimizer = createOptimizer(task.optimizer);
  const named = (numbers: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(numbers).map(([key, value]) => [`scalar:${key}`, value]));
  const scalars = Object.fromEntries(
    Object.keys(optimizer.scalars(1, 1)).map((key) => [key, g.input(`scalar:${key}`, "float32", [])]),
  );
  const next = new Map<string, Value>(f.updates);
  trained.forEach(({ name, shape, role }, i) => {
    const weight = weights[i]!;
    const input = (what: string): Value => g.input(beside(what, name), "float32", shape);
    g.scope(`update/${name}`, () => {
      const slots = optimizer.slots.map(input);
      const parts = { weight, gradient: clipped[i]!, slots, scalars };
      const updated = optimizer.update(g, parts, role === "weight");
      next.set(name, updated.weight);
      for (const [s, slot] of optimizer.slots.entries()) next.set(beside(slot, name), updated.slots[s]!);
      if (task.average !== null)
        next.set(averageOf(name), movingAverage(g, input("average"), updated.weight, task.average));
    });
  });
  const outputs = Object.fromEntries([...next].map(([name, value]) => [`next/${name}`, value]));
  return {
    graph: g.build({ loss, accuracy, norm, ...outputs }),
    noise: f.noise,
    scalars: (step, rate) => named(optimizer.scalars(step, rate)),
    start(seed) {
      const states = initialize(f.specs, seed);
      for (const { name, shape } of trained) {
        const zeros = tensor("float32", new Float32Array(sizeOf(shape)), shape);
        for (const slot of optimizer.slots) states.set(beside(slot, name), zeros);
        if (task.average !== null) states.set(averageOf(name), states.get(name)!);
      }
      return states;
    },
  };
}

/** Loss and accuracy of an episode with running statistics. Inputs: `images` and the parameters. */
export function validationStep(task: Task, episode: EpisodeShape): Graph {
  const g = createBuilder("validate");
  const f = createFrame(g, "infer", ({ name, shape }) => g.input(name, "float32", shape));
  const logits = createMethod(task.method)(
    f,
    createBackbone(task.backbone),
    imagesOf(g, task, episode),
    episode,
  );
  return g.build({ ...score(g, logits, episode, 0) });
}

/**
 * The encoder alone, parameters as constants: `images` `[N, C, H, W]` → `embedding` `[N, D]`.
 *
 * @param negate for pictures that come as the negative of what it was trained on.
 */
export function encoderGraph(task: Task, weights: ReadonlyMap<string, Tensor>, negate: boolean): Graph {
  const g = createBuilder("encoder");
  const f = createFrame(g, "infer", ({ name }) => g.constant(weights.get(name)!, name));
  const images = g.input("images", "float32", ["N", ...imageShape(task)]);
  const embedding = f.scope("encoder", () =>
    createBackbone(task.backbone)(f, negate ? g.Neg(images) : images),
  );
  return g.build({ embedding });
}

/** Numbers that are trained, in the encoder and the method together. */
export function countParameters(task: Task, episode: EpisodeShape): number {
  const method = createMethod(task.method);
  const specs = parametersOf(
    (f, images) => method(f, createBackbone(task.backbone), images, episode),
    [episode.way * (episode.shot + episode.query), ...imageShape(task)],
  );
  return specs.filter(({ role }) => role !== "statistic").reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
