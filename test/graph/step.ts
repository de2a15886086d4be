import {
  createBuilder,
  type Graph,
  gradients,
  simplify,
  type Tensor,
  tensor,
  type Value,
} from "../../src/graph/index.ts";
import { createBackbone, createFrame, initialize } from "../../src/nn/index.ts";
import { createOptimizer } from "../../src/optim/index.ts";

/** An episode: `way` classes, `shot` support and `query` query images each, `size` × `size` × `channels`. */
export interface EpisodeShape {
  readonly way: number;
  readonly shot: number;
  readonly query: number;
  readonly size: number;
  readonly channels: number;
}

export interface StepOptions {
  readonly width?: number;
  /** Also gives `d/NAME`, the gradient of each weight, and `embedding`. */
  readonly shown?: boolean;
}

/** One training step of a Conv-4 prototypical network (Snell et al. 2017) with Adam, as one graph. */
export function conv4Step(
  { way, shot, query, size, channels }: EpisodeShape,
  { width = 64, shown = false }: StepOptions = {},
): { readonly graph: Graph; readonly start: ReadonlyMap<string, Tensor> } {
  const g = createBuilder("conv4-step");
  const f = createFrame(g, "train", ({ name, shape }) => g.input(name, "float32", shape));
  const x = g.input("x", "float32", [way * (shot + query), channels, size, size]);
  const embedding = createBackbone({ kind: "conv4", width })(f, x);
  const [support, dim] = [way * shot, Number(embedding.shape[1])];
  const rows = (from: number, to: number): Value =>
    g.Slice(embedding, g.ints([from]), g.ints([to]), g.ints([0]));
  const prototypes = g.ReduceMean(g.Reshape(rows(0, support), g.ints([way, shot, dim])), g.ints([1]), {
    keepdims: 0,
  });
  const queries = rows(support, support + way * query);
  const squares = (v: Value): Value => g.ReduceSumSquare(v, g.ints([1]));
  const turned = (v: Value): Value => g.Transpose(v, { perm: [1, 0] });
  // −‖q − c‖² but for ‖q‖², which the softmax does not see.
  const logits = g.Sub(g.Mul(g.MatMul(queries, turned(prototypes)), 2), turned(squares(prototypes)));
  const target = new Float32Array(way * query * way);
  for (let i = 0; i < way * query; i++) target[i * way + Math.floor(i / query)] = -1 / (way * query);
  const surprise = g.Mul(g.LogSoftmax(logits), tensor("float32", target, [way * query, way]));
  const loss = g.ReduceSum(surprise, undefined, { keepdims: 0 });

  const trained = f.specs.filter(({ role }) => role !== "statistic");
  const weights = trained.map(({ name }) => g.value(name));
  const slopes = gradients(g, loss, weights);
  const optimizer = createOptimizer({ kind: "adam" });
  const outputs: Record<string, Value> = { loss };
  for (const [name, value] of f.updates) outputs[`next/${name}`] = value;
  const start = new Map<string, Tensor>(initialize(f.specs, 1));
  const scalars = Object.fromEntries(
    Object.entries(optimizer.scalars(1, 1e-3)).map(([key, value]) => [
      key,
      g.constant(tensor("float32", [value], [])),
    ]),
  );
  trained.forEach(({ name, shape }, i) => {
    const slots = optimizer.slots.map((slot) => g.input(`${slot}/${name}`, "float32", shape));
    for (const slot of slots)
      start.set(slot.name, tensor("float32", new Float32Array(start.get(name)!.data.length), shape));
    const updated = optimizer.update(g, { weight: weights[i]!, gradient: slopes[i]!, slots, scalars }, false);
    outputs[`next/${name}`] = updated.weight;
    slots.forEach((slot, s) => {
      outputs[`next/${slot.name}`] = updated.slots[s]!;
    });
    if (shown) outputs[`d/${name}`] = slopes[i]!;
  });
  if (shown) outputs.embedding = embedding;
  return { graph: simplify(g.build(outputs)), start };
}
