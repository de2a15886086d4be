import { createRng } from "../core/index.ts";
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
import {
  createBackbone,
  createFrame,
  type Forward,
  type Frame,
  type ImportedModel,
  initialize,
  type NoiseSpec,
  type ParameterSpec,
  stepInput,
} from "../nn/index.ts";
import { clipByNorm, createOptimizer, globalNorm, movingAverage } from "../optim/index.ts";
import type { TrainConfig } from "./config.ts";

/** Images of all training classes, for a classifier: how many a step, and of how many classes. */
export interface ClassBatch {
  readonly images: number;
  readonly classes: number;
}

/** Images without classes and a teacher's embeddings of them: how many a step, and the numbers of each. */
export interface TeacherBatch {
  readonly images: number;
  readonly dim: number;
}

/** What one run of a step's graph is fed. */
export type BatchShape = EpisodeShape | ClassBatch | TeacherBatch;

/** What decides the graphs of a config. */
export type Task = Pick<
  TrainConfig,
  "data" | "backbone" | "method" | "episodesPerStep" | "optimizer" | "clip" | "labelSmoothing" | "average"
> & {
  /** What the backbone `imported` stands for. */
  readonly imported?: ImportedModel;
};

const backboneOf = ({ backbone, imported }: Task): Forward => createBackbone(backbone, imported);

/**
 * One step of training as a graph, and the states that go round from step to step.
 *
 * A step of several episodes runs the graph once an episode and adds up the gradients, so that it needs the memory of
 * one episode and two copies of the weights, and every method can have it. The running statistics move with every
 * episode; weights and optimizer with the last one alone, although each run computes the update, which is cheap beside
 * its passes through the network. MetaOptNet's code takes the episodes as one batch instead, whose statistics batch
 * normalisation then shares.
 */
export interface Step {
  /**
   * Inputs: `images` `[way × (shot + query), C, H, W]`, or `[images, C, H, W]` with `targets` `[images, classes]` (shares
   * that add up to 1) or `[images, dim]` (a teacher's embeddings of length 1), every state and sum by name, the scalars and the noise. Outputs: `loss`, `accuracy` (of the episode
   * or batch), `norm` (of all gradients so far), each `[]`, and `next/NAME` for each state that changes and each sum.
   */
  readonly graph: Graph;
  /** Starting values of all states: parameters, running statistics, optimizer slots, averages. */
  start(seed: number): Map<string, Tensor<"float32">>;
  /** What step `step` (1, 2, …) at this learning rate is fed beside images, states and noise. */
  scalars(step: number, rate: number): Readonly<Record<string, number>>;
  readonly noise: readonly NoiseSpec[];
  /** What the episodes of a step add up: zeros before its first. Empty where a step is one episode or batch. */
  readonly sums: ReadonlyMap<string, Tensor<"float32">>;
  /** The outputs that are wanted of an episode: of the last of a step, and of those before it. */
  fetches(last: boolean): readonly string[];
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

/** Name of the sum of a parameter's gradients over the episodes of a step. */
const sumOf = (parameter: string): string => beside("sum", parameter);

interface Score {
  readonly loss: Value;
  readonly accuracy: Value;
}

function classScore(f: Frame, task: Task, { images, classes }: ClassBatch): Score {
  const { g } = f;
  const { classify } = createMethod(task.method);
  const x = g.input("images", "float32", [images, ...imageShape(task)]);
  const targets = g.input("targets", "float32", [images, classes]);
  const logits = classify!(f, backboneOf(task), x, classes);
  const best = (v: Value): Value => g.ArgMax(v, { axis: 1, keepdims: 0 });
  return score(g, logits, targets, g.Equal(best(logits), best(targets)));
}

/** `accuracy`: the share of pictures that the student's answer finds among the teacher's of the batch. */
function teacherScore(f: Frame, task: Task, { images, dim }: TeacherBatch): Score {
  const { g } = f;
  const x = g.input("images", "float32", [images, ...imageShape(task)]);
  const targets = g.input("targets", "float32", [images, dim]);
  const { distill } = createMethod(task.method);
  const { loss, cosines } = distill!(f, backboneOf(task), x, targets);
  const own = tensor(
    "int64",
    Array.from({ length: images }, (_, i) => i),
  );
  return { loss, accuracy: share(g, g.Equal(g.ArgMax(cosines, { axis: 1, keepdims: 0 }), own)) };
}

function batchScore(f: Frame, task: Task, batch: BatchShape): Score {
  if ("classes" in batch) return classScore(f, task, batch);
  if ("dim" in batch) return teacherScore(f, task, batch);
  return episodeScore(f, task, batch, task.labelSmoothing);
}

function episodeScore(f: Frame, task: Task, shape: EpisodeShape, smoothing: number): Score {
  const { g } = f;
  const { way, shot, query } = shape;
  const images = g.input("images", "float32", [way * (shot + query), ...imageShape(task)]);
  const logits = createMethod(task.method).answer(f, backboneOf(task), images, shape);
  const n = way * query;
  const targets = new Float32Array(n * way).fill(smoothing / way);
  for (let i = 0; i < n; i++) targets[i * way + Math.floor(i / query)]! += 1 - smoothing;
  const truth = Array.from({ length: n }, (_, i) => Math.floor(i / query));
  const right = g.Equal(g.ArgMax(logits, { axis: 1, keepdims: 0 }), tensor("int64", truth));
  return score(g, logits, g.constant(tensor("float32", targets, [n, way])), right);
}

/** Mean cross-entropy of the rows, and the share of those that are right, each `[]`. */
function score(g: Builder, logits: Value, targets: Value, right: Value): Score {
  const surprise = g.Mul(g.LogSoftmax(logits, { axis: 1 }), targets);
  return {
    loss: g.Mul(g.ReduceSum(surprise, undefined, { keepdims: 0 }), -1 / Number(logits.shape[0])),
    accuracy: share(g, right),
  };
}

/** Of those that are true, `[n]` → `[]`. */
const share = (g: Builder, right: Value): Value =>
  g.ReduceMean(g.Cast(right, { to: 1 }), undefined, { keepdims: 0 });

/** Forward, loss, gradients and optimizer as one graph. */
export function trainingStep(task: Task, batch: BatchShape): Step {
  const g = createBuilder("train");
  const f = createFrame(g, "train", ({ name, shape }) => g.input(name, "float32", shape));
  const { loss, accuracy } = batchScore(f, task, batch);

  const trained = f.specs.filter(({ role }) => role !== "statistic");
  const weights = trained.map(({ name }) => g.value(name));
  const leaves = trained.map(({ name }, i) => f.leaves.get(name) ?? weights[i]!);
  const { raw, sums } = addUp(g, gradients(g, loss, leaves), trained, task.episodesPerStep);
  const norm = globalNorm(g, raw);
  const clipped = task.clip === null ? raw : clipByNorm(g, raw, norm, task.clip);

  const optimizer = createOptimizer(task.optimizer);
  const named = (numbers: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(numbers).map(([key, value]) => [`scalar:${key}`, value]));
  const scalars = Object.fromEntries(
    Object.keys(optimizer.scalars(1, 1)).map((key) => [key, g.input(`scalar:${key}`, "float32", [])]),
  );
  const next = new Map<string, Value>(f.updates);
  trained.forEach(({ name, shape, role, rate = 1 }, i) => {
    const weight = weights[i]!;
    const input = (what: string): Value => g.input(beside(what, name), "float32", shape);
    g.scope(`update/${name}`, () => {
      const slots = optimizer.slots.map(input);
      const parts = { weight, gradient: clipped[i]!, slots, scalars };
      const updated = optimizer.update(g, parts, role === "weight");
      const moved = rate === 1 ? updated.weight : g.Add(weight, g.Mul(g.Sub(updated.weight, weight), rate));
      next.set(name, moved);
      for (const [s, slot] of optimizer.slots.entries()) next.set(beside(slot, name), updated.slots[s]!);
      if (task.average !== null)
        next.set(averageOf(name), movingAverage(g, input("average"), moved, task.average));
    });
  });
  const nextOf = (values: ReadonlyMap<string, Value>): Record<string, Value> =>
    Object.fromEntries([...values].map(([name, value]) => [`next/${name}`, value]));
  const of = { loss, accuracy, norm };
  const graph = g.build({ ...of, ...nextOf(next), ...nextOf(sums) });
  const counts = graph.inputs.some(({ name }) => name === stepInput);
  return {
    graph,
    noise: f.noise,
    sums: new Map([...sums].map(([name, { shape }]) => [name, zeros(shape as readonly number[])])),
    fetches: (last) => Object.keys({ ...of, ...nextOf(last ? next : new Map([...f.updates, ...sums])) }),
    scalars: (step, rate) => ({
      ...named(optimizer.scalars(step, rate)),
      ...(counts && { [stepInput]: step }),
    }),
    start(seed) {
      const states = initialize(f.specs, seed);
      for (const { name, shape } of trained) {
        for (const slot of optimizer.slots) states.set(beside(slot, name), zeros(shape));
        if (task.average !== null) states.set(averageOf(name), states.get(name)!);
      }
      return states;
    },
  };
}

const zeros = (shape: readonly number[]): Tensor<"float32"> =>
  tensor("float32", new Float32Array(sizeOf(shape)), shape);

/**
 * The gradients of a step of several episodes so far: what came before, and this episode's divided by their number.
 *
 * @returns `raw`, one a parameter, and `sums`: the same by name, to be fed with the next episode.
 */
function addUp(
  g: Builder,
  slopes: readonly Value[],
  parameters: readonly ParameterSpec[],
  episodes: number,
): { readonly raw: readonly Value[]; readonly sums: ReadonlyMap<string, Value> } {
  if (episodes === 1) return { raw: slopes, sums: new Map() };
  const raw = parameters.map(({ name, shape }, i) =>
    g.Add(g.input(sumOf(name), "float32", shape), g.Mul(slopes[i]!, 1 / episodes)),
  );
  return { raw, sums: new Map(parameters.map(({ name }, i) => [sumOf(name), raw[i]!])) };
}

/**
 * Loss and accuracy of an episode with running statistics. Inputs: `images` and the parameters.
 *
 * @param known names of the parameters that there are; what an untrained head would ask for starts as it would in training.
 */
export function validationStep(task: Task, episode: EpisodeShape, known: ReadonlySet<string>): Graph {
  const g = createBuilder("validate");
  const f = createFrame(g, "infer", ({ name, shape, init }) =>
    known.has(name)
      ? g.input(name, "float32", shape)
      : g.constant(tensor("float32", init(shape, createRng(0)), shape), name),
  );
  return g.build({ ...episodeScore(f, task, episode, 0) });
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
  const embedding = f.scope("encoder", () => backboneOf(task)(f, negate ? g.Neg(images) : images));
  return g.build({ embedding });
}
