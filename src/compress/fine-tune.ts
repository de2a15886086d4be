import { setImmediate } from "node:timers/promises";
import { createRng, ProtolineError } from "../core/index.ts";
import {
  createBuilder,
  type Graph,
  gradients,
  simplify,
  sizeOf,
  tensor,
  type Value,
  weightLayers,
} from "../graph/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { createOptimizer, factorAt } from "../optim/index.ts";
import { openSession, type SessionOptions, Tensor } from "../runtime/index.ts";
import type { Inputs } from "./calibrate.ts";
import { trainable } from "./trainable.ts";

export interface FineTuneOptions extends SessionOptions {
  /** Default 200. */
  readonly steps?: number;
  /** Pictures a step. Default 8. */
  readonly batch?: number;
  /** Adam's rate at the start; it falls as a cosine. Default 3e-5: what is there shall be mended. */
  readonly rate?: number;
  /** Equal seeds draw equal batches. Default 1. */
  readonly seed?: number;
  readonly onProgress?: (progress: {
    readonly step: number;
    readonly steps: number;
    readonly loss: number;
  }) => void;
  /** Ends after the step under way; what was reached is kept. */
  readonly signal?: AbortSignal;
}

/**
 * Moves the weights of `student` until its embeddings are those of `teacher`, the same encoder before something was done
 * to it (Hinton et al. 2015, arXiv:1503.02531, on embeddings: no labels are needed). The loss is the squared distance
 * beside the squared length of the teacher's embedding, plus 1 − cosine. Normalisation keeps its statistics.
 *
 * @throws INVALID_ARGUMENT for options out of range, DIMENSION_MISMATCH where the embeddings differ in size,
 * TRAINING_DIVERGED where the loss is not finite.
 */
export async function fineTune(
  teacher: Graph,
  student: Graph,
  { pictures, shape }: Inputs,
  options: FineTuneOptions = {},
): Promise<Graph> {
  const { steps = 200, batch: wanted = 8, rate = 3e-5, seed = 1, onProgress, signal, ...session } = options;
  check(steps, wanted, rate, pictures.length);
  const batch = Math.min(wanted, pictures.length);
  const targets = await embeddings(teacher, { pictures, shape }, session, signal);
  const names = [...weightLayers(student).keys()];
  const { graph, optimizer } = stepGraph(student, names, [batch, ...shape], targets[0]!);
  const runner = await openSession(writeModel(modelOf(graph)), session);
  let states = new Map<string, Tensor>();
  for (const name of names) {
    const { data, dims } = student.initializers.get(name)!;
    states.set(name, new Tensor("float32", data as Float32Array, dims));
    for (const slot of optimizer.slots)
      states.set(`${slot}:${name}`, new Tensor("float32", new Float32Array(data.length), dims));
  }
  const rng = createRng(seed);
  try {
    for (let step = 1; step <= steps && !signal?.aborted; step++) {
      const rows = rng.sample(pictures.length, batch);
      const now = rate * factorAt({ kind: "cosine", least: 0.01 }, step, steps);
      const scalars = Object.entries(optimizer.scalars(step, now)).map(
        ([name, value]) => [`scalar:${name}`, new Tensor("float32", [value], [])] as const,
      );
      const results = await runner.run({
        ...Object.fromEntries([...states, ...scalars]),
        [student.inputs[0]!.name]: joined(rows, pictures, shape),
        target: joined(rows, targets, [targets[0]!.length]),
      });
      const loss = Number(results.loss!.data[0]);
      if (!Number.isFinite(loss)) throw diverged(step, loss, rate);
      states = new Map([...states].map(([name, value]) => [name, results[`next/${name}`] ?? value]));
      onProgress?.({ step, steps, loss });
      // Signals and timers get their turn: the runtime computes on this thread.
      await setImmediate();
    }
  } finally {
    await runner.close();
  }
  const initializers = new Map(student.initializers);
  for (const name of names) {
    const { data, dims } = states.get(name)!;
    initializers.set(name, tensor("float32", data as Float32Array, dims));
  }
  return { ...student, initializers };
}

/** Forward, loss, gradients and Adam. */
function stepGraph(
  student: Graph,
  names: readonly string[],
  images: readonly number[],
  target: Float32Array,
) {
  const g = createBuilder("fine-tune", trainable(student, new Set(names), images));
  const batch = images[0]!;
  const made = g.value(student.outputs[0]!.name);
  const dims = made.shape as readonly number[];
  if (sizeOf(dims) !== batch * target.length)
    throw new ProtolineError("DIMENSION_MISMATCH", {
      expected: `an embedding of ${target.length} numbers, as the teacher's`,
      got: `${sizeOf(dims) / batch}`,
      todo: "Fine-tune a model on one with the same embedding.",
    });
  const y = g.Reshape(made, g.ints([batch, target.length]));
  const t = g.input("target", "float32", [batch, target.length]);
  const along = (v: Value): Value => g.ReduceSum(v, g.ints([1]), { keepdims: 0 });
  const length = g.Add(along(g.Mul(t, t)), 1e-12);
  const apart = g.Div(along(g.Mul(g.Sub(y, t), g.Sub(y, t))), length);
  const cosine = g.Div(along(g.Mul(y, t)), g.Sqrt(g.Mul(g.Add(along(g.Mul(y, y)), 1e-12), length)));
  const loss = g.ReduceMean(g.Add(apart, g.Sub(1, cosine)), undefined, { keepdims: 0 });
  const weights = names.map((name) => g.value(name));
  const optimizer = createOptimizer({ kind: "adam" });
  const scalars = Object.fromEntries(
    Object.keys(optimizer.scalars(1, 1)).map((key) => [key, g.input(`scalar:${key}`, "float32", [])]),
  );
  const outputs: Record<string, Value> = { loss };
  gradients(g, loss, weights).forEach((gradient, i) => {
    const [name, weight] = [names[i]!, weights[i]!];
    const slots = optimizer.slots.map((slot) => g.input(`${slot}:${name}`, "float32", weight.shape));
    const updated = optimizer.update(g, { weight, gradient, slots, scalars }, false);
    outputs[`next/${name}`] = updated.weight;
    for (const [s, slot] of optimizer.slots.entries()) outputs[`next/${slot}:${name}`] = updated.slots[s]!;
  });
  return { graph: simplify(g.build(outputs)), optimizer };
}

/** What the graph makes of each picture, flat. */
async function embeddings(
  graph: Graph,
  { pictures, shape }: Inputs,
  session: SessionOptions,
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  const runner = await openSession(writeModel(modelOf(graph)), session);
  const made: Float32Array[] = [];
  try {
    for (const picture of pictures) {
      signal?.throwIfAborted();
      const results = await runner.run({
        [graph.inputs[0]!.name]: new Tensor("float32", picture, [1, ...shape]),
      });
      made.push(results[graph.outputs[0]!.name]!.data as Float32Array);
    }
  } finally {
    await runner.close();
  }
  return made;
}

function joined(rows: readonly number[], all: readonly Float32Array[], shape: readonly number[]): Tensor {
  const length = sizeOf(shape);
  const data = new Float32Array(rows.length * length);
  rows.forEach((row, i) => {
    data.set(all[row]!, i * length);
  });
  return new Tensor("float32", data, [rows.length, ...shape]);
}

function check(steps: number, batch: number, rate: number, pictures: number): void {
  const whole = (n: number): boolean => Number.isInteger(n) && n >= 1;
  if (whole(steps) && whole(batch) && rate > 0 && Number.isFinite(rate) && pictures > 0) return;
  throw new ProtolineError("INVALID_ARGUMENT", {
    expected: "pictures, steps and a batch of 1 or more, and a rate above 0",
    got: `${pictures} pictures, ${steps} steps, batch ${batch}, rate ${rate}`,
    todo: "Correct the fine-tuning.",
  });
}

function diverged(step: number, loss: number, rate: number): ProtolineError {
  return new ProtolineError("TRAINING_DIVERGED", {
    expected: "a finite loss",
    got: `${loss} at step ${step}`,
    todo: `Fine-tune at a lower rate than ${rate}.`,
  });
}
