import { ProtolineError } from "../core/index.ts";
import { type Graph, isFloat, verify } from "../graph/index.ts";
import { modelOf, writeModel } from "../onnx/index.ts";
import { openSession, type SessionOptions, type Tensor } from "../runtime/index.ts";

/** Values looked at in one run: what bounds the memory. */
const together = 24;

const finite = (data: ArrayLike<number>): boolean => {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return false;
  return true;
};

/**
 * Runs a step again with its inner values in the open and says where the first number that is not finite comes up.
 *
 * @param feeds exactly what the step was fed.
 */
export async function firstNotFinite(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
  options: SessionOptions,
): Promise<string> {
  for (const [name, { type, data }] of Object.entries(feeds))
    if (type === "float32" && !finite(data as Float32Array)) return `the input "${name}"`;
  const types = verify(graph);
  const values = graph.nodes.flatMap((node) =>
    node.outputs.flatMap((name) => {
      const type = name ? types.get(name)! : undefined;
      return type && isFloat(type.dtype) ? [{ node, name, type }] : [];
    }),
  );
  for (let start = 0; start < values.length; start += together) {
    const some = values.slice(start, start + together);
    const open: Graph = {
      ...graph,
      outputs: some.map(({ name, type: { dtype, shape } }) => ({ name, dtype, shape })),
    };
    const session = await openSession(writeModel(modelOf(open)), options);
    try {
      const found = await session.run(feeds);
      const bad = some.find(({ name }) => !finite(found[name]!.data as Float32Array));
      if (bad) return `${bad.node.op} "${bad.node.name}"`;
    } finally {
      await session.close();
    }
  }
  return "a rewritten part of the graph, as its plain form stays finite";
}

export function diverged(step: number, where: string, loss: number, norm: number): ProtolineError {
  return new ProtolineError("TRAINING_DIVERGED", {
    expected: `finite numbers in step ${step}`,
    got: `loss ${loss} and gradient norm ${norm}; the first number that is not finite comes out of ${where}`,
    todo: "Lower the learning rate or clip the gradients (clip), and resume from the last checkpoint.",
  });
}
