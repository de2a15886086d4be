import { createBuilder, type Graph, numbersOf, tensor } from "../graph/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { Tensor as Fed, openSession, type SessionOptions } from "../runtime/index.ts";
import type { Inputs } from "./calibrate.ts";
import type { Channels } from "./channels.ts";
import { solvePositive } from "./solve.ts";

/** How the channels of one value go together over the calibration pictures. */
export interface Moments {
  /** Numbers a channel. */
  readonly count: number;
  /** `[C]` */
  readonly sums: Float64Array;
  /** `[C, C]` sums of products. */
  readonly products: Float64Array;
}

/** The values that a product over all channels reads, ungrouped: where a lost channel can be made up for. */
export function mixedValues(graph: Graph, { values }: Channels): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const node of graph.nodes) {
    const ungrouped = (node.attributes.group?.value ?? 1) === 1;
    const [x, w] = node.inputs;
    if (node.op !== "Conv" || !ungrouped || !values.has(x!) || !graph.initializers.has(w!)) continue;
    found.set(x!, [...(found.get(x!) ?? []), node.outputs[0]!]);
  }
  return found;
}

/** Runs the graph over pictures and adds up the products of channels, `[C, C]`, of each named value `[N, C, H, W]`. */
export async function momentsOf(
  graph: Graph,
  names: readonly string[],
  { pictures, shape }: Inputs,
  { signal, onPicture, ...session }: SessionOptions & { signal?: AbortSignal; onPicture?: () => void } = {},
): Promise<ReadonlyMap<string, Moments>> {
  const g = createBuilder("moments", graph);
  const outputs = Object.fromEntries(
    names.flatMap((name, i) => {
      const value = g.value(name);
      const flat = g.Reshape(value, g.ints([0, Number(value.shape[1]), -1]));
      const across = g.MatMul(flat, g.Transpose(flat, { perm: [0, 2, 1] }));
      return [
        [`products${i}`, g.ReduceSum(across, g.ints([0]), { keepdims: 0 })],
        [`sums${i}`, g.ReduceSum(flat, g.ints([0, 2]), { keepdims: 0 })],
        [`count${i}`, g.Size(flat)],
      ];
    }),
  );
  const runner = await openSession(writeModel(modelOf(g.build(outputs))), session);
  const found = names.map((name) => {
    const channels = Number(g.value(name).shape[1]);
    return { count: 0, sums: new Float64Array(channels), products: new Float64Array(channels * channels) };
  });
  try {
    for (const picture of pictures) {
      signal?.throwIfAborted();
      const results = await runner.run({
        [graph.inputs[0]!.name]: new Fed("float32", picture, [1, ...shape]),
      });
      const numbers = (key: string): Float32Array => results[key]!.data as Float32Array;
      for (const [i, moments] of found.entries()) {
        numbers(`products${i}`).forEach((v, at) => {
          moments.products[at]! += v;
        });
        numbers(`sums${i}`).forEach((v, at) => {
          moments.sums[at]! += v;
        });
        moments.count += Number(results[`count${i}`]!.data[0]) / moments.sums.length;
      }
      for (const result of Object.values(results)) result.dispose();
      onPicture?.();
    }
  } finally {
    await runner.close();
  }
  return new Map(names.map((name, i) => [name, found[i]!]));
}

/**
 * Moves what the channels to be cut did to the channels that stay, before they are cut (after He, Zhang and Sun 2017,
 * arXiv:1707.06168, and Kim et al. 2020, arXiv:2010.03410): each lost channel is predicted from the kept ones of the same
 * value by least squares, x ≈ Σ a·kept + c, and every convolution that reads the value takes a·w over into the kept
 * channels' weights and c·Σw into its bias. Exact for 1×1 convolutions up to what cannot be predicted; with a larger
 * kernel, c is slightly too much at the borders.
 */
export function makeUpFor(
  graph: Graph,
  channels: Channels,
  moments: ReadonlyMap<string, Moments>,
  gone: (root: number) => boolean,
): Graph {
  const initializers = new Map(graph.initializers);
  const biases = new Map<string, string>();
  const done = new Set<string>();
  for (const [name, nodes] of mixedValues(graph, channels)) {
    const ids = channels.values.get(name)!;
    const [lost, kept] = [true, false].map((which) =>
      ids.flatMap((id, i) => (gone(channels.root(id)) === which ? [i] : [])),
    ) as [number[], number[]];
    const seen = moments.get(name);
    if (lost.length === 0 || kept.length === 0 || !seen) continue;
    const { slopes, offsets } = predict(seen, lost, kept);
    for (const output of nodes) {
      const node = graph.nodes.find(({ outputs }) => outputs[0] === output)!;
      const [, w, b] = node.inputs as [string, string, string?];
      // Shared weights, or a shared bias, are moved once.
      if (done.has(w) || (b && done.has(b))) continue;
      for (const name of b ? [w, b] : [w]) done.add(name);
      const weights = initializers.get(w)!;
      const [outputs, inputs] = weights.dims as [number, number];
      const taps = weights.data.length / outputs / inputs;
      const numbers = numbersOf(weights);
      const bias = b ? numbersOf(initializers.get(b)!) : new Float64Array(outputs);
      for (let o = 0; o < outputs; o++)
        lost.forEach((from, l) => {
          for (let tap = 0; tap < taps; tap++) {
            const moved = numbers[(o * inputs + from) * taps + tap]!;
            bias[o]! += moved * offsets[l]!;
            for (const [k, to] of kept.entries())
              numbers[(o * inputs + to) * taps + tap]! += moved * slopes[l * kept.length + k]!;
          }
        });
      initializers.set(w, tensor("float32", numbers, weights.dims));
      initializers.set(b ?? `${output}/offset`, tensor("float32", bias));
      if (!b) biases.set(output, `${output}/offset`);
    }
  }
  return {
    ...graph,
    initializers,
    nodes: graph.nodes.map((node) => {
      const bias = biases.get(node.outputs[0]!);
      return bias === undefined ? node : { ...node, inputs: [...node.inputs.slice(0, 2), bias] };
    }),
  };
}

/** Share of the mean variance that is added to the diagonal: with few pictures channels may be copies of each other. */
const ridge = 1e-3;

/** Each lost channel from the kept ones: `slopes` `[lost, kept]` and `offsets` `[lost]`. */
function predict(
  { count, sums, products }: Moments,
  lost: readonly number[],
  kept: readonly number[],
): { readonly slopes: Float64Array; readonly offsets: Float64Array } {
  const size = sums.length;
  const covariance = (a: number, b: number): number =>
    products[a * size + b]! / count - (sums[a]! / count) * (sums[b]! / count);
  const n = kept.length;
  const among = Float64Array.from({ length: n * n }, (_, at) =>
    covariance(kept[Math.floor(at / n)]!, kept[at % n]!),
  );
  let trace = 0;
  for (let i = 0; i < n; i++) trace += Math.max(0, among[i * n + i]!);
  for (let i = 0; i < n; i++) among[i * n + i]! += (ridge * trace) / n + 1e-12;
  const cross = Float64Array.from({ length: lost.length * n }, (_, at) =>
    covariance(lost[Math.floor(at / n)]!, kept[at % n]!),
  );
  const slopes = solvePositive(among, cross, n);
  const offsets = Float64Array.from(lost, (from, l) => {
    let offset = sums[from]! / count;
    for (let k = 0; k < n; k++) offset -= (slopes[l * n + k]! * sums[kept[k]!]!) / count;
    return offset;
  });
  return { slopes, offsets };
}
