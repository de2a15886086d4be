import { createRng } from "../core/index.ts";
import { createBuilder, type Graph, gradients, simplify, type Value } from "../graph/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { openSession, type SessionOptions, Tensor } from "../runtime/index.ts";
import type { Inputs } from "./calibrate.ts";
import type { Channels } from "./channels.ts";
import { trainable } from "./trainable.ts";

/**
 * How much a group of channels matters by the gradient: the squared first-order change of the loss when the group is
 * scaled down, (Σ w·∂w)², a mean over pictures (Molchanov et al. 2019, arXiv:1906.10771). No labels are needed: the loss
 * is a random projection of the embedding, whose mean square is the squared change of the embedding itself.
 *
 * @returns importance by root.
 */
export async function gradientImportance(
  graph: Graph,
  { slots, root }: Channels,
  { pictures, shape }: Inputs,
  {
    seed = 1,
    signal,
    onPicture,
    ...session
  }: SessionOptions & { seed?: number; signal?: AbortSignal; onPicture?: () => void } = {},
): Promise<Map<number, number>> {
  const makers = slots.filter(({ role, constant }) => role === "makes" && graph.initializers.has(constant));
  const biasOf = new Map(
    graph.nodes.flatMap(({ op, inputs }) =>
      op === "Conv" || op === "Gemm" ? [[inputs[1]!, inputs[2]] as const] : [],
    ),
  );
  const names = makers.flatMap(({ constant }) => {
    const bias = biasOf.get(constant);
    return bias ? [constant, bias] : [constant];
  });
  const input = graph.inputs[0]!.name;
  const g = createBuilder("importance", trainable(graph, new Set(names), [1, ...shape]));
  const embedding = g.value(graph.outputs[0]!.name);
  const direction = g.input("direction", "float32", embedding.shape);
  const loss = g.ReduceSum(g.Mul(embedding, direction), undefined, { keepdims: 0 });
  const weights = names.map((name) => g.value(name));
  const slopes = new Map(gradients(g, loss, weights).map((slope, i) => [names[i]!, slope]));
  const outputs: Record<string, Value> = {};
  for (const [i, { constant, axis }] of makers.entries()) {
    const change = (name: string, kept: number): Value => {
      const product = g.Mul(g.value(name), slopes.get(name));
      const others = product.shape.flatMap((_, at) => (at === kept ? [] : [at]));
      return others.length > 0 ? g.ReduceSum(product, g.ints(others), { keepdims: 0 }) : product;
    };
    const bias = biasOf.get(constant);
    outputs[`change${i}`] = bias ? g.Add(change(constant, axis), change(bias, 0)) : change(constant, axis);
  }
  const fixed = Object.fromEntries(
    names.map((name) => {
      const { data, dims } = graph.initializers.get(name)!;
      return [name, new Tensor("float32", data as Float32Array, dims)];
    }),
  );
  const runner = await openSession(writeModel(modelOf(simplify(g.build(outputs)))), session);
  const importance = new Map<number, number>();
  const rng = createRng(seed);
  try {
    for (const picture of pictures) {
      signal?.throwIfAborted();
      const dims = embedding.shape as readonly number[];
      const signs = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => 2 * rng.int(2) - 1);
      const results = await runner.run({
        ...fixed,
        [input]: new Tensor("float32", picture, [1, ...shape]),
        direction: new Tensor("float32", signs, dims),
      });
      const changes = new Map<number, number>();
      for (const [i, { ids }] of makers.entries()) {
        const change = results[`change${i}`]!.data as Float32Array;
        ids.forEach((id, c) => {
          changes.set(root(id), (changes.get(root(id)) ?? 0) + change[c]!);
        });
      }
      for (const [key, change] of changes)
        importance.set(key, (importance.get(key) ?? 0) + change ** 2 / pictures.length);
      onPicture?.();
    }
  } finally {
    await runner.close();
  }
  return importance;
}
