import type { Embeddings } from "../core/index.ts";
import type { Graph } from "../graph/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { openSession, type SessionOptions, Tensor } from "../runtime/index.ts";
import type { Inputs } from "./calibrate.ts";
import { likeness } from "./compare.ts";
import { planOf } from "./plan.ts";
import { type QuantizeOptions, quantize } from "./quantize.ts";

/** What one node loses when it alone is quantised. */
export interface NodeSensitivity {
  /** First output of the node, as `keepFloat` takes it. */
  readonly node: string;
  readonly op: string;
  /** 1 − the mean cosine between the embeddings with and without; 0 loses nothing. */
  readonly loss: number;
}

/**
 * Quantises every node with weights by itself and compares embeddings, the costliest first: those are the ones to leave in
 * floating point. Takes a session and a run over the pictures for each node, so a handful of pictures is enough.
 */
export async function sensitivity(
  graph: Graph,
  { pictures, shape }: Inputs,
  options: Omit<QuantizeOptions, "keepFloat">,
  {
    onProgress,
    signal,
    ...session
  }: SessionOptions & { onProgress?: (done: number, total: number) => void; signal?: AbortSignal } = {},
): Promise<readonly NodeSensitivity[]> {
  const embed = async (of: Graph): Promise<Embeddings> => {
    const runner = await openSession(writeModel(modelOf(of)), session);
    try {
      const rows: Float32Array[] = [];
      for (const picture of pictures) {
        const fed = { [of.inputs[0]!.name]: new Tensor("float32", picture, [1, ...shape]) };
        rows.push((await runner.run(fed))[of.outputs[0]!.name]!.data as Float32Array);
      }
      const dim = rows[0]!.length;
      const data = new Float32Array(rows.length * dim);
      rows.forEach((row, i) => {
        data.set(row, i * dim);
      });
      return { data, n: rows.length, dim };
    } finally {
      await runner.close();
    }
  };
  const before = await embed(graph);
  const weighted = [...planOf(graph)].flatMap(([name, part]) => (part === "weights" ? [name] : []));
  const found: NodeSensitivity[] = [];
  for (const [i, name] of weighted.entries()) {
    signal?.throwIfAborted();
    const keepFloat = weighted.filter((other) => other !== name);
    const { op } = graph.nodes.find(({ outputs }) => outputs[0] === name)!;
    const loss = 1 - likeness(before, await embed(quantize(graph, { ...options, keepFloat })));
    found.push({ node: name, op, loss });
    onProgress?.(i + 1, weighted.length);
  }
  return found.sort((a, b) => b.loss - a.loss);
}
